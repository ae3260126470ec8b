"""What the tests of this folder share."""

from __future__ import annotations

import time
from collections.abc import Callable

from provisioning.hil.board import Board
from provisioning.hil.reporting import Measure
from provisioning.job.report import Report

OTHER_PREFIX = "z9y8x7w6v5u4t3"
_Job = Callable[[], Report]


def passed(report: Report) -> Report:
    """`report`, which must be a pass: where it is not, all that it says is the test's failure."""
    assert report.outcome == "pass", f"{report.code}: {report.message} {report.notes} {report.steps}"
    return report


def measured(board: Board, measure: Measure, name: str, job: _Job) -> Report:
    """The report of `job`, which must pass; its seconds and its flash operations are measures."""
    before = board.flash_ops
    started = time.perf_counter()
    report = passed(job())
    measure(f"{name}, seconds", time.perf_counter() - started)
    after = board.flash_ops
    if before is not None and after is not None:
        measure(f"{name}, flash reads", after.reads - before.reads)
        measure(f"{name}, flash pages and erases", after.programs + after.erases - before.programs - before.erases)
    return report
