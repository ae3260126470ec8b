"""A route's name that moves to another host: what was counted there before proves nothing of the new one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from provisioning.fleet.breaks import PHASE, ROOT, Breaks, Event
from provisioning.fleet.device import Anchor, Device
from provisioning.fleet.merge import as_row, merged, of_row
from provisioning.fleet.sets import Configuration, KnownSets
from provisioning.trust.routes import Route
from tests.support.fleet_lines import A1, ATS, G5, LEGACY

ELSEWHERE = ATS.replace("us-east-1", "eu-west-1")
STAYS = Route("legacy", LEGACY, 8883, (G5,))


def configuration(version: int, host: str) -> Configuration:
    return Configuration(version, (STAYS, Route("ats", host, 8883, (A1,))), (0, 2), "upward")


# Version 4 goes elsewhere, 5 too, 6 comes back.
SETS = KnownSets(configuration(version, host) for version, host in ((3, ATS), (4, ELSEWHERE), (5, ELSEWHERE), (6, ATS)))


def report(version: int, seen: int, good: int, at: int | None = None) -> Device:
    """As the collector makes it: telemetry, or health with the time of the last connection."""
    counted = {"legacy": Anchor(9), "ats": Anchor(good, at)}
    made = Device("p", "ws-1", "file", seen, version, route="legacy", anchored={G5: Anchor(9), A1: Anchor(good, at)}, reached=counted)
    return SETS.places.noted(made, seen)


def known(*reports: Device) -> Device:
    found = None
    for each in reports:
        found = merged(found, each)
        row = as_row(found)
        found = of_row((*(row[name] for name in list(row)[:-2]), row["evidence"], row["attributes"]))
    assert found is not None
    return found.device


@pytest.mark.parametrize(
    ("reports", "proven"),
    [
        ([report(3, 100, 7)], True),  # nothing older led elsewhere
        ([report(3, 100, 7), report(4, 200, 7)], False),
        ([report(4, 200, 7)], False),  # what it had before, nobody collected
        ([report(3, 100, 7), report(4, 200, 8)], False),  # the one more may have been before the update
        ([report(3, 100, 7), report(4, 200, 8), report(4, 300, 9)], True),
        ([report(4, 200, 8), report(5, 300, 9)], True),  # both lead there
        ([report(4, 200, 9), report(4, 300, 2)], False),  # counted anew
        ([report(4, 200, 7, 150)], False),
        ([report(4, 200, 7, 150), report(4, 300, 8, 250)], True),
        ([report(4, 200, 7), report(4, 300, 8), report(6, 400, 8)], False),
        ([report(4, 200, 7), report(4, 300, 8), report(6, 400, 8), report(6, 500, 9)], True),
        ([report(3, 100, 7), report(4, 200, 7), report(4, 250, 8), report(3, 300, 9)], False),  # by cable, back to an older set
        ([replace(report(4, 150, 0), reached={}, anchored={}), report(4, 300, 1, 200)], True),  # the ledger's row, and a connection since
        ([report(4, 120, 7, 110), Device("p", "ws-1", "ledger", 150, 4, began=150), report(4, 200, 3, 190)], False),  # flashed since
    ],
)
def test_proof_is_of_the_host_that_it_leads_to(reports: Sequence[Device], proven: bool) -> None:
    device = known(*reports)
    assert SETS.places.proven(device, SETS.of(device), "ats") is proven
    assert SETS.places.proven(device, SETS.of(device), "legacy"), "a name that stayed"
    fate = Breaks([Event(ROOT, G5)], SETS, {}, 0).of(device)[0]
    assert (fate.word, fate.route) == ("safe" if proven else "unproven", "ats")


def test_in_whatever_order_they_come() -> None:
    reports = [report(3, 100, 7), report(4, 200, 8, 190), report(4, 300, 9, 250), report(5, 400, 9, 250)]
    assert len({repr(known(*order)) for order in itertools.permutations(reports)}) == 1


def test_a_phase_at_another_host_is_not_proven_here() -> None:
    there = Breaks([Event(PHASE, "ats-only")], SETS, {"ats-only": (Route("ats", ELSEWHERE, 8883, (A1,)),)}, 0)
    assert there.of(known(report(3, 100, 7)))[0].word == "unproven"
    assert there.of(known(report(4, 200, 8), report(4, 300, 9)))[0].word == "safe"


def test_where_no_name_moved_nothing_more_is_remembered() -> None:
    sets = KnownSets(configuration(version, ATS) for version in (3, 4))
    plain = Device("p", "ws-1", "file", 100, 4, reached={"ats": Anchor(1)})
    assert sets.places.noted(plain, 100) is plain and sets.places.proven(plain, sets.of(plain), "ats")
