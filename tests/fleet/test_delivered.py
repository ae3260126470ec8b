"""What the ledger's own rows say of a fleet."""

from __future__ import annotations

from pathlib import Path

from provisioning.fleet.delivered import Delivered
from provisioning.fleet.device import Anchor, Device
from provisioning.fleet.merge import merged
from provisioning.ledger.entry import INTENT, OUTCOME
from provisioning.ledger.store import Ledger
from tests.support.fleet_lines import A1, A3, ATS, G5, LEGACY

ABOUT = {"product": "fleet", "version": 2, "endpoints": [f"{LEGACY}:8883", f"{ATS}:8883"], "roots": {G5: "0", A1: "1", A3: "3"}}


def passed(ledger: Ledger, attempt: str, device: str, mac: str, job: str, outcome: str = "pass", **more: object) -> None:
    of = {"device": device, "mac": mac, "job": job, "product": "fleet"}
    ledger.append(INTENT, attempt * 32, {**ABOUT, **of, "firmware_version": "1.26.1", **more})
    ledger.append(OUTCOME, attempt * 32, {**of, "outcome": outcome, "wrote": True})


def test_boards_that_passed(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        passed(ledger, "a", "ws-1", "m1", "flash")
        passed(ledger, "b", "ws-2", "m2", "flash", "fail")
        passed(ledger, "c", "ws-1", "m1", "update", version=3, endpoints=[f"{ATS}:8883"], roots={A1: "1", A3: "3"})
        passed(ledger, "d", "ws-1", "m9", "update")
        passed(ledger, "e", "ws-3", "m3", "update", version=4, roots={"OfABench": "1", "OfAnotherBench": "2"})
        rows = Delivered(ledger, "fleet")
        first, second, third, bench = rows.devices()
    assert (first.device, first.phase, first.version, first.firmware) == ("ws-1", "legacy-first", 2, "1.26.1")
    assert first.trusts == (G5, A1, A3) and first.routes == ("legacy", "ats")
    assert first.began == first.seen, "a flash begins anew"
    assert (second.phase, second.began) == ("ats-only", None), "an update leaves what was counted"
    assert third.began == third.seen, "another board has proven nothing"
    assert (bench.version, bench.routes) == (4, ()), "which root anchors which route is not in the row"
    assert {one.version for one in rows.sets} == {2, 3}


def test_what_a_board_proved_before_it_was_flashed_is_forgotten() -> None:
    report = Device("fleet", "ws-1", "file", 100, anchored={A1: Anchor(5, 90)}, reached={"ats": Anchor(5, 90)}, route="ats")
    flashed = Device("fleet", "ws-1", "ledger", 200, 2, began=200)
    for order in ((report, flashed), (flashed, report)):
        known = None
        for each in order:
            known = merged(known, each)
        assert known is not None and not known.device.anchored and not known.device.reached and known.device.route is None
