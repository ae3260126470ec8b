"""What is known of one device of a fleet. Rows of this shape are all that plans, waves and figures are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Anchor:
    """A root's record on one device, or a route's: connections by it, and when the last one was (unix seconds; None: not known)."""

    good: int
    at: int | None = None


@dataclass(frozen=True)
class Span:
    """A version on one device. `since`: the earliest time at which it is known to have had it, unix seconds; `counters`: of routes whose
    name moved to another endpoint (places.py): lowest counter, time of that report, highest, time of that."""

    since: int
    counters: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)

    @property
    def until(self) -> int:
        """The latest time at which the device is known to have had the version."""
        return max(self.since, *(row[3] for row in self.counters.values()), 0)

    def with_(self, other: Span) -> Span:
        """What both know."""
        counters = dict(self.counters)
        for name, row in other.counters.items():
            had = counters.get(name, row)
            counters[name] = (*min(had[:2], row[:2]), *max(had[2:], row[2:]))
        return Span(min(self.since, other.since), counters)


@dataclass(frozen=True)
class Device:
    """`seen`: last sign of life, unix seconds, None: never. `trusts`: names of the roots in its set, empty where not known;
    `anchored`: what roots have proven; `reached`: the same of routes; `errors`: route -> kind of its last error; `attributes`: its row of
    the list of devices. `began`: when this board began as this device (flashed, or given to another board), unix seconds: what was
    reported before that says nothing of it. `spans`: version -> what is remembered of it, where a route's name moved."""

    product: str
    device: str
    source: str
    seen: int | None = None
    version: int | None = None
    refused: int | None = None
    phase: str | None = None
    firmware: str | None = None
    route: str | None = None
    root: str | None = None
    trusts: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    anchored: Mapping[str, Anchor] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    reached: Mapping[str, Anchor] = field(default_factory=dict)
    began: int | None = None
    spans: Mapping[int, Span] = field(default_factory=dict)
