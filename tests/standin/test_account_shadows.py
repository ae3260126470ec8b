"""Shadows of the stand-in's account: awsiotsdk as the device, boto3 as the cloud, the fleet index above both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.standin import StandIn
from provisioning.standin.account.query import NotAQuery, parse
from tests.standin import sdk
from tests.standin.account import Alone, client
from tests.standin.conftest import Client

from awscrt.mqtt import QoS  # isort: skip
from awsiot import iotshadow  # isort: skip


@pytest.fixture(scope="module")
def proxy(shared: StandIn) -> Iterator[sdk.Proxy]:
    made = sdk.Proxy(shared)
    yield made
    made.close()


def test_a_named_shadow_by_the_sdk(shared: StandIn, proxy: sdk.Proxy) -> None:
    device = sdk.Device(shared, "shadow-1", proxy)
    shadow = iotshadow.IotShadowClient(device.connection)
    name: Any = {"thing_name": "shadow-1", "shadow_name": "twinroot"}

    def update(token: str, version: int | None = None, **state: Any) -> None:
        request = iotshadow.UpdateNamedShadowRequest(state=iotshadow.ShadowState(**state), client_token=token, version=version, **name)
        shadow.publish_update_named_shadow(request, QoS.AT_LEAST_ONCE)

    try:
        asked = iotshadow.UpdateNamedShadowSubscriptionRequest(**name)
        accepted = device.on(shadow.subscribe_to_update_named_shadow_accepted, asked)
        rejected = device.on(shadow.subscribe_to_update_named_shadow_rejected, asked)
        deltas = device.on(
            shadow.subscribe_to_named_shadow_delta_updated_events, iotshadow.NamedShadowDeltaUpdatedSubscriptionRequest(**name)
        )
        documents = device.on(shadow.subscribe_to_named_shadow_updated_events, iotshadow.NamedShadowUpdatedSubscriptionRequest(**name))
        got = device.on(shadow.subscribe_to_get_named_shadow_accepted, iotshadow.GetNamedShadowSubscriptionRequest(**name))
        none = device.on(shadow.subscribe_to_get_named_shadow_rejected, iotshadow.GetNamedShadowSubscriptionRequest(**name))

        shadow.publish_get_named_shadow(iotshadow.GetNamedShadowRequest(client_token="g", **name), QoS.AT_LEAST_ONCE)
        error = none.get(timeout=sdk.TIMEOUT)
        assert (error.code, error.client_token) == (404, "g")

        update("one", reported={"s": 2, "r": {"ats": [1, 0]}})
        answer = accepted.get(timeout=sdk.TIMEOUT)
        assert (answer.version, answer.client_token, answer.state.reported) == (1, "one", {"s": 2, "r": {"ats": [1, 0]}})
        assert documents.get(timeout=sdk.TIMEOUT).current.state.reported["s"] == 2

        update("two", version=7, reported={"s": 3})
        error = rejected.get(timeout=sdk.TIMEOUT)
        assert (error.code, error.client_token) == (409, "two")

        data = client(shared, "iot-data")
        data.update_thing_shadow(
            thingName="shadow-1", shadowName="twinroot", payload=json.dumps({"state": {"desired": {"s": 3, "x": {"y": 1}}}})
        )
        delta = deltas.get(timeout=sdk.TIMEOUT)
        assert (delta.state, delta.version) == ({"s": 3, "x": {"y": 1}}, 2)
        update("three", version=2, reported={"s": 3, "x": {"y": 1}, "r": None})
        accepted.get(timeout=sdk.TIMEOUT)
        assert accepted.get(timeout=sdk.TIMEOUT).version == 3

        shadow.publish_get_named_shadow(iotshadow.GetNamedShadowRequest(**name), QoS.AT_LEAST_ONCE)
        whole = got.get(timeout=sdk.TIMEOUT)
        assert whole.state.reported == {"s": 3, "x": {"y": 1}} and whole.state.delta is None
        assert set(whole.metadata.reported) == {"s", "x"}
        assert data.list_named_shadows_for_thing(thingName="shadow-1")["results"] == ["twinroot"]
        data.delete_thing_shadow(thingName="shadow-1", shadowName="twinroot")
        with pytest.raises(data.exceptions.ResourceNotFoundException):
            data.get_thing_shadow(thingName="shadow-1", shadowName="twinroot")
    finally:
        device.close()


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, 400),
        ({"state": []}, 400),
        ({"state": {"other": {}}}, 400),
        ({"state": {"reported": 1}}, 400),
        ({"state": {"reported": {"a": [None]}}}, 400),
        ({"state": {"reported": {"a": 1}}, "version": 9}, 409),
        ({"state": {"reported": {"a": 1}}, "clientToken": "x" * 65}, 400),
        ({"state": {"reported": {"a": "x" * 8192}}}, 413),
        ({"state": {"reported": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1}}}}}}}}}}}, 400),
    ],
)
def test_updates_that_are_rejected(tmp_path: Path, payload: dict[str, Any], code: int) -> None:
    alone = Alone(tmp_path)
    alone.call("CreateThing", thingName="t")
    assert alone.device("t/shadow/name/n/update", **payload)["code"] == code
    assert alone.device("t/shadow/name/n/get")["code"] == 404, "nothing of it is stored"


def test_a_shadow_is_one_thing_s_and_goes_with_it(tmp_path: Path) -> None:
    alone = Alone(tmp_path)
    assert alone.device("nobody/shadow/update", state={"reported": {"a": 1}})["code"] == 404
    alone.call("CreateThing", thingName="t")
    for _ in range(2):
        answer = alone.device("t/shadow/update", state={"reported": {"a": {"b": 1, "c": 2}}})
    assert answer["version"] == 2
    alone.device("t/shadow/update", state={"reported": {"a": {"b": None}}, "desired": {"a": {"c": 2, "d": 5}}})
    assert alone.device("t/shadow/get")["state"] == {
        "reported": {"a": {"c": 2}},
        "desired": {"a": {"c": 2, "d": 5}},
        "delta": {"a": {"d": 5}},
    }
    alone.call("DeleteThing", thingName="t")
    alone.call("CreateThing", thingName="t")
    assert alone.device("t/shadow/get")["code"] == 404


# -- the fleet index -----------------------------------------------------------------------------------------------------

DOCUMENT = {
    "thingName": "ws-0001",
    "thingGroupNames": ["canary", "site-north"],
    "attributes": {"site": "North Hall", "floor": "2", "mac": "24:0a:c4"},
    "shadow": {"name": {"twinroot": {"reported": {"s": 2, "l": "ats", "fine": True}}}},
    "connectivity": {"connected": False, "timestamp": 1000, "disconnectReason": "CONNECTION_LOST"},
}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('attributes.mac:"24:0a:c4"', True),
        (r"attributes.mac:24\:0a\:c4", True),
        ("*", True),
        ("thingName:ws-0001", True),
        ("thingName:WS-0001", True),
        ("thingName:ws-*", True),
        ("thingName:ws-000?", True),
        ("thingName:ws", False),
        ("thingName:*", True),
        ("thingTypeName:*", False),
        ("connectivity.connected:false", True),
        ("connectivity.connected:true", False),
        ("connectivity.disconnectReason:CONNECTION_LOST", True),
        ("connectivity.timestamp < 1001", True),
        ("connectivity.timestamp>=1001", False),
        ("shadow.name.twinroot.reported.s:2", True),
        ("shadow.name.twinroot.reported.s:[1 TO 2]", True),
        ("shadow.name.twinroot.reported.s:{1 TO 2}", False),
        ("shadow.name.twinroot.reported.s:[3 TO *]", False),
        ("shadow.name.twinroot.reported.fine:true", True),
        ("shadow.name.twinroot.reported.l:ats AND connectivity.connected:true", False),
        ("thingGroupNames:canary", True),
        ("thingGroupNames:site-*", True),
        ("NOT thingGroupNames:canary", False),
        ("-thingGroupNames:other", True),
        ("thingName:ws* NOT thingGroupNames:other", True),
        ("thingName:ws* thingGroupNames:other", False),
        ("thingName:nobody OR thingGroupNames:canary", True),
        ("thingName:nobody OR thingGroupNames:canary AND connectivity.connected:true", False),
        ("(thingName:nobody OR thingGroupNames:canary) AND connectivity.connected:false", True),
        ("thingName:(a* OR ws*)", True),
        ("thingName:(ws* AND -ws-0001)", False),
        ('attributes.site:"north hall"', True),
        ("attributes.site:north", False),
        ("attributes.floor:2 attributes.site:North*", True),
        ("canary", True),
        ("nowhere", False),
    ],
)
def test_queries(query: str, found: bool) -> None:
    assert parse(query)(DOCUMENT) is found


@pytest.mark.parametrize(
    "query", ["", "thingName:", "thingName:*x", "(a", "a)", "a AND", "AND a", "a:[1 2]", "a>x", "NOT", "a OR OR b", 'a:"b', "a::b"]
)
def test_what_is_not_a_query(query: str) -> None:
    with pytest.raises(NotAQuery):
        parse(query)


def test_the_index_shows_sessions_groups_and_shadows(shared: StandIn) -> None:
    iot, data = client(shared, "iot"), client(shared, "iot-data")
    for number in range(3):
        shared.issue(f"index-{number}")

    def search(query: str) -> list[str]:
        pages = []
        token: dict[str, str] = {}
        while True:
            answer = iot.search_index(queryString=f"thingName:index-* AND {query}", maxResults=2, **token)
            pages += [thing["thingName"] for thing in answer["things"]]
            if "nextToken" not in answer:
                return sorted(pages)
            token = {"nextToken": answer["nextToken"]}

    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        search("*")
    iot.update_indexing_configuration(
        thingIndexingConfiguration={
            "thingIndexingMode": "REGISTRY",
            "thingConnectivityIndexingMode": "STATUS",
            "namedShadowIndexingMode": "ON",
            "filter": {"namedShadowNames": ["twinroot"]},
        }
    )
    assert iot.describe_index(indexName="AWS_Things")["indexStatus"] == "ACTIVE"
    assert search("*") == ["index-0", "index-1", "index-2"]
    iot.create_thing_group(thingGroupName="index-canary")
    iot.add_thing_to_thing_group(thingGroupName="index-canary", thingName="index-2")
    assert search("thingGroupNames:index-canary") == ["index-2"]
    for name, version in (("index-0", 1), ("index-1", 2)):
        data.update_thing_shadow(thingName=name, shadowName="twinroot", payload=json.dumps({"state": {"reported": {"s": version}}}))
    data.update_thing_shadow(thingName="index-2", shadowName="other", payload='{"state": {"reported": {"s": 2}}}')
    assert search("shadow.name.twinroot.reported.s:2") == ["index-1"]
    assert search("NOT shadow.name.twinroot.reported.s:*") == ["index-2"]
    buckets = iot.get_buckets_aggregation(
        queryString="thingName:index-*",
        aggregationField="shadow.name.twinroot.reported.s",
        bucketsAggregationType={"termsAggregation": {"maxBuckets": 5}},
    )
    assert sorted((each["keyValue"], each["count"]) for each in buckets["buckets"]) == [("1", 1), ("2", 1)]
    assert iot.get_statistics(queryString="thingName:index-*")["statistics"]["count"] == 3

    stream, _ = Client(shared, device="index-0").mqtt()
    with stream:
        assert search("connectivity.connected:true") == ["index-0"]
        Client(shared, "legacy", device="index-1").publish("some/topic", b"x")  # says goodbye
        shared.wait_message(topic="some/topic")
    shared.scenario("legacy", "ok", drop=True)
    (document,) = iot.search_index(queryString="thingName:index-1")["things"]
    assert document["connectivity"]["connected"] is False
    assert document["connectivity"]["disconnectReason"] == "CLIENT_INITIATED_DISCONNECT"
    assert document["connectivity"]["timestamp"] > 1_700_000_000_000
    assert json.loads(document["shadow"])["name"]["twinroot"]["reported"] == {"s": 2}
    with pytest.raises(iot.exceptions.InvalidQueryException):
        search("(")


def test_why_a_session_ended(shared: StandIn) -> None:
    iot = client(shared, "iot")
    shared.issue("ended-1")

    def reason() -> str:
        return str(iot.get_thing_connectivity_data(thingName="ended-1")["disconnectReason"])

    stream, _ = Client(shared, device="ended-1").mqtt()
    assert reason() == "NONE"
    shared.scenario("ats", "ok", drop=True)
    stream.close()
    assert reason() == "SERVER_INITIATED_DISCONNECT"
    before = len(shared.connections())
    stream, _ = Client(shared, device="ended-1").mqtt()
    with stream:
        stream.sendall(b"\x30\x06\x00\x04$abc")
        assert stream.recv(1) == b""
    shared.wait_connection(outcome="closed", after=before)
    shared.status()  # what ends a session is done before the next request is answered
    assert reason() == "CLIENT_ERROR"
