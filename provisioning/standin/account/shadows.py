"""Device shadows, classic and named: over MQTT topics and over the REST API of iot-data, one engine for both.

By the developer guide of AWS IoT ("Device Shadow MQTT topics", "Device Shadow service documents").
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from provisioning.standin.account.calls import LONGEST_TOKEN, Call
from provisioning.standin.account.faults import Fault
from provisioning.standin.account.operations import Operations, Params, Result, page
from provisioning.standin.account.state import AccountState
from provisioning.standin.account.store import Record

OPERATIONS = Operations("iot-data")
_carries = OPERATIONS.carries

PACKAGES = "$package"  # the reserved one of the package catalog
CLASSIC = ""  # the name of the shadow that has none
_LARGEST = 8 * 1024  # bytes of a state document
_DEEPEST = 8  # levels of desired and reported
_SECTIONS = ("desired", "reported")
_LONGEST_NAME = 64

_FAULTS = {
    400: "InvalidRequestException",
    404: "ResourceNotFoundException",
    409: "ConflictException",
    413: "RequestEntityTooLargeException",
}


@dataclass
class NotAccepted(Exception):
    """A request that is not carried out: the HTTP code that MQTT has in the message as well."""

    status: int
    message: str


def named(account: AccountState, thing: str, name: str) -> Record:
    """The shadow. Raises NotAccepted when there is none."""
    found = account.table("shadows").get(thing, name)
    if found is None or found.get("deleted"):
        raise NotAccepted(404, f"No shadow exists with name: '{thing}~{name}'" if name else f"No shadow exists with name: '{thing}'")
    return found


def _check_name(account: AccountState, thing: str, name: str) -> None:
    if account.table("things").get(thing) is None:
        raise NotAccepted(404, f"Thing {thing} not found")
    if len(name) > _LONGEST_NAME or (name and not all(each.isalnum() or each in "$:_-" for each in name)):
        raise NotAccepted(400, f"'{name}' is not a name of a shadow")


# -- documents -----------------------------------------------------------------------------------------------------------


def _merged(old: Any, new: Any) -> Any:
    """A section after an update: objects are merged, null removes, everything else replaces."""
    if not isinstance(new, dict):
        return new
    found = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = _merged(found.get(key), value)
    return {key: value for key, value in found.items() if value != {} or new.get(key) != {}}


def _stamped(value: Any, stamp: int) -> Any:
    """The metadata of a value: when each of its leaves was set."""
    if isinstance(value, dict):
        return {key: _stamped(each, stamp) for key, each in value.items()}
    if isinstance(value, list):
        return [_stamped(each, stamp) for each in value]
    return {"timestamp": stamp}


def _stamps_of(metadata: Any, value: Any) -> Any:
    """Metadata of what is still in `value`."""
    if isinstance(value, dict):
        return {key: _stamps_of(metadata.get(key, {}), each) for key, each in value.items()}
    return metadata


def _difference(desired: Any, reported: Any) -> Any:
    """What is desired and not reported so; None when there is nothing."""
    if isinstance(desired, dict) and isinstance(reported, dict):
        found = {key: _difference(value, reported.get(key)) for key, value in desired.items()}
        return {key: value for key, value in found.items() if value is not None} or None
    return None if desired == reported else desired


def _selected(metadata: Any, shape: Any) -> Any:
    """The part of `metadata` that belongs to `shape`."""
    if isinstance(shape, dict) and isinstance(metadata, dict):
        return {key: _selected(metadata.get(key, {}), value) for key, value in shape.items()}
    return metadata


def _check_state(state: Any) -> None:
    if not isinstance(state, dict):
        raise NotAccepted(400, "Missing required node: state")
    for section, value in state.items():
        if section not in _SECTIONS:
            raise NotAccepted(400, f"State contains an invalid node: '{section}'")
        if value is not None and not isinstance(value, dict):
            raise NotAccepted(400, f"State node '{section}' must be an object")
        _check_depth(value, 1)


def _check_depth(value: Any, level: int) -> None:
    if level > _DEEPEST + 1:
        raise NotAccepted(400, f"JSON contains too many levels of nesting; maximum is {_DEEPEST}")
    if isinstance(value, dict):
        for each in value.values():
            _check_depth(each, level + 1)
    elif isinstance(value, list):
        if None in value:
            raise NotAccepted(400, "JSON contains null in an array")
        for each in value:
            _check_depth(each, level + 1)


def document(record: Record, stamp: int) -> dict[str, Any]:
    """The shadow as get shows it."""
    state = dict(record["state"])
    delta = _difference(state["desired"], state.get("reported", {})) if state.get("desired") else None
    if delta is not None:
        state["delta"] = delta
    return {"state": state, "metadata": record["metadata"], "version": record["version"], "timestamp": stamp}


# -- what is done with a shadow ------------------------------------------------------------------------------------------


def get(account: AccountState, thing: str, name: str, _body: Any) -> dict[str, Any]:
    _check_name(account, thing, name)
    return document(named(account, thing, name), int(account.now()))


def update(account: AccountState, thing: str, name: str, body: Any) -> dict[str, Any]:
    """Carries out an update and returns what accepted holds; documents and delta are posted."""
    _check_name(account, thing, name)
    if not isinstance(body, dict) or "state" not in body:
        raise NotAccepted(400, "Missing required node: state")
    _check_state(body["state"])
    old = account.table("shadows").get(thing, name) or {"version": 0, "deleted": True}
    version = body.get("version")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise NotAccepted(400, "Invalid version")
    if version is not None and version != old["version"]:
        raise NotAccepted(409, "Version conflict")
    was = {} if old.get("deleted") else old["state"]
    metadata = {} if old.get("deleted") else old["metadata"]
    stamp = int(account.now())
    state, stamps = dict(was), dict(metadata)
    for section, value in body["state"].items():
        merged = _merged(was.get(section), value) if value is not None else None
        if not merged:
            state.pop(section, None)
            stamps.pop(section, None)
            continue
        state[section] = merged
        stamps[section] = _stamps_of(_merged(stamps.get(section), _stamped(_without_nulls(value), stamp)), merged)
    if len(json.dumps(state).encode()) > _LARGEST:
        raise NotAccepted(413, f"The payload exceeds the maximum size allowed: {_LARGEST} bytes")
    record = {"thing": thing, "shadow": name, "state": state, "metadata": stamps, "version": old["version"] + 1, "at": account.now()}
    account.table("shadows").put(thing, name, record=record)
    token = {"clientToken": body["clientToken"]} if "clientToken" in body else {}
    _tell(account, old, record, stamp, token)
    asked = body["state"]
    return {
        "state": asked,
        "metadata": {section: _stamped(_without_nulls(value), stamp) for section, value in asked.items() if value is not None},
        "version": record["version"],
        "timestamp": stamp,
    }


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return value


def _tell(account: AccountState, old: Record, record: Record, stamp: int, token: dict[str, str]) -> None:
    base = _base(record["thing"], record["shadow"])

    def part(shadow: Record) -> dict[str, Any]:
        return {key: shadow[key] for key in ("state", "metadata", "version")}

    message: dict[str, Any] = {"current": part(record), "timestamp": stamp, **token}
    if not old.get("deleted"):
        message["previous"] = part(old)
    delta = _difference(record["state"].get("desired") or {}, record["state"].get("reported") or {})
    if delta is not None:
        metadata = _selected(record["metadata"].get("desired", {}), delta)
        change = {"state": delta, "metadata": metadata, "version": record["version"], "timestamp": stamp, **token}
        account.post(f"{base}/update/delta", change)
    account.post(f"{base}/update/documents", message)


def delete(account: AccountState, thing: str, name: str, _body: Any) -> dict[str, Any]:
    """Its version goes on counting when it is made again."""
    _check_name(account, thing, name)
    found = named(account, thing, name)
    account.table("shadows").change(thing, name, deleted=True, version=found["version"] + 1)
    return {"version": found["version"], "timestamp": int(account.now())}


def _base(thing: str, name: str) -> str:
    return f"$aws/things/{thing}/shadow" + (f"/name/{name}" if name else "")


# -- over MQTT -----------------------------------------------------------------------------------------------------------

Run = Callable[[AccountState, str, str, Any], dict[str, Any]]


def _answered(run: Run, needs_body: bool) -> Callable[[AccountState, Call], None]:
    def handle(account: AccountState, call: Call) -> None:
        token: dict[str, Any] = {}
        try:
            body = _body(call, needs_body)
            token = _token(body)
            result = run(account, call.thing, call.names.get("shadowName", CLASSIC), body)
        except NotAccepted as error:
            answer = {"code": error.status, "message": error.message, "timestamp": int(account.now()), **token}
            account.post_first(f"{call.topic}/rejected", answer)
        else:
            account.post_first(f"{call.topic}/accepted", {**result, **token})

    return handle


def _body(call: Call, needed: bool) -> Any:
    try:
        return call.json()
    except ValueError as error:
        if needed or call.payload:
            raise NotAccepted(400, "Payload contains invalid json") from error
        return {}


def _token(body: Any) -> dict[str, str]:
    token = body.get("clientToken") if isinstance(body, dict) else None
    if token is None:
        return {}
    if not isinstance(token, str) or len(token.encode()) > LONGEST_TOKEN:
        raise NotAccepted(400, "Invalid clientToken")
    return {"clientToken": token}


on_get, on_update, on_delete = _answered(get, False), _answered(update, True), _answered(delete, False)


# -- over REST -----------------------------------------------------------------------------------------------------------


def _over_rest(name: str, run: Run, takes: str, accepted: str = "") -> None:
    """`accepted`: the topic on which devices, too, learn of it."""

    def answer(account: AccountState, params: Params) -> Result:
        try:
            body = json.loads(params["payload"]) if "payload" in params else {}
        except ValueError as error:
            raise Fault("InvalidRequestException", "Payload contains invalid json") from error
        thing, shadow = params["thingName"], params.get("shadowName", CLASSIC)
        try:
            result = run(account, thing, shadow, body) | _token(body)
        except NotAccepted as error:
            raise Fault(_FAULTS[error.status], error.message) from error
        if accepted:
            account.post_first(f"{_base(thing, shadow)}/{accepted}/accepted", result)
        return {"payload": json.dumps(result).encode()}

    _carries(name, takes)(answer)


_over_rest("GetThingShadow", get, "thingName shadowName")
_over_rest("UpdateThingShadow", update, "thingName shadowName payload", "update")
_over_rest("DeleteThingShadow", delete, "thingName shadowName", "delete")


@_carries("ListNamedShadowsForThing", "thingName nextToken pageSize")
def list_named_shadows_for_thing(account: AccountState, params: Params) -> Result:
    found = [
        each["shadow"]
        for each in account.table("shadows").where("thing", params["thingName"])
        if each["shadow"] and not each.get("deleted")
    ]
    shown, token = page(sorted(found), params)
    return {"results": shown, "nextToken": token, "timestamp": int(account.now())}
