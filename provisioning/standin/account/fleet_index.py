"""The fleet index over things: what SearchIndex finds is what registry, shadows and sessions have at that moment.

AWS's index follows with a delay; this one has none. Only things are indexed, not groups.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from provisioning.standin.account.faults import Fault, missing, not_found
from provisioning.standin.account.operations import Operations, Params, Result, page
from provisioning.standin.account.query import NotAQuery, parse, value_of
from provisioning.standin.account.registry import groups_of
from provisioning.standin.account.state import AccountState
from provisioning.standin.account.store import Record

OPERATIONS = Operations("iot")
_carries = OPERATIONS.carries

_THINGS = "AWS_Things"
_OFF = {"thingIndexingMode": "OFF"}
_MOST_RESULTS = 100  # on a page


def _configuration(account: AccountState) -> Params:
    found: Params = (account.table("settings").get("index") or {}).get("things", _OFF)
    return found


@_carries("UpdateIndexingConfiguration", "thingIndexingConfiguration thingGroupIndexingConfiguration")
def update_indexing_configuration(account: AccountState, params: Params) -> Result:
    groups = params.get("thingGroupIndexingConfiguration", {})
    if groups.get("thingGroupIndexingMode") == "ON":
        raise missing("index of thing groups")
    things = params.get("thingIndexingConfiguration")
    if things is not None:
        if things.get("deviceDefenderIndexingMode", "OFF") != "OFF":
            raise missing("Device Defender in its index")
        account.table("settings").put("index", record={"things": things})
    return {}


@_carries("GetIndexingConfiguration", "")
def get_indexing_configuration(account: AccountState, _params: Params) -> Result:
    return {
        "thingIndexingConfiguration": _configuration(account),
        "thingGroupIndexingConfiguration": {"thingGroupIndexingMode": "OFF"},
    }


def _check_name(account: AccountState, name: str) -> None:
    if name != _THINGS or _configuration(account)["thingIndexingMode"] == "OFF":
        raise not_found(f"Index {name} not found; UpdateIndexingConfiguration makes {_THINGS}")


@_carries("DescribeIndex", "indexName")
def describe_index(account: AccountState, params: Params) -> Result:
    _check_name(account, params["indexName"])
    return {"indexName": _THINGS, "indexStatus": "ACTIVE", "schema": _schema(_configuration(account))}


def _schema(configuration: Params) -> str:
    words = [configuration["thingIndexingMode"]]
    if configuration.get("thingConnectivityIndexingMode") == "STATUS":
        words.append("CONNECTIVITY_STATUS")
    return "_AND_".join(words)


# -- documents -----------------------------------------------------------------------------------------------------------


def _document(account: AccountState, thing: Record, configuration: Params) -> dict[str, Any]:
    """What can be asked of a thing; parts that are not indexed are not there."""
    name = thing["name"]
    found: dict[str, Any] = {"thingName": name, "thingId": thing["id"], "thingGroupNames": groups_of(account, name)}
    if thing["attributes"]:
        found["attributes"] = thing["attributes"]
    if shadow := _shadow(account, name, configuration):
        found["shadow"] = shadow
    if configuration.get("thingConnectivityIndexingMode") == "STATUS":
        found["connectivity"] = _connectivity(account, name)
    return found


def _connectivity(account: AccountState, name: str) -> dict[str, Any]:
    found = account.table("connectivity").get(name)
    if found is None:
        return {"connected": False}
    reason = {"disconnectReason": found["reason"]} if "reason" in found else {}
    return {"connected": found["connected"], "timestamp": int(found["at"] * 1000), **reason}


def _shadow(account: AccountState, name: str, configuration: Params) -> dict[str, Any]:
    wanted = set(configuration.get("filter", {}).get("namedShadowNames", ()))
    found: dict[str, Any] = {}
    for record in account.table("shadows").where("thing", name):
        if record.get("deleted"):
            continue
        state = record["state"]
        part = {**state, "hasDelta": _differs(state), "metadata": record["metadata"], "version": record["version"]}
        if not record["shadow"]:
            if configuration["thingIndexingMode"] == "REGISTRY_AND_SHADOW":
                found.update(part)
        elif configuration.get("namedShadowIndexingMode") == "ON" and record["shadow"] in wanted:
            found.setdefault("name", {})[record["shadow"]] = part
    return found


def _differs(state: dict[str, Any]) -> bool:
    return any(state.get("reported", {}).get(key) != value for key, value in state.get("desired", {}).items())


# -- questions -----------------------------------------------------------------------------------------------------------


def _found(account: AccountState, params: Params) -> list[dict[str, Any]]:
    _check_name(account, params.get("indexName", _THINGS))
    try:
        matches = parse(params["queryString"])
    except NotAQuery as error:
        raise Fault("InvalidQueryException", f"The query {params['queryString']} is not one: {error}") from error
    configuration = _configuration(account)
    documents = (_document(account, thing, configuration) for thing in account.table("things").values())
    return [document for document in documents if matches(document)]


@_carries("SearchIndex", "indexName queryString nextToken maxResults queryVersion")
def search_index(account: AccountState, params: Params) -> Result:
    size = min(int(params.get("maxResults", _MOST_RESULTS)), _MOST_RESULTS)
    shown, token = page(_found(account, params), {**params, "maxResults": size})
    for document in shown:
        if "shadow" in document:
            document["shadow"] = json.dumps(document["shadow"])
    return {"things": shown, "nextToken": token}


@_carries("GetStatistics", "indexName queryString aggregationField queryVersion")
def get_statistics(account: AccountState, params: Params) -> Result:
    found = _found(account, params)
    field = params.get("aggregationField", "registry.version")
    values = [value for each in found if isinstance(value := value_of(each, field), (int, float)) and not isinstance(value, bool)]
    statistics: dict[str, Any] = {"count": len(found)}
    if values:
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / len(values)
        statistics = {
            "count": len(values),
            "average": mean,
            "sum": sum(values),
            "minimum": min(values),
            "maximum": max(values),
            "sumOfSquares": sum(value**2 for value in values),
            "variance": variance,
            "stdDeviation": variance**0.5,
        }
    return {"statistics": statistics}


@_carries("GetBucketsAggregation", "indexName queryString aggregationField queryVersion bucketsAggregationType")
def get_buckets_aggregation(account: AccountState, params: Params) -> Result:
    counts: Counter[str] = Counter()
    for each in _found(account, params):
        value = value_of(each, params["aggregationField"])
        if value is not None:
            counts[str(value).lower() if isinstance(value, bool) else str(value)] += 1
    most = params["bucketsAggregationType"].get("termsAggregation", {}).get("maxBuckets", 10)
    buckets = [{"keyValue": value, "count": count} for value, count in counts.most_common(most)]
    return {"totalCount": sum(counts.values()), "buckets": buckets}
