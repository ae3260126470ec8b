"""The whole of it: which tests, on boards, against the table of those that do not pass."""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.virtual.conformance.micropython.bench import Bench, parts
from tests.virtual.conformance.micropython.checkout import Checkout
from tests.virtual.conformance.micropython.explained import Row, rows
from tests.virtual.conformance.score import Result

BOARDS = 3 * (os.cpu_count() or 1)
_FEW = 2  # boards for what failed beside many


@dataclass
class Score:
    """`results`: of each test the last try; `crowded`: what failed beside many boards and passed beside few; `explained`: the table."""

    results: list[Result]
    crowded: list[Result]
    seconds: float
    explained: dict[str, Row]

    def count(self, outcome: str, folder: str) -> int:
        return sum(result.outcome == outcome and result.test.rpartition("/")[0] == folder for result in self.results)

    @property
    def failures(self) -> list[Result]:
        return [result for result in self.results if result.outcome == "failed"]

    @property
    def unexpected(self) -> list[str]:
        """Sentences: failures that are not in the table, and rows of the table that pass."""
        out = [f"{result.test} does not pass: {result.message}" for result in self.failures if result.test not in self.explained]
        passed = {result.test for result in self.results if result.outcome == "passed"}
        return out + [
            f"{test} passes, and the table says: {row.why}" for test, row in self.explained.items() if row.always and test in passed
        ]

    def text(self) -> str:
        lines = []
        for folder in dict.fromkeys(result.test.rpartition("/")[0] for result in self.results):
            passed, failed, skipped = (self.count(outcome, folder) for outcome in ("passed", "failed", "skipped"))
            lines.append(f"{folder:12} {passed} of {passed + failed} pass, {skipped} do not apply")
        passed = sum(result.outcome == "passed" for result in self.results)
        lines.append(f"all: {passed} of {passed + len(self.failures)} pass, {self.seconds:.0f} s")
        lines += [f"  {result.test}: {self.explained[result.test].why}" for result in self.failures if result.test in self.explained]
        lines += [f"  (failed beside many boards, passed beside few: {result.test}: {result.message})" for result in self.crowded]
        return "\n".join([*lines, *[f"UNEXPECTED {line}" for line in self.unexpected]])

    def json(self) -> str:
        why = {test: row.why for test, row in self.explained.items()}
        failures = [{**asdict(result), "explained": why.get(result.test)} for result in self.failures]
        counted = {outcome: sum(result.outcome == outcome for result in self.results) for outcome in ("passed", "failed", "skipped")}
        return json.dumps({**counted, "seconds": round(self.seconds), "failures": failures, "unexpected": self.unexpected})


def run(checkout: Checkout, boards: int, paced: bool, only: str, log: Path | None) -> Score:
    """Raises StationError when a board does not start."""
    began = time.monotonic()
    explained = rows(checkout.version)
    tests = [test for test in checkout.tests() if only in test]
    scripts = [name for name in checkout.mpremote_tests() if only in f"mpremote/{name}"]
    if not tests and not scripts:
        raise SystemExit(f"error: no test's name contains {only!r}\nLeave --only out to run all.")
    with tempfile.TemporaryDirectory(prefix="conformance-") as temporary:
        folder = Path(temporary)
        results = _try(checkout, boards, paced, [*parts(tests), *[[name] for name in scripts]], folder / "first", log)
        # A busy computer makes a test late that measures time. Both tries are printed.
        failed = {result.test for result in results if result.outcome == "failed"} - set(explained)
        tests = [test for test in tests if test in failed]
        scripts = [name for name in scripts if f"mpremote/{name}" in failed]
        again = _try(checkout, _FEW, paced, [*parts(tests), *[[name] for name in scripts]], folder / "again", log and log / "again")
    second = {result.test: result for result in again}
    crowded = [result for result in results if result.test in second and second[result.test].outcome == "passed"]
    return Score([second.get(result.test, result) for result in results], crowded, time.monotonic() - began, explained)


def _try(checkout: Checkout, boards: int, paced: bool, work: list[list[str]], folder: Path, log: Path | None) -> list[Result]:
    if not work:
        return []
    folder.mkdir()
    log = log or folder / "log"
    log.mkdir(parents=True, exist_ok=True)
    return Bench(checkout, boards, paced, folder, log).run(work)
