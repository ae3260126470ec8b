"""What becomes of a device when something goes: by the device's own rules, and by what it has proven."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioning.fleet.breaks import ENDPOINT, PHASE, ROOT, Breaks, Event, Fate, Today
from provisioning.fleet.device import Anchor, Device
from provisioning.fleet.sets import UNSAID, Configuration, KnownSets, of_body
from provisioning.trust.routes import Route, derive
from tests.support.fleet_lines import A1, A3, ATS, G5, LEGACY

NOW = 1_800_000_000
PHASES = {phase: derive(ATS, 8883, phase) for phase in ("legacy-only", "legacy-first", "ats-first", "ats-only")}
STANDING = {"legacy": 0, "ats": 2}
SETS = KnownSets(
    Configuration(number, routes, tuple(STANDING[route.name] for route in routes), "upward")
    for number, routes in enumerate(PHASES.values(), 1)
)
LEGACY_ONLY, LEGACY_FIRST, ATS_FIRST, ATS_ONLY = 1, 2, 3, 4
NEW = Device("p", "ws-1", "ledger", NOW)
BY_LEGACY = replace(NEW, route="legacy", root=G5, anchored={G5: Anchor(9)}, reached={"legacy": Anchor(9)})
BY_BOTH = replace(NEW, route="ats", root=A1, anchored={G5: Anchor(9), A1: Anchor(1)}, reached={"legacy": Anchor(9), "ats": Anchor(1)})


def fate(device: Device, event: Event, today: Today | None = None, silent_before: int = 0) -> Fate:
    return Breaks([event], SETS, PHASES, silent_before, today).of(device)[0]


def word(device: Device, event: Event, today: Today | None = None, silent_before: int = 0) -> str:
    return fate(device, event, today, silent_before).word


@pytest.mark.parametrize(
    ("version", "device", "verisign", "amazon"),
    [
        (LEGACY_ONLY, BY_LEGACY, "lost", "untouched"),
        (LEGACY_FIRST, NEW, "unproven", "unproven"),
        (LEGACY_FIRST, BY_LEGACY, "unproven", "safe"),
        (LEGACY_FIRST, BY_BOTH, "safe", "safe"),
        (ATS_FIRST, BY_BOTH, "safe", "safe"),
        (ATS_ONLY, replace(BY_BOTH, root=A1), "untouched", "lost"),
        (None, NEW, "unknown", "unknown"),
        (None, BY_LEGACY, "unknown", "safe"),  # the last thing that is known is a connection by what stays
        (None, BY_BOTH, "safe", "unknown"),
        (9, BY_LEGACY, "unknown", "safe"),  # a version that nobody knows
    ],
)
def test_a_root_goes(version: int | None, device: Device, verisign: str, amazon: str) -> None:
    device = replace(device, version=version)
    assert word(device, Event(ROOT, G5)) == verisign
    assert word(device, Event(ROOT, A1)) == amazon


@pytest.mark.parametrize(
    ("version", "device", "host", "wanted"),
    [
        (LEGACY_FIRST, BY_BOTH, LEGACY, Fate("safe", "ats")),  # it connected by ats last
        (LEGACY_FIRST, BY_LEGACY, LEGACY, Fate("unproven", "ats", 60)),  # silence opens a route of better standing, after a minute
        (ATS_FIRST, BY_BOTH, ATS, Fate("lost")),  # and none of a worse one
        (ATS_ONLY, BY_BOTH, LEGACY, Fate("untouched")),
        (LEGACY_ONLY, BY_LEGACY, LEGACY, Fate("lost")),
    ],
)
def test_an_endpoint_goes(version: int, device: Device, host: str, wanted: Fate) -> None:
    assert fate(replace(device, version=version), Event(ENDPOINT, host)) == wanted


def test_a_silent_preferred_route_comes_back_to_one_that_left_it() -> None:
    """A device that left the legacy route tries it again after an hour: should ats fall silent then, it connects by that."""
    device = replace(BY_BOTH, version=LEGACY_FIRST)
    assert fate(device, Event(ENDPOINT, ATS)) == Fate("safe", "legacy", 3600)


@pytest.mark.parametrize(("back", "after"), [(600, 600), (30, 30), (None, 3600)])
def test_the_time_of_return_is_the_set_s_own(back: int | None, after: int) -> None:
    """Also of a set that the store has, and where a row of the ledger, which does not know it, says the same version."""
    has = replace(next(one for one in SETS if one.version == LEGACY_FIRST), back=back)
    row = replace(has, silence=UNSAID, back=None)
    sets = KnownSets([of_body(has.body), of_body(row.body)])
    device = replace(BY_BOTH, version=LEGACY_FIRST)
    assert sets.of(device) == has
    assert Breaks([Event(ENDPOINT, ATS)], sets, {}, 0).of(device)[0] == Fate("safe", "legacy", after)


def test_a_phase_needs_a_root_of_it_to_be_proven() -> None:
    assert [word(replace(BY_LEGACY, version=2), Event(PHASE, phase)) for phase in PHASES] == ["safe", "safe", "safe", "unproven"]
    assert word(NEW, Event(PHASE, "ats-only")) == "unknown"
    assert word(replace(NEW, version=2), Event(PHASE, "ats-only")) == "unproven"


def test_who_is_silent_is_never_safe() -> None:
    device = replace(BY_BOTH, version=ATS_FIRST, seen=NOW - 100)
    assert word(device, Event(ROOT, G5), silent_before=NOW - 99) == "silent"
    assert word(device, Event(ROOT, G5), silent_before=NOW - 100) == "safe"
    assert word(replace(device, seen=None), Event(ROOT, G5), silent_before=1) == "silent"
    assert word(replace(BY_LEGACY, version=LEGACY_ONLY, seen=None), Event(ROOT, G5), silent_before=1) == "lost"


def test_the_root_that_stays_is_the_one_that_was_used() -> None:
    """A route has two roots, and loses one: it goes on where the device has used the other, or the endpoint shows that it could."""
    only_a1 = replace(BY_BOTH, version=ATS_ONLY)
    both = replace(only_a1, anchored={A1: Anchor(5), A3: Anchor(1)})
    assert word(both, Event(ROOT, A1)) == "safe"
    assert word(only_a1, Event(ROOT, A1)) == "lost"
    assert word(only_a1, Event(ROOT, A1), Today({(ATS, 8883): frozenset({A1, A3})})) == "unproven"
    assert word(both, Event(ROOT, A1), Today({(ATS, 8883): frozenset({A1})})) == "lost", "its chain has changed since"


def test_an_endpoint_that_does_not_answer_today_saves_nobody() -> None:
    device = replace(BY_BOTH, version=ATS_FIRST)
    assert word(device, Event(ROOT, G5), Today({(ATS, 8883): frozenset()})) == "lost"
    assert word(device, Event(PHASE, "ats-only"), Today({(ATS, 8883): frozenset()})) == "unproven"


def test_routes_that_share_a_root_are_proven_apart() -> None:
    """Two endpoints under one root: a connection to the one proves nothing of the other."""
    routes = (Route("here", "a.example", 8883, ("R",)), Route("there", "b.example", 8883, ("R",)))
    sets = KnownSets([Configuration(1, routes, (2, 2), "any")])
    device = replace(NEW, version=1, route="here", root="R", anchored={"R": Anchor(5)}, reached={"here": Anchor(5)})
    event = Event(ENDPOINT, "a.example")
    assert Breaks([event], sets, {}, 0).of(device)[0].word == "unproven"
    went = replace(device, reached={"here": Anchor(5), "there": Anchor(1)})
    assert Breaks([event], sets, {}, 0).of(went)[0].word == "safe"


def test_sets_of_one_version_that_differ_are_told_apart_or_unknown() -> None:
    """A product file was changed and its version was not."""
    sets = KnownSets(
        Configuration(1, routes, tuple(STANDING[route.name] for route in routes), "upward")
        for routes in (PHASES["legacy-first"], PHASES["ats-only"])
    )
    device = replace(NEW, version=1)
    assert sets.of(device) is None
    assert sets.of(replace(device, routes=("ats",))) is not None
    found = sets.of(replace(device, root=G5))
    assert found is not None and found.phase == "legacy-first", "who was anchored by that root has it"
