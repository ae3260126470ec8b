"""A board that was written and does not do what it should: the right word, the right exit code, and PASS once it is healed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from provisioning.config.device import load_devices
from provisioning.config.load import load_product
from provisioning.flash import loader_access as line_module
from provisioning.flash import process
from provisioning.job import flash as flash_module
from provisioning.job.flash import flash
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.job.report import Report
from provisioning.ledger.store import Ledger
from provisioning.virtual import VirtualBoard
from tests.flash import products

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")


def run(made: products.Made, port: str) -> Report:
    with Ledger.open(made.ledger) as ledger:
        return flash(FlashPlan.of(load_product(made.product)), load_devices(made.devices)[:1], port, ledger, FlashOptions(baud=921_600))


def before_the_start(monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    """Something happens to the board after the write and before its program starts."""
    start = line_module.LoaderAccess.start

    def changed(self: line_module.LoaderAccess) -> None:
        do()
        start(self)

    monkeypatch.setattr(line_module.LoaderAccess, "start", changed)


def test_a_boot_loader_that_loops(made: products.Made, board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash_module, "BOOT_SECONDS", 3.0)
    before_the_start(monkeypatch, lambda: board.load_flash(0x1000, b"\xff" * 4096))
    report = run(made, board.port)
    assert (report.outcome, report.code, report.exit_code) == ("fail", "no-firmware", 1), report.message
    monkeypatch.undo()


def test_an_application_that_resets_the_board_for_ever(made: products.Made, board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Firmware and files are right, and the board never stays up: its own boot.py sees to that."""
    monkeypatch.setattr(flash_module, "BOOT_SECONDS", 3.0)
    (made.folder / "boot.py").write_text("import micropython,machine\nmicropython.kbd_intr(-1)\nmachine.reset()\n")
    text = made.product.read_text()
    made.product.write_text(text + "app: {boot: boot.py}\n")
    report = run(made, board.port)
    assert (report.outcome, report.code, report.exit_code) == ("fail", "crash-loop", 1), f"{report.code}: {report.message}"
    made.product.write_text(text)
    healed = run(made, board.port)
    assert healed.outcome == "pass" and healed.device == report.device, healed.message


def test_a_board_that_reports_another_product(
    made: products.Made, board: VirtualBoard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = products.make(tmp_path / "other")
    other.product.write_text(other.product.read_text().replace("product: weather-station", "product: door-bell"))
    with VirtualBoard(paced=False, blank=True) as second:
        assert run(other, second.port).outcome == "pass"
        foreign = second.read_flash(0x200000, 0x200000)

    def swap() -> None:
        for at in range(0, len(foreign), 0x10000):
            board.load_flash(0x200000 + at, foreign[at : at + 0x10000])

    before_the_start(monkeypatch, swap)
    report = run(made, board.port)
    assert (report.outcome, report.code, report.exit_code) == ("fail", "other-set", 1), report.message
    assert "door-bell" in report.message


# esptool itself, with one bit of its flasher turned over: the chip takes it, starts it, and hears nothing any more.
BROKEN_STUB = """
import sys, esptool.loader as loader
from provisioning.flash import tool
made = loader.StubFlasher.__init__
def broken(self, *arguments, **options):
    made(self, *arguments, **options)
    self.text = self.text[:100] + bytes([self.text[100] ^ 1]) + self.text[101:]
loader.StubFlasher.__init__ = broken
tool.prepare()
tool._run(sys.argv[1:])
"""


def test_a_flasher_that_does_not_start(made: products.Made, board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-c", BROKEN_STUB, *arguments]

    monkeypatch.setattr(process, "command", command)
    monkeypatch.setattr(process, "arguments_of", lambda _argv: None)  # not by the esptool that waits already
    monkeypatch.setattr(process, "_BRIEF", {process.STUB_STARTS: 2.0})
    report = run(made, board.port)
    assert (report.outcome, report.code, report.exit_code) == ("fail", "stub-not-started", 1), report.message
    assert board.counters()["flash_programs"] == 0
    with Ledger.open(made.ledger) as ledger:
        [outcome] = ledger.entries(kind="outcome")
    assert outcome.fields["wrote"] is False, "nothing began, so board and device stay free"
    monkeypatch.undo()
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    assert run(made, board.port).outcome == "pass"


def test_a_product_that_is_too_big_is_refused_with_by_how_much(made: products.Made, board: VirtualBoard) -> None:
    (made.folder / "main.py").write_text("#" * 1_900_000)
    made.product.write_text(made.product.read_text() + "app: {main: main.py}\n")
    report = run(made, board.port)
    assert (report.outcome, report.code, report.exit_code) == ("error", "too-big", 2), report.message
    assert "KB too much" in report.message and board.counters()["flash_programs"] == 0
