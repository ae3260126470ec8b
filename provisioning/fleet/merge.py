"""Two reports of one device become one row, in whatever order they come: each part of it is what the newest report said that spoke of it.

A device's counters only grow, so the highest value is the newest; a health file that was damaged and begun anew takes no proof away. What
ends a series is the ledger: a board that was flashed, or another board of the same name (`began`), has proven nothing yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from provisioning.fleet.device import Anchor, Device, Span

# Part of a row -> the fields that a report says together.
_PARTS = {
    "last": ("route", "root"),
    "firmware": ("firmware",),
    "refused": ("refused",),
    "errors": ("errors",),
    "attributes": ("attributes",),
}
_SET = ("version", "phase", "trusts", "routes")
_VERSIONS = 8  # of a device, of which it is remembered when it had them


@dataclass(frozen=True)
class Known:
    """`when`: part -> time of the report that said it, where that is another than `device.seen`."""

    device: Device
    when: Mapping[str, int] = field(default_factory=dict)

    def at(self, part: str) -> int:
        """When that was said; 0: in a report without a time."""
        return self.when.get(part, self.device.seen or 0)


def merged(old: Known | None, new: Device) -> Known:
    """What is known with `new`. A report without a time counts as older than every other; so does one of before the device began."""
    if old is None:
        return Known(new)
    if (new.seen or 0) < (old.device.began or 0):
        return replace(old, device=replace(old.device, attributes=old.device.attributes or new.attributes))
    had, at = old.device, new.seen or 0
    if (new.began or 0) > (had.began or 0):
        had = _restarted(had, new.began or 0)
    times = {part: old.at(part) for part in (*_PARTS, "set")}
    values: dict[str, Any] = {}
    if _speaks(new, _SET) and (at >= times["set"] or not _speaks(had, _SET)):
        values |= _set(had, new)
        times["set"] = at
    elif new.version is not None and new.version == had.version:
        values |= _set(new, had)
    for part, names in _PARTS.items():
        if _speaks(new, names) and (at >= times[part] or not _speaks(had, names)):
            values |= {name: getattr(new, name) for name in names}
            times[part] = at
    latest = at >= (had.seen or 0)
    values |= {
        "seen": max(filter(None, (had.seen, new.seen)), default=None),
        "source": new.source if latest else had.source,
        "anchored": _higher(had.anchored, new.anchored),
        "reached": _higher(had.reached, new.reached),
        "began": max(filter(None, (had.began, new.began)), default=None),
        "spans": _together(had.spans, new.spans),
    }
    made = replace(had, **values)
    spoken = {part: names for part, names in {**_PARTS, "set": _SET}.items() if times[part] != (made.seen or 0)}
    return Known(made, {part: times[part] for part, names in spoken.items() if _speaks(made, names)})


def _speaks(device: Device, names: tuple[str, ...]) -> bool:
    return any(getattr(device, name) not in (None, (), {}) for name in names)


def _set(old: Device, new: Device) -> dict[str, Any]:
    """Version, phase, roots and routes go together: of another version, nothing of the older set is left."""
    same = new.version is None or new.version == old.version
    return {name: getattr(new, name) or (getattr(old, name) if same else Device.__dataclass_fields__[name].default) for name in _SET}


def _restarted(had: Device, began: int) -> Device:
    """Without what was proven before `began`, or nobody knows when."""

    def later(rows: Mapping[str, Anchor]) -> dict[str, Anchor]:
        return {name: anchor for name, anchor in rows.items() if (anchor.at or 0) >= began}

    had = replace(had, anchored=later(had.anchored), reached=later(had.reached), spans=_after(had.spans, began))
    return had if (had.seen or 0) >= began else replace(had, route=None, root=None, errors={}, refused=None)


def _after(spans: Mapping[int, Span], began: int) -> dict[int, Span]:
    """Those of this board alone: with counters of before, it would be known to have had a version too early."""
    return {version: span for version, span in spans.items() if span.since >= began}


def _together(one: Mapping[int, Span], other: Mapping[int, Span]) -> Mapping[int, Span]:
    if not other:
        return one
    made = {version: one[version].with_(span) if version in one else span for version, span in {**one, **other}.items()}
    return {version: made[version] for version in sorted(made)[-_VERSIONS:]}


def _higher(one: Mapping[str, Anchor], other: Mapping[str, Anchor]) -> dict[str, Anchor]:
    made = dict(one)
    for name, anchor in other.items():
        had = made.get(name)
        if had is None:
            made[name] = anchor
        else:
            made[name] = Anchor(max(had.good, anchor.good), max(filter(None, (had.at, anchor.at)), default=None))
    return made


# As a row of the table.


def as_row(known: Known) -> dict[str, Any]:
    """The columns; what is empty takes no space."""
    device = known.device
    evidence = {
        "trusts": list(device.trusts),
        "routes": list(device.routes),
        "anchored": {name: [anchor.good, anchor.at] for name, anchor in device.anchored.items()},
        "reached": {name: [anchor.good, anchor.at] for name, anchor in device.reached.items()},
        "errors": dict(device.errors),
        "began": device.began,
        "spans": {str(version): [span.since, span.counters] for version, span in device.spans.items()},
        "when": dict(known.when),
    }
    return {
        **{name: getattr(device, name) for name in COLUMNS},
        "evidence": _json({name: value for name, value in evidence.items() if value}),
        "attributes": _json(dict(device.attributes)),
    }


COLUMNS = ("product", "device", "source", "seen", "version", "refused", "phase", "firmware", "route", "root")


def of_row(row: Any) -> Known:
    """The row as it was put; `row` has the columns in the order of COLUMNS, then evidence and attributes."""
    product, device, source, seen, version, refused, phase, firmware, route, root, text, attributes = row
    evidence, _ = _decode(text)
    made = Device(
        product,
        device,
        source,
        seen,
        version,
        refused,
        phase,
        firmware,
        route,
        root,
        trusts=tuple(evidence.get("trusts", ())),
        routes=tuple(evidence.get("routes", ())),
        anchored={name: Anchor(*anchor) for name, anchor in evidence.get("anchored", {}).items()},
        reached={name: Anchor(*anchor) for name, anchor in evidence.get("reached", {}).items()},
        errors=evidence.get("errors", {}),
        attributes=_attributes(attributes),
        began=evidence.get("began"),
        spans={int(version): _span(*row) for version, row in evidence["spans"].items()} if "spans" in evidence else {},
    )
    return Known(made, evidence.get("when", {}))


_decode = json.JSONDecoder().raw_decode  # what was encoded here needs no look at what surrounds it


@lru_cache(maxsize=1024)
def _attributes(text: str) -> Mapping[str, str]:
    """Many devices have the same, a site or a customer; nobody changes them."""
    found: Mapping[str, str] = json.loads(text)
    return found


def _span(since: int, counters: dict[str, list[int]]) -> Span:
    return Span(since, {name: (row[0], row[1], row[2], row[3]) for name, row in counters.items()})


_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, sort_keys=True).encode
