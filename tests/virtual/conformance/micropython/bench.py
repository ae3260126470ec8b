"""Boards that work through the tests, each with a run-tests.py of its own, and then through mpremote's scripts."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.virtual import VirtualBoard
from tests.virtual.conformance.micropython.checkout import Checkout
from tests.virtual.conformance.score import Result

_PART = 24  # tests that one run-tests.py runs: it asks the board some thirty questions before the first
_PART_TIMEOUT = 900.0  # s
_SCRIPT_TIMEOUT = 1800.0  # s
_ONLY_PORT = Path(__file__).with_name("only_port.py")
_STARTS_AT_ONCE = os.cpu_count() or 1


def parts(tests: Iterable[str]) -> list[list[str]]:
    """What one run-tests.py runs at a time. Tests of one folder stay together: the files that they need are on the board then."""
    folders: dict[str, list[str]] = {}
    for test in tests:
        folders.setdefault(test.rpartition("/")[0], []).append(test)
    slowest_first = sorted(folders, key=lambda folder: folder not in ("thread", "stress", "extmod"))
    return [folders[folder][at : at + _PART] for folder in slowest_first for at in range(0, len(folders[folder]), _PART)]


@dataclass
class Bench:
    """`run` gives the results of all tests and scripts. `folder`: for what is temporary; `log`: gets what each run printed."""

    checkout: Checkout
    boards: int
    paced: bool
    folder: Path
    log: Path
    _left: queue.SimpleQueue[list[str]] = field(default_factory=queue.SimpleQueue)
    _starting: threading.Semaphore = field(default_factory=lambda: threading.BoundedSemaphore(_STARTS_AT_ONCE))
    _stop: threading.Event = field(default_factory=threading.Event)
    _jobs: set[subprocess.Popen[bytes]] = field(default_factory=set)

    def run(self, work: list[list[str]]) -> list[Result]:
        """Raises StationError when a board does not start."""
        for part in work:
            self._left.put(part)
        out: list[Result] = []
        workers = min(self.boards, len(work))
        with ThreadPoolExecutor(max(1, workers)) as pool:
            try:
                for results in pool.map(self._work, range(workers)):
                    out += results
            finally:
                self._stop.set()
                for job in list(self._jobs):
                    job.kill()
        return sorted(out, key=lambda result: result.test)

    def _work(self, number: int) -> list[Result]:
        """Until nothing is left."""
        copy = self.checkout.work_copy(self.folder / f"copy-{number}")
        out: list[Result] = []
        while not self._stop.is_set():
            try:
                part = self._left.get_nowait()
            except queue.Empty:
                break
            # A board for each part: what a test left in the file system is nobody else's.
            with contextlib.ExitStack() as stack:
                with self._starting:
                    board = stack.enter_context(VirtualBoard(paced=self.paced, link="pty", clock="host"))
                results = self._script(part[0], board, copy) if part[0].endswith(".sh") else self._tests(part, board, copy)
            for result in results:
                sys.stderr.write(f"{result.outcome:7} {result.seconds:4.0f} s  {result.test}\n")
            out += results
        return out

    # --- run-tests.py ---------------------------------------------------------------------------------------------

    def _tests(self, part: list[str], board: VirtualBoard, copy: Checkout) -> list[Result]:
        """One run-tests.py; what it did not get to, because a test took the board away from it, is run by another."""
        folder = part[0].rpartition("/")[0]
        self._fill(board, self.checkout.on_board(folder))
        out: list[Result] = []
        while part and not self._stop.is_set():
            results = self.folder / f"results-{part[0].replace('/', '-')}"
            began = time.monotonic()
            command = [sys.executable, "run-tests.py", "-t", f"port:{board.pty}", "-r", str(results), *part]
            status = self._job(command, copy.root / "tests", f"{part[0].replace('/', '-')}.txt", _PART_TIMEOUT)
            report = results / "_results.json"
            found = {test: (said, why) for test, said, why in json.loads(report.read_text())["results"]} if report.exists() else {}
            each = (time.monotonic() - began) / max(1, len(found))
            for test in [test for test in part if test in found]:
                said, why = found[test]
                out.append(Result(test, _OUTCOMES[said], each, why or (_difference(results, test) if said in ("fail", "ignored") else "")))
            part = [test for test in part if test not in found]
            if not found and part:
                out.append(Result(part.pop(0), "failed", each, f"run-tests.py ended with status {status} and no result"))
        return out

    def _fill(self, board: VirtualBoard, files: dict[str, Path]) -> None:
        """Copies files to the board with mpremote."""
        if not files:
            return
        staged = self.folder / f"staged-{board.pid}"
        for name, file in files.items():
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).write_bytes(file.read_bytes())
        sources = [str(path) for path in sorted(staged.iterdir())]
        command = [sys.executable, "-m", "mpremote", "connect", board.pty, "cp", "-r", *sources, ":"]
        status = self._job(command, self.folder, f"fill-{board.pid}.txt", _SCRIPT_TIMEOUT)
        if status:
            raise SystemExit(f"error: mpremote cannot copy files to the board (status {status}); see fill-{board.pid}.txt with --log")

    # --- mpremote's scripts ---------------------------------------------------------------------------------------

    def _script(self, name: str, board: VirtualBoard, copy: Checkout) -> list[Result]:
        """As run-mpremote-tests.sh runs each: without CR, and with the temporary folder's name replaced."""
        folder = copy.root / "tools" / "mpremote"
        temporary = self.folder / f"tmp-{name}"
        temporary.mkdir()
        mpremote = f"{sys.executable} {_ONLY_PORT} {board.pty} {folder / 'mpremote.py'}"
        began = time.monotonic()
        env = {"MPREMOTE": mpremote, "TMP": str(temporary)}
        status = self._job(["bash", f"tests/{name}"], folder, f"{name}.txt", _SCRIPT_TIMEOUT, env)
        said = (self.log / f"{name}.txt").read_text(errors="replace").replace("\r", "").replace(str(temporary), "${TMP}")
        wanted = (folder / "tests" / f"{name}.exp").read_text()
        differences = list(difflib.unified_diff(wanted.splitlines(), said.splitlines(), "wanted", "said", lineterm="", n=0))[3:6]
        # Only its output counts in its own runner, too, where the status of a pipe is that of its last command.
        message = f"status {status}: " + " | ".join(differences) if differences else ""
        return [Result(f"mpremote/{name}", "failed" if differences else "passed", time.monotonic() - began, message)]

    def _job(self, command: list[str], where: Path, log: str, timeout: float, env: dict[str, str] | None = None) -> int | str:
        """Its status, or why it has none."""
        # mpremote's expected output has lines in the order in which a buffered standard output gives them.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        environment = {**inherited, "MICROPY_CPYTHON3": sys.executable, "NO_COLOR": "1", **(env or {})}
        with (self.log / log).open("wb") as output:
            job = subprocess.Popen(command, cwd=where, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
            self._jobs.add(job)
            try:
                return job.wait(timeout)
            except subprocess.TimeoutExpired:
                return f"none within {timeout:g} s"
            finally:
                job.kill()
                job.wait()
                self._jobs.discard(job)


_OUTCOMES = {"pass": "passed", "fail": "failed", "ignored": "failed", "skip": "skipped"}


def _difference(results: Path, test: str) -> str:
    """The first lines in which the board's output differs from what is wanted, or its last ones where unittest says what failed."""
    stem = test.replace("/", "_")
    said = (results / f"{stem}.out").read_text(errors="replace").splitlines()
    expected = results / f"{stem}.exp"
    if not expected.exists():
        return " | ".join(said[-6:])
    wanted = expected.read_text(errors="replace").splitlines()
    return " | ".join(list(difflib.unified_diff(wanted, said, "wanted", "said", lineterm="", n=0))[3:9])
