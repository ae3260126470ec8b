"""What is known of a fleet: rows that are merged, pages, turns; on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from provisioning.fleet import store as module
from provisioning.fleet.carrier import DONE, WAITING
from provisioning.fleet.device import Anchor, Device
from provisioning.fleet.merge import merged
from provisioning.fleet.records import Member, Plan, Wave
from provisioning.fleet.store import FleetStore
from provisioning.ledger.fleet_tables import DEVICES
from provisioning.ledger.store import Ledger

DELIVERED = Device(
    "p", "ws-1", "ledger", 100, 3, phase="legacy-first", firmware="1.25.0", trusts=("G5", "A1"), routes=("l", "a"), began=100
)
REPORTS = [
    DELIVERED,
    Device("p", "ws-1", "file", 200, 3, route="l", root="G5", anchored={"G5": Anchor(5, 190)}, errors={"a": "network"}),
    Device("p", "ws-1", "mqtt", 300, 4, route="a", root="A1", anchored={"G5": Anchor(6, 210), "A1": Anchor(1, 290)}, errors={"l": "trust"}),
    Device("p", "ws-1", "job", 250, refused=5),
    Device("p", "ws-1", "file", 50, 9, firmware="1.20.0", anchored={"Old": Anchor(99, 40)}),
    Device("p", "ws-1", "file", None, firmware="1.19.0", anchored={"G5": Anchor(2), "Other": Anchor(1)}),
]


def test_reports_make_the_same_row_in_whatever_order(store: FleetStore) -> None:
    """A report from before the board was flashed, and one without a time, prove nothing of the board that it is now."""
    wanted = Device(
        "p",
        "ws-1",
        "mqtt",
        300,
        4,
        refused=5,
        firmware="1.25.0",
        route="a",
        root="A1",
        anchored={"G5": Anchor(6, 210), "A1": Anchor(1, 290)},
        errors={"l": "trust"},
        began=100,
    )
    for number, order in enumerate(itertools.permutations(REPORTS)):
        known = None
        for report in order:
            known = merged(known, report)
        assert known is not None and known.device == wanted, order
        if number % 240 == 0:
            store.put(REPORTS)
            assert list(store.devices("p")) == [wanted]


def test_a_set_goes_as_a_whole(store: FleetStore) -> None:
    store.put([DELIVERED])
    store.put([Device("p", "ws-1", "mqtt", 150, 3)])
    assert next(store.devices("p")).trusts == ("G5", "A1"), "the same version has the same roots"
    store.put([Device("p", "ws-1", "mqtt", 160, 4)])
    after = next(store.devices("p"))
    assert (after.version, after.trusts, after.routes, after.phase) == (4, (), (), None)


def test_the_same_reports_again_change_no_row(store: FleetStore) -> None:
    assert store.put(REPORTS) == 1 and store.put(REPORTS) == 0


def test_pages(store: FleetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 7)
    monkeypatch.setattr(module, "_READ", 7)
    devices = [Device("p", f"ws-{n:03}", "file", n + 1, n % 3 or None, attributes={"site": f"s{n % 2}"}) for n in range(50)]
    assert store.put([*devices, Device("q", "ws-001", "file", 1)]) == 51
    assert list(store.devices("p")) == devices
    assert [device.seen for device in store.devices("p", where=DEVICES.c.version == 2)] == list(range(3, 51, 3))
    assert store.count("p") == 50 and store.count("p", where=DEVICES.c.seen <= 10) == 10
    figures = store.summary("p")
    assert (figures.devices, figures.never, figures.versions) == (50, 0, {"1": 17, "2": 16})


def test_plans_and_their_devices(store: FleetStore) -> None:
    plan = Plan("spring", "p", "0" * 64, "waves: …", 1)
    store.save_plan(plan)
    assert store.plan("spring") == plan and store.plan("autumn") is None
    for wave in (Wave("spring", "rest", 2, "jobs", None, "waiting"), Wave("spring", "canary", 1, "cable", None, "waiting")):
        store.set_wave(wave)
    assert [wave.wave for wave in store.waves("spring")] == ["canary", "rest"]
    store.set_members(Member("spring", f"ws-{n}", "canary" if n < 2 else "rest", WAITING) for n in range(5))
    store.set_members([Member("spring", "ws-1", "canary", DONE, "passed", 7)])
    assert [member.device for member in store.members("spring", "canary", [WAITING])] == ["ws-0"]
    assert store.counts("spring") == {("canary", WAITING): 1, ("canary", DONE): 1, ("rest", WAITING): 3}


def test_one_of_several_gets_the_turn(url: str) -> None:
    Ledger.open(url).close()
    start = threading.Barrier(4)

    def ask(who: int) -> str:
        with Ledger.open(url) as ledger:
            start.wait()
            return FleetStore(ledger).turn("spring", f"host-{who}", 60).holder

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1


def test_a_turn_ends_by_the_clock_of_the_database(store: FleetStore) -> None:
    turn = store.turn("spring", "one", 60)
    assert (turn.holder, turn.left) == ("one", 60)
    assert store.turn("spring", "two", 60).holder == "one"
    store.give_turn("spring", "two")
    assert store.turn("spring", "one", 0).left == 0, "it may be taken again, and may end at once"
    assert store.turn("spring", "two", 60).holder == "two"


def test_a_second_that_ends_meanwhile_is_no_second_of_the_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on whenever it is looked at: a turn has what was asked for, and never less than nothing."""
    seconds = itertools.count(1000)
    monkeypatch.setitem(module._NOW, "sqlite", sa.text("later()"))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        event.listen(ledger._engine, "begin", lambda each: each.connection.create_function("later", 0, lambda: next(seconds)))
        store = FleetStore(ledger)
        assert store.turn("spring", "one", 60).left == 60
        assert store.turn("spring", "two", 60).left > 0
        assert store.turn("spring", "one", 0).left == 0
