"""What each test said, and the score."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.virtual.conformance.explained import EXPLAINED


@dataclass
class Result:
    test: str  # Class::test[parameters]
    outcome: str  # passed, failed, skipped
    seconds: float
    message: str = ""


def name_of(test: str) -> str:
    """pytest's name of a test without the file's."""
    return test.split("::", 1)[1]


def read(report: Path) -> list[Result]:
    """From pytest's JUnit report; nothing when pytest did not get as far as writing one."""
    if not report.exists():
        return []
    out = []
    for case in ElementTree.parse(report).iter("testcase"):
        bad = [child for child in case if child.tag in ("failure", "error")]
        skipped = [child for child in case if child.tag == "skipped"]
        outcome = "failed" if bad else "skipped" if skipped else "passed"
        message = (bad or skipped)[0].get("message", "") if bad or skipped else ""
        detail = (bad[0].text or "") if bad else ""
        name = f"{case.get('classname', '').split('.')[-1]}::{case.get('name')}"
        out.append(Result(name, outcome, float(case.get("time", "0")), message.splitlines()[0] if message else detail[-300:]))
    return out


@dataclass
class Score:
    """One chip's. `seconds`: wall time. `crowded`: what failed beside many boards and passed beside few."""

    chip: str
    results: list[Result]
    seconds: float
    crowded: list[Result]

    @classmethod
    def of(cls, chip: str, first: list[Result], again: list[Result], seconds: float) -> Score:
        """The second try of a test counts."""
        second = {result.test: result for result in again}
        crowded = [result for result in first if result.test in second and second[result.test].outcome == "passed"]
        return cls(chip, [second.get(result.test, result) for result in first], seconds, crowded)

    def count(self, outcome: str) -> int:
        return sum(result.outcome == outcome for result in self.results)

    @property
    def failures(self) -> list[Result]:
        return [result for result in self.results if result.outcome == "failed"]

    @property
    def good(self) -> bool:
        """Whether every test that does not pass is one that cannot."""
        return all(result.test in EXPLAINED for result in self.failures)

    def text(self) -> str:
        passed, failed = self.count("passed"), self.count("failed")
        lines = [f"{self.chip}: {passed} of {passed + failed} pass, {self.count('skipped')} do not apply, {self.seconds:.0f} s"]
        lines += [f"  {result.test}: {EXPLAINED.get(result.test, result.message)}" for result in self.failures]
        lines += [f"  (failed beside many boards, passed beside few: {result.test}: {result.message})" for result in self.crowded]
        return "\n".join(lines)

    def json(self) -> str:
        counted = {outcome: self.count(outcome) for outcome in ("passed", "failed", "skipped")}
        failures = [{**asdict(result), "explained": EXPLAINED.get(result.test)} for result in self.failures]
        crowded = [asdict(result) for result in self.crowded]
        return json.dumps({"chip": self.chip, **counted, "seconds": round(self.seconds), "failures": failures, "crowded": crowded})
