"""Power that goes at any moment, hosts that die at any moment: the next run brings the board to PASS, and PASS is never said too early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provisioning.config.device import load_devices
from provisioning.config.load import load_product
from provisioning.job.flash import flash
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.job.report import Report
from provisioning.ledger import anchor
from provisioning.ledger.chain_check import verify
from provisioning.ledger.claims import open_attempts
from provisioning.ledger.store import Ledger
from provisioning.virtual import VirtualBoard
from tests.flash import products

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")

BLOCK = 64 * 1024
SECTOR = 4096
PAGE = 256


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> products.Made:
    return products.at_home(products.make(tmp_path / "product", size=120_000), monkeypatch)


def run(made: products.Made, port: str, options: FlashOptions | None = None) -> Report:
    with Ledger.open(made.ledger) as ledger:
        return flash(FlashPlan.of(load_product(made.product)), load_devices(made.devices)[:1], port, ledger, options)


def golden(made: products.Made, board: VirtualBoard) -> int:
    """Flash operations of a run on the board as it is; they are counted, nothing is left of them but a bound device."""
    board.clear_counters()
    assert run(made, board.port).outcome == "pass"
    counters = board.counters()
    made.forget()
    return int(counters["flash_erases"] + counters["flash_programs"])


def prepare(made: products.Made, board: VirtualBoard) -> tuple[int, int]:
    """Keeps a blank board as "blank" and one with firmware and no file system as "firmware"; (operations from blank, from firmware)."""
    board.snapshot("blank")
    whole = golden(made, board)
    board.power_off()
    place = load_product(made.product).board.partition
    for at in range(place.offset, place.offset + place.size, BLOCK):
        board.load_flash(at, b"\xff" * BLOCK)
    board.snapshot("firmware")
    board.power_on()
    return whole, golden(made, board)


# A rate that is asked for: a run on a board without power does not go down the ladder of rates.
ONE_RATE = FlashOptions(baud=921_600)


def cut_and_recover(made: products.Made, board: VirtualBoard, start: str, at: int, options: FlashOptions | None = None) -> str:
    """Cut the power at a flash operation of a run on the board `start`; returns the code of that run. The next run must pass."""
    board.power_off()
    board.restore(start)
    made.forget()
    board.power_on()
    board.cut(operations=at, seed=at)
    first = run(made, board.port, options)
    gone = not board.powered
    if gone:
        assert first.outcome != "pass", f"PASS for a board that lost its power at operation {at}"
        assert first.exit_code in (1, 3), first.message
        board.power_on()
    second = run(made, board.port)
    assert second.outcome == "pass", f"{start}, operation {at}: {second.code}: {second.message}"
    assert second.device == "ws-0001"
    return first.code if gone else "not-reached"


def in_firmware(whole: int, files: int) -> list[tuple[str, int]]:
    """A cut at every 64 KB of the firmware: (board to start from, operation)."""
    return [("blank", at) for at in range(0, whole - files, BLOCK // SECTOR + BLOCK // PAGE)]


def in_files(files: int) -> list[tuple[str, int]]:
    """A cut at every flash operation of the file system's part."""
    return [("firmware", at) for at in range(files)]


@pytest.mark.timeout(600)  # five cuts, each with a recovery to PASS
def test_power_cuts(made: products.Made, board: VirtualBoard) -> None:
    whole, files = prepare(made, board)
    firmware, late = in_firmware(whole, files), in_files(files)
    points = [firmware[0], firmware[-1], late[0], late[len(late) // 2], late[-1]]
    codes = [cut_and_recover(made, board, *point, ONE_RATE) for point in points]
    assert codes.count("not-reached") == 0, codes


SHARDS = 8


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_power_cuts_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: VirtualBoard, shard: int) -> None:
    """1.7 MB of firmware; both parts, in shards so that the processors of a computer share them."""
    made = products.make(tmp_path / "product", size=1_640_000)
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    whole, files = prepare(made, board)
    points = (in_firmware(whole, files) + in_files(files))[shard::SHARDS]
    codes = [cut_and_recover(made, board, *point, ONE_RATE) for point in points]
    reached = len(points) - codes.count("not-reached")
    print(f"shard {shard}: {len(points)} cuts, {reached} of them in a write, none lost: {sorted(set(codes))}")
    assert reached == len(points)


def test_a_second_cut_during_the_recovery(made: products.Made, board: VirtualBoard) -> None:
    total, _ = prepare(made, board)
    board.power_off()
    board.restore("blank")
    for at in (total // 3, total - 5):
        board.power_on()
        board.cut(operations=at, seed=at)
        assert run(made, board.port, ONE_RATE).outcome != "pass"
    board.power_on()
    assert run(made, board.port).outcome == "pass"


# When the host is killed: the step whose line it has just printed, and how much later.
MOMENTS = [("identify", 0.0), ("bundle", 0.0), ("image", 0.0), ("write", 0.0), ("write", 0.3), ("boot", 0.0), ("selftest", 0.0)]


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
