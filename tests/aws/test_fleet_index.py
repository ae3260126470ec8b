"""The index of the fleet: what it has to hold, and the reports of devices that come out of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provisioning.aws import fleet_index
from provisioning.aws.iot_api import Aws
from provisioning.errors import InputError, StationError
from tests.aws.conftest import Moto
from tests.support.aws_contract import Contract


def test_the_index_is_prepared_once_and_what_it_held_stays(moto: Moto, aws: Aws) -> None:
    before = {
        "thingIndexingMode": "REGISTRY",
        "deviceDefenderIndexingMode": "VIOLATIONS",
        "namedShadowIndexingMode": "ON",
        "customFields": [{"name": "attributes.site", "type": "String"}],
        "filter": {"namedShadowNames": ["theirs"]},
    }
    moto.iot().update_indexing_configuration(thingIndexingConfiguration=before)
    assert fleet_index.prepare(aws)
    assert not fleet_index.prepare(aws)
    assert len(moto.requests("UpdateIndexingConfiguration")) == 2
    found = moto.iot().get_indexing_configuration()["thingIndexingConfiguration"]
    assert found["thingIndexingMode"] == "REGISTRY_AND_SHADOW" and found["thingConnectivityIndexingMode"] == "STATUS"
    assert found["filter"]["namedShadowNames"] == ["theirs", "twinroot"]
    assert found["customFields"] == before["customFields"] and found["deviceDefenderIndexingMode"] == "VIOLATIONS"


def test_reports_of_devices(moto: Moto, aws: Aws) -> None:
    for number in range(1, 104):
        moto.iot().create_thing(thingName=f"ws-{number:03}")
    health = {"set": 5, "routes": {"ats": {"good": 7}}}
    data = moto.iot("iot-data")
    data.update_thing_shadow(thingName="ws-001", shadowName="twinroot", payload=json.dumps({"state": {"reported": health}}))
    moto.fault("seen ws-001 1767225600123 -")
    moto.fault("seen ws-002 1767225601999 MQTT_KEEP_ALIVE_TIMEOUT")
    found = {row["device"]: row for row in fleet_index.reports(aws, "thingName:ws-*")}
    assert len(found) == 103 and len(moto.requests("SearchIndex")) == 2
    assert found["ws-001"] == {"device": "ws-001", "connected": True, "seen": 1767225600, "reason": None, "health": health}
    assert found["ws-002"]["connected"] is False and found["ws-002"]["seen"] == 1767225601
    assert found["ws-002"]["reason"] == "MQTT_KEEP_ALIVE_TIMEOUT" and found["ws-002"]["health"] is None
    assert found["ws-003"] == {"device": "ws-003", "connected": False, "seen": None, "reason": None, "health": None}
    assert [row["device"] for row in fleet_index.reports(aws, "thingName:ws-00?")] == [f"ws-00{n}" for n in range(1, 10)]


ASKED = {"indexName": "AWS_Things", "queryString": "thingName:*", "maxResults": 100}


@pytest.mark.parametrize(
    ("shadow", "health"),
    [
        ('{"name":{"twinroot":{"desired":{},"reported":{"set":5},"hasDelta":false}},"reported":{"set":4}}', {"set": 5}),
        ('{"reported":{"set":4}}', None),
        ('{"name":{"other":{"reported":{}}}}', None),
        ('{"name":{"twinroot":{"reported":[5]}}}', None),
        ('{"name":7}', None),
        ("[" * 5000, None),
        ("not JSON", None),
    ],
)
def test_what_a_device_writes_is_anything(contract: Contract, shadow: str, health: Any) -> None:
    contract.expect("search_index", ASKED, {"things": [{"thingName": "ws-1", "shadow": shadow}]})
    assert list(fleet_index.reports(contract.aws)) == [
        {"device": "ws-1", "connected": None, "seen": None, "reason": None, "health": health}
    ]


def test_the_requests_of_an_index_are_as_the_model_has_them(contract: Contract) -> None:
    contract.expect("get_indexing_configuration", {}, {})
    wanted = {
        "thingIndexingMode": "REGISTRY_AND_SHADOW",
        "thingConnectivityIndexingMode": "STATUS",
        "namedShadowIndexingMode": "ON",
        "filter": {"namedShadowNames": ["twinroot"]},
    }
    contract.expect("update_indexing_configuration", {"thingIndexingConfiguration": wanted})
    assert fleet_index.prepare(contract.aws)
    contract.expect("describe_index", {"indexName": "AWS_Things"}, {"indexName": "AWS_Things", "indexStatus": "REBUILDING"})
    assert fleet_index.status(contract.aws) == "REBUILDING"
    contract.refuse("search_index", ASKED, "ResourceNotFoundException", 404)
    with pytest.raises(InputError) as missing:
        list(fleet_index.reports(contract.aws))
    assert missing.value.code == "no-index"
    contract.refuse("search_index", ASKED, "IndexNotReadyException")
    with pytest.raises(StationError) as error:
        list(fleet_index.reports(contract.aws))
    assert error.value.code == "index-not-ready"
    contract.refuse("search_index", {**ASKED, "queryString": "a:b:("}, "InvalidQueryException")
    with pytest.raises(InputError) as refused:
        list(fleet_index.reports(contract.aws, "a:b:("))
    assert refused.value.code == "refused-by-aws"
    for query in (" ", "ä" * 501):
        with pytest.raises(InputError, match="1 to 1000 bytes"):
            fleet_index.reports(contract.aws, query)
