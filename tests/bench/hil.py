"""`python -m tests.bench.hil`: 32 tests on 8 virtual boards against one after another; restore per test against provision per test; the
cost of coverage. Exit code 1 when a target is missed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS, WORKERS = 32, 8
PARALLEL, RESTORE = 6.0, 10.0  # times as fast, wanted

# A product's update and verify over a wire of 115200 baud, and a program that waits for its sensor: what a test on a board does.
_TESTS = f"""
import pytest
from provisioning.job.update import update
from provisioning.job.verify import verify

def watch():
    import time
    for n in range(8):
        time.sleep(0.5)
        print("reading", n)

@pytest.mark.parametrize("n", range({TESTS}))
def test_it(board, make_product, n):
    product = make_product()
    assert update(product, make_product.device, board.port).outcome == "pass"
    assert verify(board.port, product, make_product.device).outcome == "pass"
    board.start(watch)
    board.expect("reading 7", timeout=60)
    board.wait()
"""
_STATES = """
import statistics, time

def middle(step, times=7):
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        step()
        assert (board_of.fs / "trust" / "active").read_text().strip() == "1"
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)

def test_it(board, make_product):
    global board_of
    board_of, product = board, make_product()

    def provision():
        board.prepare()
        board.provision(product, make_product.device)

    provided = middle(provision)
    board.snapshot()
    restored = middle(board.restore)
    print(f"provision {provided:.4f} restore {restored:.4f}")
"""
_COST = """
from pathlib import Path
from provisioning.hil.coverage import BoardCoverage

def loop(n):
    import time
    started = time.ticks_us()
    total = 0
    for i in range(n):
        if i % 3 == 0:
            total += i
        elif i % 3 == 1:
            total -= 1
        else:
            total ^= i
    return time.ticks_diff(time.ticks_us(), started)

def test_it(board):
    plain = min(board.call(loop, 20000) for _ in range(9))
    measured = BoardCoverage([Path(__file__)])
    measured.watch(board)
    marked = min(board.call(loop, 20000) for _ in range(9))
    measured.unwatch(board)
    print(f"plain {plain} marked {marked}")
"""


def _run(folder: Path, text: str, *options: str) -> tuple[float, str]:
    """Seconds of pytest on `text`, and what it printed. It must pass."""
    (folder / "test_it.py").write_text(text, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "test_it.py", *options]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr)
    return time.perf_counter() - started, done.stdout


def _figures(text: str, *names: str) -> list[float]:
    return [float(match[1]) for name in names if (match := re.search(rf"{name} ([\d.]+)", text))]


def main() -> int:
    say = sys.stdout.write
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        provided, restored = _figures(_run(folder, _STATES, "-n", "0")[1], "provision", "restore")
        plain, marked = _figures(_run(folder, _COST, "-n", "0")[1], "plain", "marked")
        many, _ = _run(folder, _TESTS, "--paced", "-n", str(WORKERS))
        single, _ = _run(folder, _TESTS, "--paced", "-n", "0")
    parallel, restore = single / many, provided / restored
    rows = (
        (f"{TESTS} tests on {WORKERS} boards, times as fast as on one ({single:.1f} s, {many:.1f} s)", f"{parallel:.1f}", f"{PARALLEL:g}"),
        (f"restore, times as fast as provision ({provided * 1000:.0f} ms, {restored * 1000:.0f} ms)", f"{restore:.0f}", f"{RESTORE:g}"),
        ("a tight loop of conditions with --board-cov, times as long", f"{marked / plain:.1f}", ""),
    )
    say(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors\n\n| | measured | wanted |\n| --- | ---: | ---: |\n")
    say("".join(f"| {' | '.join(row)} |\n" for row in rows))
    return int(parallel < PARALLEL or restore < RESTORE)


if __name__ == "__main__":
    sys.exit(main())
