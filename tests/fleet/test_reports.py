"""One report in each of its forms, and in none."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.fleet.device import Anchor, Device
from provisioning.fleet.reports import BadReport, Names, read

NOW = 1_800_000_000
AT = NOW - 1000
HEALTH = {
    "v": 1,
    "proven": 2,
    "last": "ats",
    "since": 0,
    "day": [1, 1],
    "routes": {"ats": {"good": 3, "bad": 0, "at": AT}, "legacy": {"good": 0, "bad": 2, "err": "network", "iss": "VeriSign"}},
    "roots": {"AmazonRootCA1": {"good": 3, "at": AT}},
}
TOLD = {"t": AT, "s": 2, "p": 2, "l": "ats", "r": {"legacy": [0, 2, "network"], "ats": [3, 0]}, "v": 5, "m": "1.26.1", "x": 4}
TOLD |= {"a": {"AmazonRootCA1": 3}, "o": "ats,legacy"}
TESTED = {
    "device": "ws-1",
    "version": 5,
    "mp": [1, 26, 1],
    "clock": AT,
    "routes": ["ats", "legacy"],
    "connect": {"ok": True, "route": "ats"},
}
TESTED["connect"] |= {"root": "AmazonRootCA1"}  # type: ignore[operator]


def of(value: Any, source: str = "file", **more: Any) -> Device:
    return read("p", source, value, NOW, **more)


def test_health_and_telemetry_say_the_same() -> None:
    full = of({"device": "ws-1", "health": HEALTH, "version": 5, "firmware": "1.26.1"})
    short = of({"device": "ws-1", "health": TOLD})
    assert (full.seen, full.route, full.root, full.errors) == (AT, "ats", "AmazonRootCA1", {"legacy": "network"})
    assert full.reached == {"ats": Anchor(3, AT)} and full.anchored == {"AmazonRootCA1": Anchor(3, AT)}
    assert (short.version, short.refused, short.firmware, short.routes, short.seen) == (5, 4, "1.26.1", ("ats", "legacy"), AT)
    for name in ("version", "firmware", "route", "root", "errors"):
        assert getattr(full, name) == getattr(short, name)
    assert of({"device": "ws-1", **TOLD}) == short, "with the device's name in it"
    assert of({"device": "ws-1", "health": HEALTH}).version is None, "health()'s own v is its form"


def test_what_verify_reports() -> None:
    found = of({"device": "ws-1", "selftest": TESTED})
    assert (found.version, found.firmware, found.routes, found.seen) == (5, "1.26.1", ("ats", "legacy"), AT)
    assert found.anchored == {"AmazonRootCA1": Anchor(1, AT)} and found.reached == {"ats": Anchor(1, AT)}


@pytest.mark.parametrize(
    ("row", "seen"),
    [
        ({"connected": True, "seen": AT - 500, "reason": None}, NOW),
        ({"connected": False, "seen": AT - 500, "reason": "CONNECTION_LOST"}, AT - 500),
        ({"connected": None, "seen": None, "reason": None}, None),
    ],
)
def test_rows_of_the_index(row: dict[str, Any], seen: int | None) -> None:
    assert of({"device": "ws-1", **row, "health": None}, "index").seen == seen
    assert of({"device": "ws-1", **row, "health": TOLD}, "index").seen == max(seen or 0, AT), "a shadow stays when its device is gone"


@pytest.mark.parametrize(
    ("time", "seen"),
    [
        ({"at": AT}, AT),
        ({"ts": AT * 1000}, AT),
        ({"at": "2026-01-01T00:00:00Z"}, 1767225600),
        ({"at": NOW + 10 * 86400}, None),  # a clock that runs ahead would be right for ever
        ({"at": 946684800}, None),  # and one that was never set, wrong
    ],
)
def test_times(time: dict[str, Any], seen: int | None) -> None:
    old = {name: value for name, value in TOLD.items() if name != "t"}
    assert of({"device": "ws-1", "health": old, **time}).seen == seen


def test_a_message_is_as_new_as_its_arrival_and_a_retained_one_as_old_as_it_says() -> None:
    assert of(TOLD, device="ws-1", arrived=NOW).seen == NOW
    assert of(TOLD, device="ws-1").seen == AT
    old = {name: value for name, value in TOLD.items() if name != "t"}
    assert of(old, device="ws-1").seen is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "is not an object"),
        ({}, "has no 'device'"),
        ({"device": "ws-1"}, "has no 'routes'"),
        ({"device": 7, "health": HEALTH}, "a device that is not a text"),
        ({"device": "w" * 129, "health": HEALTH}, "129 characters"),
        ({"device": "ws\n1", "health": HEALTH}, "control characters"),
        ({"device": "ws\x1b[2J", "health": HEALTH}, "control characters"),
        ({"device": "../../x", "health": HEALTH}, "a path and not a name"),
        ({"device": "C:\\x", "health": HEALTH}, "a path and not a name"),
        ({"device": "..", "connected": True, "health": None}, "a path and not a name"),
        ({"device": "ws-1", "health": []}, "not an object"),
        ({"device": "ws-1", "health": {**HEALTH, "last": 7}}, "a route that is not a text"),
        ({"device": "ws-1", "health": {**HEALTH, "roots": {"a": {"good": -1}}}}, "a counter"),
        ({"device": "ws-1", "health": {**HEALTH, "roots": {"a": {}}}}, "has no 'good'"),
        ({"device": "ws-1", "health": {**HEALTH, "routes": {str(n): {"good": 1} for n in range(65)}}}, "65 routes"),
        ({"device": "ws-1", "health": HEALTH, "version": "5"}, "a version"),
        ({"device": "ws-1", "health": HEALTH, "at": "yesterday"}, "a time that is none"),
        ({"device": "ws-1", "health": HEALTH, "at": True}, "a time that is not a number"),
        ({"device": "ws-1", "health": {**TOLD, "r": {"ats": 5}}}, "another shape"),
        ({"device": "ws-1", "selftest": {"mp": 5}}, "another shape"),
    ],
)
def test_what_is_no_report_says_why(value: Any, why: str) -> None:
    with pytest.raises(BadReport, match=why):
        of(value)


@pytest.mark.parametrize("more", [(), ("AmazonRootCA",), ("VeriSign-Class3-Publ",)])
def test_names_that_were_cut_are_made_whole(more: tuple[str, ...]) -> None:
    """telemetry.text() cuts names where space is short; a beginning of several names is none of them, whatever they are called."""
    names = Names(["AmazonRootCA1", "AmazonRootCA3", "VeriSign-Class3-Public-Primary-G5", "ats", *more])
    device = names.whole(of({"device": "ws-1", **TOLD, "a": {"VeriSign-Class3-Publ": 4, "AmazonRootCA": 3}}))
    assert set(device.anchored) == (set() if "VeriSign-Class3-Publ" in more else {"VeriSign-Class3-Public-Primary-G5"})
    only = names.whole(of({"device": "ws-1", **TOLD, "a": {"AmazonRootCA": 3}}))
    assert not only.anchored and only.root is None and only.reached
