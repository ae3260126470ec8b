"""A line that damages bytes is the station's fault: no board is called bad because of it, and none is taken for another."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from provisioning.config.device import load_devices
from provisioning.config.load import load_product
from provisioning.job.flash import flash
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.job.report import Report
from provisioning.ledger.store import Ledger
from provisioning.virtual import VirtualBoard
from tests.flash import products

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")


def run(made: products.Made, port: str) -> Report:
    with Ledger.open(made.ledger) as ledger:
        options = FlashOptions(baud=460_800)  # one rate: how the rates fall is another test's
        return flash(FlashPlan.of(load_product(made.product)), load_devices(made.devices), port, ledger, options)


@pytest.mark.parametrize(("rate", "seed"), [(0.005, 3), (0.01, 1), (0.02, 5)])
def test_a_noisy_line_condemns_no_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: float, seed: int) -> None:
    made = products.at_home(products.make(tmp_path / "product", keep_key=False), monkeypatch)
    with VirtualBoard(paced=False, blank=True, seed=seed) as board:
        board.inject(f"flip={rate}")
        report = run(made, board.port)
        assert (report.code, report.exit_code) == ("line-errors", 3), f"{report.code}: {report.message}"
        with Ledger.open(made.ledger) as ledger:
            assert {entry.fields.get("mac") for entry in ledger.entries()} <= {board.mac}
        board.heal()
        again = run(made, board.port)
        assert (again.outcome, again.device, again.mac) == ("pass", "ws-0001", board.mac), again.message


def test_a_board_that_passed_is_not_lost_to_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = products.at_home(products.make(tmp_path / "product", keep_key=False), monkeypatch)
    with VirtualBoard(paced=False, blank=True, seed=7) as board:
        assert run(made, board.port).outcome == "pass"
        board.inject("flip=0.01")
        report = run(made, board.port)
        assert report.outcome == "pass" or (report.code, report.exit_code) == ("line-errors", 3), f"{report.code}: {report.message}"
        board.heal()
        again = run(made, board.port)
        assert (again.outcome, again.device) == ("pass", "ws-0001"), again.message
