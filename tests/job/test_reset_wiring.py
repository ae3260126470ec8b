"""`reset:` of the board file where `update` and `verify` open the port: boards that this alone resets, lines that are not to be pulled."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from provisioning.config.load import load_product
from provisioning.job.prompt_session import wiring_of
from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.link.port import open_port
from provisioning.virtual import VirtualBoard
from tests.job.conftest import Bench, put
from tests.support.product_files import write_product


def with_reset(bench: Bench, reset: str) -> Any:
    (bench.folder / "ours.yaml").write_text(f"extends: virtual-esp32\nreset: {reset}\n")
    return load_product(write_product(bench.folder, bench.text.replace("virtual-esp32", "./ours.yaml")))


def test_lines_that_lead_straight_to_the_chip(tmp_path: Path) -> None:
    with VirtualBoard(paced=False, clock="host", straight=True) as board:
        bench = Bench(board, tmp_path)
        product = with_reset(bench, "{lines: released}")
        for report in (update(product, bench.device, board.rfc2217), verify(board.rfc2217, product, bench.device)):
            assert report.outcome == "pass", report.message
            assert report.wire["seconds"] < 5.0, "the chip was not held in reset until other ways had been tried"


def test_lines_that_are_not_to_be_pulled(bench: Bench) -> None:
    for reset, pulled in (("{before: no-reset}", False), ("{}", True)):
        bench.board.clear_counters()
        with open_port(bench.board.rfc2217, wiring_of(with_reset(bench, reset))) as wire:
            assert wire.reset_board() is pulled
            time.sleep(0.1)  # the capacitor at EN
        assert bench.board.counters()["resets"] == int(pulled)


FAST = "import machine\nmachine.UART(0, baudrate=460800)\n"


def test_a_prompt_at_a_rate_of_its_own(tmp_path: Path) -> None:
    """`baud.repl`: a boot.py that sets the rate of the prompt's UART, and a bridge of a maker's own ids."""
    with VirtualBoard(paced=False, clock="host") as board:
        bench = Bench(board, tmp_path)
        put(bench, "/boot.py", FAST)
        board.power_off()
        board.power_on()
        (tmp_path / "ours.yaml").write_text("extends: virtual-esp32\nbaud: {repl: 460800}\n")
        product = load_product(write_product(tmp_path, bench.text.replace("virtual-esp32", "./ours.yaml")))
        for report in (update(product, bench.device, board.rfc2217), verify(board.rfc2217, product, bench.device)):
            assert report.outcome == "pass", report.message
            assert not any("rate" in note for note in report.notes), report.notes
