"""A line that damages, a port that goes, worn flash, a chip that stops: the right outcome and code, and PASS when it heals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from provisioning.config.device import load_devices
from provisioning.config.load import load_product
from provisioning.flash import baud
from provisioning.job.flash import flash
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.job.report import Report
from provisioning.ledger.store import Ledger
from provisioning.link.events import Event
from provisioning.virtual import VirtualBoard
from tests.flash import products

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")


@pytest.fixture
def board() -> Iterator[VirtualBoard]:
    with VirtualBoard(paced=False, blank=True, seed=7) as running:
        yield running


def run(made: products.Made, port: str, events: Callable[[Event], None], options: FlashOptions | None = None) -> Report:
    with Ledger.open(made.ledger) as ledger:
        return flash(FlashPlan.of(load_product(made.product)), load_devices(made.devices)[:1], port, ledger, options, events)


def at_rate(number: int, do: Callable[[], object]) -> Callable[[Event], None]:
    """Do something when esptool is started for the `number`th time."""
    rates: list[int] = []

    def listen(event: Event) -> None:
        if event.kind == "baud":
            rates.append(event.data["baud"])
            if len(rates) == number:
                do()

    return listen


def both(*listeners: Callable[[Event], None]) -> Callable[[Event], None]:
    def listen(event: Event) -> None:
        for one in listeners:
            one(event)

    return listen


@pytest.mark.parametrize("fault", ["flip=0.01:in", "drop=0.01:in", "flip=0.05:out", "stuck@9000:in", "reset@12000:in"])
def test_a_lower_rate_is_tried_and_remembered(made: products.Made, board: VirtualBoard, fault: str) -> None:
    """The fault is there during the first session only, as on an adapter that does not take the rate."""
    report = run(made, board.port, both(at_rate(1, lambda: board.inject(fault)), at_rate(2, board.heal)))
    assert report.outcome == "pass", f"{report.code}: {report.message}"
    assert report.wire["rates_tried"] == 2 and report.wire["baud"] == 1_500_000
    assert baud.ladder(load_product(made.product).board, baud.adapter(board.port))[0] == 1_500_000


def test_a_line_that_never_heals_is_the_stations_fault(made: products.Made, board: VirtualBoard) -> None:
    report = run(made, board.port, at_rate(1, lambda: board.inject("flip=0.02:in")), FlashOptions(baud=115_200))
    assert (report.outcome, report.code, report.exit_code) == ("error", "line-errors", 3), report.message
    board.heal()
    assert run(made, board.port, lambda _event: None).outcome == "pass"


def test_worn_flash_is_the_boards_fault(made: products.Made, board: VirtualBoard) -> None:
    board.load_flash(0x12000, bytes(4096))  # a sector inside the application that holds something, and cannot be erased any more
    board.inject(f"worn={0x12}")
    report = run(made, board.port, lambda _event: None)
    assert (report.outcome, report.exit_code) == ("fail", 1), f"{report.code}: {report.message}"
    assert report.code == "flash-mismatch"


def test_a_port_that_comes_back_under_another_name(made: products.Made, board: VirtualBoard) -> None:
    def unplug(event: Event) -> None:
        if event.kind == "bytes":
            board.unplug()

    report = run(made, board.port, unplug)
    assert report.outcome == "error" and report.code in ("port-lost", "port-gone"), f"{report.code}: {report.message}"
    board.plug()
    again = run(made, board.port, lambda _event: None)
    assert again.outcome == "pass" and again.device == report.device


def test_a_port_that_is_in_use(made: products.Made, board: VirtualBoard) -> None:
    import serial

    with serial.Serial(board.pty, exclusive=True):
        report = run(made, board.pty, lambda _event: None)
    assert (report.outcome, report.code, report.exit_code) == ("error", "port-busy", 3), report.message
