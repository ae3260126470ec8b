"""The host dies in the middle of an update: the next one gets through by itself, and any other tool once the board has lost patience."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from provisioning.job.update import update
from provisioning.link import port
from provisioning.link.repl import PATIENCE
from provisioning.link.wire import Wire
from tests.job.conftest import Bench, blank, started

SOON = 10.0  # seconds that an update may take when it has to find the board first


class Died(BaseException):
    """What no part of the host catches, as nothing runs after a SIGKILL."""


class Dying(Wire):
    """A wire whose host dies after exactly `left` bytes."""

    left = 1 << 30

    def write(self, data: bytes) -> None:
        if len(data) > self.left:
            super().write(data[: self.left])
            Dying.left = 0
            raise Died
        Dying.left -= len(data)
        super().write(data)

    def read(self, seconds: float) -> bytes:
        if not self.left:
            raise Died
        return super().read(seconds)


def die(bench: Bench, product: Any, after: int, **options: Any) -> bool:
    """An update whose host dies after so many bytes; whether it came that far."""
    Dying.left = after
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(port, "Wire", Dying)
        try:
            update(product, bench.device, bench.port, **options)
        except Died:
            return True
    return False


def deaths(bench: Bench, max_baud: int, points: int) -> float:
    """Hosts that die at `points` places of an update, each followed by one that lives: seconds of the slowest."""
    product = bench.product()
    golden = update(product, bench.device, bench.port, max_baud=max_baud)
    assert golden.outcome == "pass", golden.message
    total = golden.wire["sent"]
    slowest = 0.0
    for turn in range(points):
        after = 1 + (total - 1) * turn // points
        blank(bench.board)
        assert die(bench, product, after, max_baud=max_baud), f"the host lives after {after} of {total} bytes"
        started = time.monotonic()
        report = update(product, bench.device, bench.port, max_baud=max_baud)
        seconds = time.monotonic() - started
        slowest = max(slowest, seconds)
        assert report.outcome == "pass", f"after {after} bytes: {report.message}"
        assert seconds < SOON, f"after {after} bytes: {seconds:.1f} s"
    print(f"{points} deaths in {total} bytes at up to {max_baud} baud; the slowest update after one took {slowest:.2f} s")
    return slowest


@pytest.mark.timeout(300)
@pytest.mark.parametrize("max_baud", [115200, 2000000])
def test_the_next_update_gets_through(bench: Bench, max_baud: int) -> None:
    """Wherever the host dies: in a frame, between two, in the program that raises the rate, in its proof, in the receiver itself."""
    assert deaths(bench, max_baud, 8) < SOON


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("max_baud", [115200, 2000000])
def test_the_next_update_gets_through_from_everywhere(bench: Bench, max_baud: int) -> None:
    assert deaths(bench, max_baud, 400) < SOON


def killed(bench: Bench, product: Any, baud: int, after: int) -> None:
    """A process of its own that updates the board, and gets a SIGKILL once the board has heard so many bytes of it."""
    sent = bench.board.counters()["to_board"] + after
    command = [str(Path(sys.executable).with_name("twinroot")), "update", str(product.source), "--device", bench.device.id]
    process = subprocess.Popen(
        [*command, "--port", bench.port, "--baud", str(baud)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 60.0
        while bench.board.counters()["to_board"] < sent:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.002)  # 23 bytes at 115200: to look without a pause would take a processor from what is looked at
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("baud", [115200, 921600])
def test_a_killed_process(tmp_path: Path, baud: int) -> None:
    board = started(paced=True, latency_ms=1)
    try:
        bench = Bench(board, tmp_path)
        product = bench.product()
        for after in (1900, 4000, 9000):
            blank(board)
            killed(bench, product, baud, after)
            report = update(product, bench.device, bench.port)
            assert report.outcome == "pass", f"after {after} bytes: {report.message}"
    finally:
        board.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("max_baud", [115200, 2000000])
def test_another_tool_gets_through_after_the_receivers_patience(bench: Bench, max_baud: int) -> None:
    product = bench.product()
    total = update(product, bench.device, bench.port, max_baud=max_baud).wire["sent"]
    blank(bench.board)
    assert die(bench, product, total * 3 // 5, max_baud=max_baud)
    time.sleep(PATIENCE + 0.5)
    done = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", bench.port, "exec", "print(6*7)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "42", done.stdout + done.stderr
