"""Where the routes of a product lead, version by version.

A device counts connections by a route's name. A name that a later version gives to another endpoint takes its counter along, and what was
counted before says nothing of the endpoint now. So of such names it is remembered, version by version, when a device had it and what its
counter was: a connection belongs to an endpoint when it was later than the version, or when the counter grew while the device had it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from provisioning.fleet.device import Device, Span
from provisioning.trust.routes import Route

_Endpoint = tuple[str, int]  # host, port


class Routed(Protocol):
    """What is asked of a set here (sets.Configuration)."""

    @property
    def version(self) -> int:
        """Of the set."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """In order of preference."""


class Places:
    """`moved`: names of routes that lead to different endpoints in different sets."""

    def __init__(self, configurations: Iterable[Routed]) -> None:
        self._led: dict[str, dict[int, set[_Endpoint]]] = {}  # route -> version -> endpoints
        for one in configurations:
            for route in one.routes:
                self._led.setdefault(route.name, {}).setdefault(one.version, set()).add((route.host, route.port))
        self.moved = frozenset(name for name, versions in self._led.items() if len(set().union(*versions.values())) > 1)

    def noted(self, device: Device, at: int | None) -> Device:
        """A report with what is to be remembered of its version. `at`: when it was made, unix seconds; None: nobody knows."""
        if not self.moved or device.version is None or at is None:
            return device
        counters = {name: (row.good, at, row.good, at) for name, row in device.reached.items() if name in self.moved}
        return replace(device, spans={device.version: Span(at, counters)})

    def proven(self, device: Device, has: Routed | None, name: str) -> bool:
        """Whether this device, whose set is `has`, connected by the route `name` to where that leads now."""
        if name not in device.reached or not device.reached[name].good:
            return False
        if name not in self.moved:
            return True
        route = next((one for one in has.routes if one.name == name), None) if has is not None else None
        if has is None or route is None:
            return False
        first = self._first(has.version, route)
        if first is None:
            return False
        mine = [span for version, span in device.spans.items() if first <= version <= has.version]
        others = [span for version, span in device.spans.items() if not first <= version <= has.version]
        if not others and first == 0:
            return True  # no set that it can have had led elsewhere
        since = min((span.since for span in mine), default=None)
        # A device that came back from another version may have counted for that in between.
        if since is None or any(span.until >= since for span in others):
            return False
        at = device.reached[name].at
        rows = [span.counters[name] for span in mine if name in span.counters]
        return (at is not None and at >= since) or _grew(rows)

    def _first(self, version: int, route: Route) -> int | None:
        """The first version of those in a row, up to this one, in which the name leads where `route` does; 0: every older one does. None
        where sets of this very version differ."""
        wanted = {(route.host, route.port)}
        led = self._led[route.name]
        if led.get(version) != wanted:
            return None
        return max((older + 1 for older, places in led.items() if older < version and places != wanted), default=0)


def _grew(rows: list[tuple[int, int, int, int]]) -> bool:
    """Whether a later report has a higher counter than an earlier one."""
    if not rows:
        return False
    low, low_at = min((row[0], row[1]) for row in rows)
    high, high_at = max((row[2], row[3]) for row in rows)
    return high > low and high_at > low_at
