"""What becomes of a device when a root or an endpoint goes today, or when it gets the set of another phase.

Nothing is told from memory: the device's own policy is run through it (migration/phases.py), from the route by which this device connected
last, over the routes that its set has. Whether it would really get there is another question, and its own counters answer it: an anchor
that has never anchored a connection of this device has proven nothing.

A hundred thousand devices have few different configurations, so each question is asked once for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from provisioning.fleet.device import Device
from provisioning.fleet.sets import UPWARD, Configuration, KnownSets
from provisioning.migration import phases
from provisioning.trust.routes import Route

# What becomes of a device, worst first. Its set has no other way; it has one by which it never connected; nothing is known; it has proven
# another way and has not been seen for a time; it has proven another way; its set does not name what goes.
LOST, UNPROVEN, UNKNOWN, SILENT, SAFE, UNTOUCHED = "lost", "unproven", "unknown", "silent", "safe", "untouched"
FATES = (LOST, UNPROVEN, UNKNOWN, SILENT, SAFE, UNTOUCHED)
NEED = (LOST, UNPROVEN, UNKNOWN)  # whoever needs what goes, or may

ROOT, ENDPOINT, PHASE = "root", "endpoint", "phase"


@dataclass(frozen=True)
class Event:
    """`kind`: a root that nobody's chain ends in any more, an endpoint (host) that does not answer, or a phase that the set changes to."""

    kind: str
    name: str

    def __str__(self) -> str:
        return {ROOT: f"root {self.name} goes", ENDPOINT: f"endpoint {self.name} goes", PHASE: f"phase {self.name}"}[self.kind]


@dataclass(frozen=True)
class Fate:
    """`route`: by which it then connects, where its set is known and has one; `after`: s of silence before it does."""

    word: str
    route: str | None = None
    after: int = 0


@dataclass(frozen=True)
class Today:
    """What endpoints showed when they were asked: (host, port) -> names of the roots by which a device verifies their chain; empty for one
    that does not answer. An endpoint that was not asked is not in it."""

    anchors: Mapping[tuple[str, int], frozenset[str]] = field(default_factory=dict)

    def of(self, route: Route) -> frozenset[str] | None:
        """Of the route's roots; None: nobody asked."""
        found = self.anchors.get((route.host, route.port))
        return None if found is None else found & set(route.roots)


@dataclass(frozen=True)
class _Proofs:
    """What of a device decides its fate. `number`: stands for the configuration, whose routes would be hashed for each device."""

    number: int
    configuration: Configuration | None = field(compare=False)
    route: str | None
    root: str | None
    reached: frozenset[str]
    anchored: frozenset[str]


class Breaks:
    """`events` are asked for each device; `silent_before`: unix seconds, who was not seen since is never counted as safe."""

    def __init__(
        self,
        events: Iterable[Event],
        sets: KnownSets,
        targets: Mapping[str, tuple[Route, ...]],
        silent_before: int,
        today: Today | None = None,
    ) -> None:
        self.events = tuple(events)
        self._sets = sets
        self._targets = targets
        self._silent_before = silent_before
        self._today = today or Today()
        self._asked: dict[_Proofs, tuple[Fate, ...]] = {}

    def of(self, device: Device) -> tuple[Fate, ...]:
        """The fate of `device` at each event."""
        has, places = self._sets.of(device), self._sets.places
        key = _Proofs(
            id(has),
            has,
            device.route,
            device.root,
            frozenset(name for name in device.reached if places.proven(device, has, name)),
            frozenset(name for name, anchor in device.anchored.items() if anchor.good),
        )
        fates = self._asked.get(key)
        if fates is None:
            fates = self._asked[key] = tuple(self._fate(key, event) for event in self.events)
        if (device.seen or 0) < self._silent_before:
            return tuple(Fate(SILENT, fate.route, fate.after) if fate.word == SAFE else fate for fate in fates)
        return fates

    def _fate(self, key: _Proofs, event: Event) -> Fate:
        if event.kind == PHASE:
            return self._moved(key, self._targets[event.name])
        has = key.configuration
        if has is None:
            # Of the set nothing is known but that it connected, the last time, by something that stays.
            other = event.kind == ROOT and key.root is not None and key.root != event.name and key.root in key.anchored
            return Fate(SAFE if other else UNKNOWN, key.route if other else None)
        broken = self._broken(key, has, event)
        if broken is None:
            return Fate(UNTOUCHED)
        for index, route in enumerate(has.routes):
            anchors = self._today.of(route)
            if anchors is not None and not anchors:
                broken.setdefault(index, "network")
        last = has.names.index(key.route) if key.route in has.names else 0
        index_, after = phases.reached(bytes(has.standing), has.silence or UPWARD, last, broken, has.back)
        if index_ is None:
            return Fate(LOST)
        route = has.routes[index_]
        return Fate(SAFE if self._proven(key, has, route, event) else UNPROVEN, route.name, after)

    def _broken(self, key: _Proofs, has: Configuration, event: Event) -> dict[int, str] | None:
        """Number of a route that ends -> kind of the device's error; None where the set does not name what goes."""
        if event.kind == ENDPOINT:
            hit = {index: "network" for index, route in enumerate(has.routes) if route.host == event.name}
            return hit or None
        if event.name not in has.trusts:
            return None
        made = {}
        for index, route in enumerate(has.routes):
            others = set(route.roots) - {event.name}
            today = self._today.of(route)
            if event.name in route.roots and not others & (key.anchored if today is None else today):
                made[index] = "trust"
        return made

    def _moved(self, key: _Proofs, routes: tuple[Route, ...]) -> Fate:
        has = key.configuration
        for route in routes:
            anchors = self._today.of(route)
            there = route.name not in self._sets.places.moved or self._was_there(key, route)
            if there and set(route.roots) & key.anchored and (anchors is None or anchors):
                return Fate(SAFE, route.name)
        if has is not None and has.routes == routes:
            return Fate(UNTOUCHED)  # it has that set
        return Fate(UNPROVEN if has or key.anchored or key.reached else UNKNOWN, routes[0].name)

    def _was_there(self, key: _Proofs, route: Route) -> bool:
        """Whether it has connected by its own route of that name, to the same endpoint."""
        own = key.configuration.routes if key.configuration is not None else ()
        same = any((one.name, one.host, one.port) == (route.name, route.host, route.port) for one in own)
        return same and route.name in key.reached

    def _proven(self, key: _Proofs, has: Configuration, route: Route, event: Event) -> bool:
        """Whether this device has connected by `route`, and by a root of it that stays."""
        gone = {event.name} if event.kind == ROOT else set()
        by_root = bool((set(route.roots) - gone) & key.anchored)
        if route.name in key.reached:
            return by_root or not gone & set(route.roots)
        if route.name in self._sets.places.moved:
            return False
        # Reports that count no routes: a root that belongs to this route alone.
        shared = {root for other in has.routes if other is not route for root in other.roots}
        return by_root and not key.reached and bool((set(route.roots) - gone - shared) & key.anchored)
