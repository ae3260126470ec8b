"""A bench of boards that work through the suite, each with its own copy of the tests.

pyserial's RFC 2217 client sleeps 50 ms for each setting, and esptool sets the port's time-out twice for each command: two tenths of
a second of sleep for each. So the tests take long and need little processor time, and many boards at once are what makes the run short.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.virtual import VirtualBoard, facts
from tests.virtual.conformance import checkout as suite
from tests.virtual.conformance.score import Result, name_of, read

_PARTS_PER_BOARD = 3  # short tests go together, so that pytest's own start is not paid for each
_PART_TIMEOUT = 1800.0  # s
# Hardware does not wait for the programs that talk to it: esptool gives some of its commands a tenth of a second.
_CLIENT_NICENESS = 5
_STARTS_AT_ONCE = os.cpu_count() or 1


def parts(tests: list[str], weight: dict[str, int], boards: int) -> list[list[str]]:
    """What one pytest runs at a time: the longest tests alone and first, the short ones in groups behind them."""

    def cost(test: str) -> int:
        return weight.get(test.split("::")[-1].split("[")[0], 2)

    limit = max(1, sum(map(cost, tests)) // (boards * _PARTS_PER_BOARD))
    out: list[list[str]] = []
    room = 0
    for test in sorted(tests, key=cost, reverse=True):
        if room < cost(test):
            out.append([])
            room = limit
        out[-1].append(test)
        room -= cost(test)
    return out


@dataclass
class Bench:
    """`run` gives the results of all tests. `collected` is the copy of the tests in which they were collected, `name` is that
    of its files in `folder` and in `log`, which gets pytest's output.
    """

    collected: Path
    python: str
    chip: str
    boards: int
    paced: bool
    folder: Path
    name: str
    log: Path
    _left: queue.SimpleQueue[tuple[int, list[str]]] = field(default_factory=queue.SimpleQueue)
    _starting: threading.Semaphore = field(default_factory=lambda: threading.BoundedSemaphore(_STARTS_AT_ONCE))
    _stop: threading.Event = field(default_factory=threading.Event)
    _jobs: set[subprocess.Popen[bytes]] = field(default_factory=set)

    def run(self, tests: list[str], weight: dict[str, int]) -> list[Result]:
        """Raises StationError when a board does not start."""
        # Asked once and kept, instead of by every board at its first reset into the loader.
        asyncio.run(facts.load(self.chip))
        work = parts(tests, weight, self.boards)
        for number, part in enumerate(work):
            self._left.put((number, part))
        out: list[Result] = []
        workers = min(self.boards, len(work))
        with ThreadPoolExecutor(workers) as pool:
            try:
                for results in pool.map(self._work, range(workers)):
                    out += results
            finally:
                self._stop.set()
                for job in list(self._jobs):
                    job.kill()
        return out

    def _work(self, number: int) -> list[Result]:
        """One board, until nothing is left."""
        # Copied from where the tests were collected: they are compiled there.
        where = suite.work_copy(self.collected.parent, self.folder / f"{self.name}-{number}")
        out: list[Result] = []
        with contextlib.ExitStack() as stack:
            with self._starting:
                board = stack.enter_context(VirtualBoard(chip=self.chip, paced=self.paced, flash_size="4MB"))
            while not self._stop.is_set():
                try:
                    part, tests = self._left.get_nowait()
                except queue.Empty:
                    break
                out += self._part(part, tests, board, where)
        return out

    def _part(self, number: int, tests: list[str], board: VirtualBoard, where: Path) -> list[Result]:
        report = self.folder / f"{self.name}-{number}.xml"
        command = ["nice", "-n", str(_CLIENT_NICENESS)]
        command += suite.pytest_command(self.python, self.chip, board.rfc2217, *tests, f"--junitxml={report}")
        with (self.log / f"{self.name}-{number}.txt").open("w") as output:
            job = subprocess.Popen(command, cwd=where, stdout=output, stderr=output, env={**os.environ, "NO_COLOR": "1"})
            self._jobs.add(job)
            try:
                job.wait(_PART_TIMEOUT)
                why = f"pytest ended with status {job.returncode} and no result"
            except subprocess.TimeoutExpired:
                why = f"no result within {_PART_TIMEOUT:g} s"
            finally:
                job.kill()
                job.wait()
                self._jobs.discard(job)
        found = {result.test: result for result in read(report)}
        results = [found.get(name_of(test)) or Result(name_of(test), "failed", 0.0, why) for test in tests]
        for result in results:
            sys.stderr.write(f"{self.name} {result.outcome:7} {result.seconds:4.0f} s  {result.test}\n")
        return results
