"""One report of a device, in any of the forms in which they come, as a `Device`:

    {"device": "ws-0001", "health": …}      with what `twinroot.health()` returned, or telemetry.text(), on the device
    {"device": "ws-0001", …}                either of the two with the device's name in it
    {"device": …, "connected": …, "seen": …, "health": …}      a row of AWS's fleet index
    {"device": …, "selftest": …}            a report of `twinroot verify --json` or `update --json`

Beside it there may be "at" or "ts" (unix seconds, or milliseconds, or RFC 3339), "firmware", "version". The newer telemetry.text() says the
time itself, and health() when it last connected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from provisioning.fleet.device import Anchor, Device

_LONGEST = {"device": 128, "route": 64, "root": 64, "firmware": 64, "kind": 16}  # characters; the store's columns
_MOST = 64  # routes, roots of one report
_AHEAD = 86400  # seconds by which a clock may be ahead of this computer's; later is no time at all
_MILLISECONDS = 10**11
_EARLIEST = 1451606400  # 2016: before it there was no such device, and an unset clock says 2000


class BadReport(ValueError):
    """What is wrong with a report, as the end of "the report …"."""


def read(product: str, source: str, value: Any, now: int, arrived: int | None = None, device: str | None = None) -> Device:
    """The device as the report has it. `now`: this computer's time; `arrived`: when it came, for one that came straight from its device;
    `device`: who sent it, where the report itself does not say. Raises BadReport."""
    try:
        return _read(product, source, value, now, arrived, device)
    except KeyError as error:
        raise BadReport(f"has no {error.args[0]!r}") from None
    except (TypeError, AttributeError, OverflowError) as error:
        raise BadReport(f"has another shape ({error})") from None


def _read(product: str, source: str, value: Any, now: int, arrived: int | None, device: str | None) -> Device:
    if not isinstance(value, dict):
        raise BadReport("is not an object")
    name = _text(value["device"] if device is None else value.get("device", device), "device")
    if not name:
        raise BadReport("has an empty 'device'")
    if name in (".", "..") or "/" in name or "\\" in name:  # it becomes part of file names; no cloud takes one either
        raise BadReport(f"has a device {name[:64]!r}, which is a path and not a name")
    if isinstance(value.get("selftest"), dict):
        return _of_selftest(product, source, name, value["selftest"], _moment(_time_of(value), now))
    health = value.get("health", value)
    if health is None and "connected" in value:  # the index knows the thing and has no shadow of it
        return Device(product, name, source, _moment(now if value["connected"] else value.get("seen"), now))
    if not isinstance(health, dict):
        raise BadReport("has a 'health' that is not an object")
    routes, anchored = _compact(health) if "r" in health else _full(health, now)
    last = health["l" if "r" in health else "last"]
    said = _moment(_time_of(value), now) or _moment(health.get("t"), now)
    if "connected" in value:  # its own words are older than the connection
        said = max(filter(None, (said, _moment(now if value["connected"] else value.get("seen"), now))), default=None)
    latest = max((anchor.at or 0 for anchor in routes.values()), default=0) or None
    firmware = value.get("firmware") or health.get("m")
    order = health.get("o")
    return Device(
        product,
        name,
        source,
        seen=said or latest if arrived is None else max(arrived, said or 0),
        version=_number(value.get("version", health.get("v") if "r" in health else None)),  # health()'s own "v" is its form
        refused=_number(health.get("x")) or None,
        firmware=_text(firmware, "firmware") if firmware else None,
        route=_text(last, "route") if last else None,
        root=_root(anchored),
        routes=tuple(_text(each, "route") for each in order.split(",")[:_MOST]) if order else (),
        anchored=anchored,
        errors={route: _text(row, "kind") for route, row in _errors(health).items()},
        reached={route: anchor for route, anchor in routes.items() if anchor.good},
    )


def said_at(value: Any, now: int) -> int | None:
    """When a report that `read` took was made, by its own words alone; unix seconds."""
    health = value.get("health", value)
    return _moment(_time_of(value), now) or (_moment(health.get("t"), now) if isinstance(health, dict) else None)


def is_cut(value: Any) -> bool:
    """Whether it is telemetry.text(), in which names may be cut."""
    health = value.get("health", value)
    return isinstance(health, dict) and "r" in health


def _full(health: Mapping[str, Any], now: int) -> tuple[dict[str, Anchor], dict[str, Anchor]]:
    """health(): {"routes": {name: {"good", "bad", "at", "err"}}, "roots": {name: {"good", "at"}}}."""

    def rows(table: Any, what: str) -> dict[str, Anchor]:
        return {_text(name, what): Anchor(_count(row["good"]), _moment(row.get("at"), now)) for name, row in _few(table).items()}

    return rows(health["routes"], "route"), {name: row for name, row in rows(health["roots"], "root").items() if row.good}


def _compact(health: Mapping[str, Any]) -> tuple[dict[str, Anchor], dict[str, Anchor]]:
    """telemetry.text(): {"r": {route: [good, bad, …]}, "a": {root: good}}, in which names are cut where space was short."""
    routes = {_text(name, "route"): Anchor(_count(row[0])) for name, row in _few(health["r"]).items()}
    return routes, {_text(name, "root"): Anchor(_count(good)) for name, good in _few(health.get("a", {})).items() if good}


def _errors(health: Mapping[str, Any]) -> dict[str, Any]:
    if "r" in health:
        return {name: row[2] for name, row in health["r"].items() if len(row) > 2}
    return {name: row["err"] for name, row in health["routes"].items() if row.get("err")}


def _root(anchored: Mapping[str, Anchor]) -> str | None:
    """Which root anchored the last connection: the one that was last by its time; the only one there is."""
    timed = [(anchor.at, name) for name, anchor in anchored.items() if anchor.at]
    if len(timed) == len(anchored) and timed:
        return max(timed)[1]
    return next(iter(anchored)) if len(anchored) == 1 else None


def _of_selftest(product: str, source: str, name: str, said: Mapping[str, Any], at: int | None) -> Device:
    """What a board said of itself, asked by `verify` or `update`; "connect" is there after `--connect`."""
    found = said.get("connect") or {}
    seen = at or _moment(said.get("clock"), at or 2**31)
    good = bool(found.get("ok")) and found.get("route") and found.get("root")
    record = Anchor(1, seen)
    return Device(
        product,
        name,
        source,
        seen=seen,
        version=_number(said.get("version")),
        firmware=".".join(str(int(part)) for part in said["mp"][:3]) if said.get("mp") else None,
        route=_text(found["route"], "route") if good else None,
        root=_text(found["root"], "root") if good else None,
        routes=tuple(_text(route, "route") for route in said.get("routes", ())[:_MOST]),
        anchored={_text(found["root"], "root"): record} if good else {},
        reached={_text(found["route"], "route"): record} if good else {},
        errors={},
    )


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise BadReport(f"has a {what} that is not a text")
    if len(value) > _LONGEST[what]:
        raise BadReport(f"has a {what} of {len(value)} characters, at most {_LONGEST[what]} are possible")
    if not value.isprintable():
        raise BadReport(f"has a {what} with control characters")
    return value


def _few(table: Any) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise BadReport("has routes or roots that are not an object")
    if len(table) > _MOST:
        raise BadReport(f"has {len(table)} routes or roots, at most {_MOST} are possible")
    return table


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise BadReport("has a counter that is not a number")
    return value


def _number(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < 2**31:
        raise BadReport("has a version that is not a number")
    return value


def _time_of(value: Mapping[str, Any]) -> Any:
    return next((value[name] for name in ("at", "ts") if name in value), None)


def _moment(value: Any, now: int) -> int | None:
    """Unix seconds; None for a time that no such report can have: a clock that is not set, or far ahead."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
            value = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
        except ValueError:
            raise BadReport(f"has a time that is none: {value[:40]!r}") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadReport("has a time that is not a number")
    seconds = int(value / 1000 if value > _MILLISECONDS else value)
    return seconds if _EARLIEST <= seconds <= now + _AHEAD else None


_CUT = (12, 20, 40)  # characters to which telemetry.text() cuts a name; 12 in packages of before


class Names:
    """The names of routes and roots that there may be: what telemetry cut is made whole where one name alone begins so. Where several do it
    may be any of them: such a root or route proves nothing and is left out."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)
        self._found: dict[str, str | None] = {}

    def whole(self, device: Device) -> Device:
        """`device`, of a report whose names may be cut, with whole names."""
        if all(self._of(name) == name for name in (*device.anchored, *device.reached, *device.errors)):
            return device
        anchored = self._table(device.anchored)
        root = device.root and self._of(device.root)
        reached, errors = self._table(device.reached), self._table(device.errors)
        return replace(device, anchored=anchored, reached=reached, errors=errors, root=root)

    def _table(self, rows: Mapping[str, Any]) -> dict[str, Any]:
        return {whole: value for name, value in rows.items() if (whole := self._of(name)) is not None}

    def _of(self, name: str) -> str | None:
        if name not in self._found:
            begin = [one for one in self._known if one.startswith(name)] if len(name) in _CUT else []
            self._found[name] = name if not begin else begin[0] if len(begin) == 1 else None
        return self._found[name]
