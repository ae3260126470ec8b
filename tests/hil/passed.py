"""What every job of these tests must say."""

from __future__ import annotations

from provisioning.job.report import Report


def passed(report: Report) -> Report:
    """`report`, which must be a pass: where it is not, all that it says is the test's failure."""
    assert report.outcome == "pass", f"{report.code}: {report.message} {report.notes} {report.steps}"
    return report
