"""What a board's own program does to an update: brought round where that can be, else refused with one sentence and nothing written."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.link.board_messages import HOLDS
from provisioning.link.events import Event
from tests.job.conftest import Bench, blank, put, started

WATCHED = """import machine, time
dog = machine.WDT(timeout=1000)
while True:
    dog.feed()
    time.sleep_ms(50)
"""
AWAY = """import machine, time
machine.UART(0, baudrate=9600)
while True:
    time.sleep(1)
"""
OLD = """import sys
from collections import namedtuple
i = sys.implementation
kind = namedtuple('i', ('name', 'version', '_machine', '_mpy', '_build'))
class Old:
    real = sys
    implementation = kind(i.name, (1, 19, 1, ''), i._machine, i._mpy, i._build)
    def __getattr__(self, name):
        return getattr(self.real, name)
sys.modules['sys'] = Old()
"""
READ_ONLY = """import vfs, flashbdev
vfs.umount('/')
vfs.mount(flashbdev.bdev, '/', readonly=True)
"""
STEPS = ("connect", "ask", "transport", "plan", "transfer", "restart", "selftest")


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A board whose line takes its time, so that a watchdog has the time to bite."""
    board = started(paced=True, latency_ms=1)
    try:
        yield Bench(board, tmp_path_factory.mktemp("paced"))
    finally:
        board.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("transport", ["auto", "paste"])
def test_an_unfed_watchdog(paced: Bench, transport: str) -> None:
    """It resets the board in mid-transfer; what has arrived stays, and the next attempt interrupts the boot before the dog is let loose."""
    blank(paced.board)
    put(paced, "/main.py", WATCHED)
    paced.board.power_off()
    paced.board.power_on()
    time.sleep(1.2)
    resets = paced.board.counters()["resets"]
    report = update(paced.product(), paced.device, paced.port, transport=transport, max_baud=115200)
    assert report.outcome == "pass", report.message
    assert paced.board.counters()["resets"] > resets, "the dog did not bite: the test tests nothing"
    assert verify(paced.port).outcome == "pass"


def refused(bench: Bench, name: str, text: str, codes: tuple[str, ...], transport: str = "auto") -> None:
    put(bench, name, text)
    bench.board.power_off()
    bench.board.power_on()
    time.sleep(0.5)
    files = bench.board.read_flash(0x200000, 0x200000)
    report = update(bench.product(), bench.device, bench.port, transport=transport)
    assert (report.outcome, report.exit_code, report.written) == ("fail", 1, []), report.message
    assert report.code in codes and report.hint.endswith("."), report.message
    assert bench.board.read_flash(0x200000, 0x200000) == files


def test_a_program_that_takes_the_rate_away(bench: Bench) -> None:
    """It is found at its own rate, and the report says so."""
    put(bench, "/main.py", AWAY)
    bench.board.power_off()
    bench.board.power_on()
    time.sleep(0.5)
    report = update(bench.product(), bench.device, bench.port)
    assert report.outcome == "pass", report.message
    assert any(HOLDS["rate"] in note for note in report.notes), report.notes


@pytest.mark.parametrize("transport", ["stream", "paste", "ampy"])
def test_too_old_a_micropython(bench: Bench, transport: str) -> None:
    refused(bench, "/boot.py", OLD, ("micropython-too-old",), transport)


@pytest.mark.parametrize("transport", ["stream", "paste", "ampy"])
def test_a_read_only_file_system(bench: Bench, transport: str) -> None:
    refused(bench, "/boot.py", READ_ONLY, ("read-only",), transport)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("transport", "step"), [*(("stream", step) for step in STEPS), ("paste", "transfer"), ("ampy", "transfer")])
def test_unplugged_at_every_step(bench: Bench, transport: str, step: str) -> None:
    """Exit code 3 and one sentence; when it is plugged in again, the same command passes."""
    product = bench.product()

    def unplug(event: Event) -> None:
        if event.kind == "step" and event.data["name"] == step:
            bench.board.unplug()

    try:
        report = update(product, bench.device, bench.port, transport=transport, events=unplug)
    finally:
        bench.board.plug()
    assert (report.outcome, report.code, report.exit_code) == ("error", "port-lost", 3), report.message
    assert update(product, bench.device, bench.port).outcome == "pass"


def test_a_restart_between_two_pieces(bench: Bench) -> None:
    """A board that restarts while nothing is under way has forgotten what was defined there; that is not a fault of its flash."""
    restarted = []

    def listen(event: Event) -> None:
        if event.kind == "bytes" and not restarted:
            restarted.append(event)
            bench.board.reset()

    report = update(bench.product(), bench.device, bench.port, transport="paste", events=listen)
    assert report.outcome == "pass" and restarted, report.message
    assert any("restarted in the middle" in note for note in report.notes), report.notes
