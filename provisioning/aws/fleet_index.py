"""AWS's index of the fleet: who is connected, since when, why not, and what each device reports of its health.

Health is the `reported` part of the named shadow `twinroot`. Connectivity is known of devices whose client id is their thing's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provisioning.aws.iot_api import Aws, NotFound
from provisioning.errors import InputError
from provisioning.parsed import from_json

SHADOW = "twinroot"
INDEX = "AWS_Things"
_PAGE = 100  # things a page: AWS's maximum
_QUERY_LIMIT = 1000  # bytes
_WANTED = {"thingIndexingMode": "REGISTRY_AND_SHADOW", "thingConnectivityIndexingMode": "STATUS", "namedShadowIndexingMode": "ON"}
_TAKEN_OVER = ("deviceDefenderIndexingMode", "customFields")  # the rest of what is set: an update replaces all of it


def prepare(aws: Aws) -> bool:
    """Have the index hold registry, shadow `twinroot` and connectivity; what else it holds stays. True when something was changed: AWS then
    builds the index again, which takes minutes for a large fleet. AWS charges for an index."""
    found = aws.call("get_indexing_configuration").get("thingIndexingConfiguration") or {}
    filters = dict(found.get("filter") or {})
    names = list(filters.get("namedShadowNames") or ())
    if SHADOW in names and all(found.get(key) == value for key, value in _WANTED.items()):
        return False
    if SHADOW not in names:
        filters["namedShadowNames"] = [*names, SHADOW]
    wanted = {**{key: found[key] for key in _TAKEN_OVER if found.get(key)}, **_WANTED, "filter": filters}
    aws.call("update_indexing_configuration", thingIndexingConfiguration=wanted)
    return True


def status(aws: Aws) -> str:
    """ACTIVE, BUILDING or REBUILDING, AWS's word. Raises NotFound where there is no index."""
    return str(aws.call("describe_index", indexName=INDEX)["indexStatus"])


def reports(aws: Aws, query: str = "thingName:*") -> Iterator[dict[str, Any]]:
    """Each device that the query finds, page by page:

        {"device": name, "connected": True | False | None, "seen": unix seconds | None, "reason": word | None, "health": dict | None}

    `connected` is None where connectivity is not indexed. `seen` is when the device last connected, for one that is connected, or when it
    was lost; None for one that never was. `reason` is AWS's word for why it was lost. Raises InputError for a query that AWS does not take,
    and where there is no index.
    """
    if not query.strip() or len(query.encode()) > _QUERY_LIMIT:
        raise InputError("bad-query", f"A query has 1 to {_QUERY_LIMIT} bytes.", "For example 'thingName:ws-*'.")
    return _found(aws, query)


def _found(aws: Aws, query: str) -> Iterator[dict[str, Any]]:
    try:
        for thing in aws.pages("search_index", "things", indexName=INDEX, queryString=query, maxResults=_PAGE):
            yield _report(thing)
    except NotFound:
        raise InputError(
            "no-index",
            f"There is no fleet index in {aws.region}.",
            "`twinroot aws index prepare` makes it: AWS charges for it, and takes minutes for a large fleet. Or give another --region.",
        ) from None


def _report(thing: dict[str, Any]) -> dict[str, Any]:
    found = thing.get("connectivity") or {}
    milliseconds = found.get("timestamp")
    return {
        "device": str(thing.get("thingName", "")),
        "connected": found.get("connected"),
        "seen": int(milliseconds) // 1000 if milliseconds else None,
        "reason": found.get("disconnectReason") or None,
        "health": _health(thing.get("shadow")),
    }


def _health(shadow: Any) -> dict[str, Any] | None:
    """What devices write is anything: None for what is not an object."""
    try:
        found = from_json(shadow)["name"][SHADOW]["reported"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
