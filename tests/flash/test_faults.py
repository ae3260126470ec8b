"""Power that goes at any moment, hosts that die at any moment: the next run brings the board to PASS, and PASS is never said too early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.config.device import load_devices
from provisioning.config.load import load_product
from provisioning.job.flash import Plan, flash
from provisioning.job.report import Report
from provisioning.ledger import anchor
from provisioning.ledger.claims import open_attempts
from provisioning.ledger.store import Ledger
from provisioning.ledger.verify import verify
from provisioning.virtual import VirtualBoard

from . import products

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")

BLOCK = 64 * 1024
SECTOR = 4096


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> products.Made:
    found = products.make(tmp_path / "product", size=120_000)
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def board() -> Iterator[VirtualBoard]:
    with VirtualBoard(paced=False, blank=True) as running:
        yield running


def run(made: products.Made, port: str) -> Report:
    with Ledger.open(made.ledger) as ledger:
        return flash(Plan.of(load_product(made.product)), load_devices(made.devices)[:1], port, ledger)


def operations(made: products.Made, board: VirtualBoard) -> tuple[int, int]:
    """(flash operations of the firmware part, of all) in a golden run; the board is blank again afterwards."""
    board.snapshot("blank")
    board.clear_counters()
    assert run(made, board.port).outcome == "pass"
    counters = board.counters()
    erases = counters["erases_per_block"]
    total = counters["flash_erases"] + counters["flash_programs"]
    size = made.firmware.stat().st_size
    firmware = sum(n for block, n in erases.items() if int(block) < 0x200) + -(-size // 256)
    return firmware, total


def cut_and_recover(made: products.Made, board: VirtualBoard, at: int, seed: int) -> str:
    """Cut the power at a flash operation of a run on a blank board; returns the code of that run. The next run must pass."""
    board.power_off()
    board.restore("blank")
    made.forget()
    board.power_on()
    board.cut(operations=at, seed=seed)
    first = run(made, board.port)
    gone = not board.powered
    if gone:
        assert first.outcome != "pass", f"PASS for a board that lost its power at operation {at}"
        assert first.exit_code in (1, 3), first.message
        board.power_on()
    second = run(made, board.port)
    assert second.outcome == "pass", f"operation {at}: {second.code}: {second.message}"
    assert second.device == "ws-0001"
    return first.code if gone else "not-reached"


def cut_points(firmware: int, total: int, short: bool) -> list[int]:
    """Every 64 KB of the firmware, every operation of the file system's part; in the short form three of each."""
    per_block = BLOCK // SECTOR + BLOCK // 256
    in_firmware = list(range(0, firmware, per_block))
    in_files = list(range(firmware, total))
    if not short:
        return in_firmware + in_files
    return [in_firmware[0], in_firmware[-1], in_files[0], in_files[len(in_files) // 2], in_files[-1]]


@pytest.mark.timeout(600)  # five cuts, each with a recovery to PASS
def test_power_cuts(made: products.Made, board: VirtualBoard) -> None:
    firmware, total = operations(made, board)
    codes = [cut_and_recover(made, board, at, seed=at) for at in cut_points(firmware, total, short=True)]
    assert codes.count("not-reached") == 0, codes


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_power_cuts_everywhere(made: products.Made, board: VirtualBoard) -> None:
    firmware, total = operations(made, board)
    points = cut_points(firmware, total, short=False)
    codes = [cut_and_recover(made, board, at, seed=at) for at in points]
    print(f"{len(points)} cuts, {len(points) - codes.count('not-reached')} of them in a write, none lost: {sorted(set(codes))}")


def test_a_second_cut_during_the_recovery(made: products.Made, board: VirtualBoard) -> None:
    _, total = operations(made, board)
    board.power_off()
    board.restore("blank")
    made.forget()
    for at in (total // 3, total - 5):
        board.power_on()
        board.cut(operations=at, seed=at)
        assert run(made, board.port).outcome != "pass"
    board.power_on()
    assert run(made, board.port).outcome == "pass"


# When the host is killed: the step whose line it has just printed, and how much later.
MOMENTS = [("identify", 0.0), ("bundle", 0.0), ("image", 0.0), ("write", 0.0), ("write", 1.0), ("boot", 0.0), ("selftest", 0.0)]


@pytest.mark.parametrize(("step", "later"), MOMENTS)
def test_a_host_that_is_killed(made: products.Made, board: VirtualBoard, step: str, later: float) -> None:
    command = [sys.executable, "-m", "provisioning", "station", str(made.product), "--devices", str(made.devices), "--port", board.port]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=made.environment(), start_new_session=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.rstrip().endswith(f": {step}"):
            break
    else:
        raise AssertionError(f"the step {step} did not come")
    time.sleep(later)
    os.killpg(process.pid, signal.SIGKILL)  # the command and its worker; esptool has a session of its own and must end by itself
    process.wait(10)
    with Ledger.open(made.ledger) as ledger:
        before = [attempt.id for attempt in open_attempts(ledger, board.mac)]
    assert len(before) == (0 if step == "identify" else 1)
    report = run(made, board.port)
    assert report.outcome == "pass" and report.device == "ws-0001", f"{report.code}: {report.message}"
    with Ledger.open(made.ledger) as ledger:
        assert open_attempts(ledger, board.mac) == []
        assert verify(ledger.rows(), anchor.read(made.ledger.with_name("ledger.sqlite.anchor"))).ok
        settled = [entry for entry in ledger.entries(kind="outcome") if entry.attempt in before]
    assert [entry.fields["code"] for entry in settled] in ([], ["interrupted"], ["settled"])
    if step == "selftest":
        assert report.code == "unchanged" or settled[0].fields["outcome"] == "pass"
    assert list((made.folder / "cache" / "work").iterdir()) == [], "the image of the killed run, which holds a key, is gone"
