"""Real processes: many at once, and some that die by SIGKILL."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from provisioning.ledger import anchor, claims
from provisioning.ledger.chain_check import verify
from provisioning.ledger.store import Ledger
from tests.support.ledger_rows import MACS, run

WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.support.ledger_rows import MACS, run
from provisioning.ledger.store import Ledger
who, path = int(sys.argv[2]), Path(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
with Ledger.open(path) as ledger:
    for n in range(int(sys.argv[4])):
        mac = MACS[who] if who >= 0 else MACS[n % 32]
        print(run(ledger, f"{who}-{n}", mac, [f"ws-{i}" for i in range(40)]), flush=True)
"""


def start(who: int, path: Path, rounds: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parents[2]), str(who), str(path), str(rounds)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_workers_never_share_a_device(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    workers = [start(n, path, 3) for n in range(6)]
    for worker in workers:
        go(worker)
    got = [worker.communicate(timeout=60)[0].split() for worker in workers]
    assert all(len(set(devices)) == 1 and len(devices) == 3 for devices in got), got
    assert len({devices[0] for devices in got}) == 6, got
    with Ledger.open(path) as ledger:
        verdict = verify(ledger.rows(), anchor.read(path.with_name(path.name + ".anchor")))
    assert verdict.ok and verdict.rows == verdict.anchored == 6 * 3 * 3


def test_a_new_ledger_that_another_program_is_making_is_waited_for(tmp_path: Path) -> None:
    """SQLite itself refuses the change to its write-ahead log at once while somebody writes."""
    path = tmp_path / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("CREATE TABLE begun (x)")
        other.execute("BEGIN IMMEDIATE")
        made = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
        made.start()
        with Ledger.open(path) as ledger:
            assert run(ledger, "1", MACS[0], ["ws-1"]) == "ws-1"
        made.join()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_writers_leave_a_whole_chain(tmp_path: Path) -> None:
    """Killed at 12 different moments of a run of appends; the chain stays whole and the next process goes on."""
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path) as ledger:
        run(ledger, "first", MACS[40], ["x"])
    for moment in range(12):
        worker = start(-1, path, 10_000)
        go(worker)
        assert worker.stdout is not None
        for _ in range(moment % 4 + 1):
            worker.stdout.readline()
        os.kill(worker.pid, signal.SIGKILL)
        worker.communicate(timeout=30)
        with Ledger.open(path) as ledger:
            verdict = verify(ledger.rows(), anchor.read(path.with_name(path.name + ".anchor")))
            assert verdict.ok, verdict.faults
            assert verdict.rows - verdict.anchored <= 1, "at most the row of the crash is without an anchor"
    with Ledger.open(path) as ledger:
        still_open = [a for mac in MACS for a in claims.open_attempts(ledger, mac)]
        assert len(still_open) <= 12
        run(ledger, "last", MACS[41], ["y"])
