"""What is known of a fleet: rows that are merged, pages, turns; on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from provisioning.fleet import store as module
from provisioning.fleet.device import Anchor, Device
from provisioning.fleet.merge import merged
from provisioning.fleet.plan_rows import PlanBusy, PlanRows
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


def test_one_of_several_gets_the_turn(url: str) -> None:
    Ledger.open(url).close()
    start = threading.Barrier(4)

    def ask(who: int) -> bool:
        with Ledger.open(url) as ledger:
            start.wait()
            return takes(PlanRows(ledger), f"host-{who}", 60)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(4))) == [False, False, False, True]


def test_a_turn_ends_by_the_clock_of_the_database(url: str) -> None:
    with Ledger.open(url) as ledger:
        rows = PlanRows(ledger)
        assert takes(rows, "one", 60) and not takes(rows, "two", 60)
        rows.give_turn("spring", "two")
        assert not takes(rows, "two", 60), "only who has it gives it back"
        assert takes(rows, "one", 0), "it may be taken again, and may end at once"
        assert takes(rows, "two", 60)


def takes(rows: PlanRows, holder: str, seconds: int) -> bool:
    """Whether `holder` gets the turn."""
    try:
        rows.take_turn("spring", holder, seconds)
    except PlanBusy as busy:
        assert "works on the plan spring, and has its turn for" in busy.message
        return False
    return True
