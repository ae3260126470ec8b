"""`--board-report FILE`: one HTML page that needs nothing beside it: which boards, which tests, measures as plots, serial logs."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import pytest

from provisioning import output_file
from provisioning.errors import TwinrootError
from provisioning.hil.reporting import BOARD, MEASURE

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 420, 150, 56, 22  # of a plot, in pixels
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse;margin:.5em 0}td,th{padding:.2em .8em .2em 0;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}
.passed{color:#176b2c}.failed,.error{color:#a11}.skipped{color:#775c00}pre{background:#f5f5f5;padding:.6em;overflow:auto;font-size:12px}
.plots{display:flex;flex-wrap:wrap;gap:1em}figure{margin:0}figcaption{font-size:13px}svg text{font-size:11px;fill:#555}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#222}td,th{border-color:#444}svg text{fill:#aaa}
.passed{color:#6fce87}.failed,.error{color:#ff8a80}.skipped{color:#e0c060}}
"""


@dataclass
class _Test:
    outcome: str = ""
    seconds: float = 0.0
    text: str = ""
    sections: list[tuple[str, str]] = field(default_factory=list)


class Page:
    """A plugin object: gathers the reports of all workers, and writes the page at the end of the run."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._tests: dict[str, _Test] = defaultdict(_Test)
        self._boards: dict[str, dict[str, Any]] = {}
        self._measures: dict[str, list[float]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self._tests[report.nodeid]
        test.seconds += report.duration
        if report.when == "call" or report.outcome != "passed":
            error = report.failed and report.when != "call"
            test.outcome = "error" if error else report.outcome
            test.text = report.longreprtext if report.failed else str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
            test.sections = [(title, text) for title, text in report.sections if text]
        if report.when == "teardown":
            for name, value in report.user_properties:
                if name == BOARD:
                    known = json.loads(str(value))
                    self._boards[str(known.get("mac"))] = known
                elif name == MEASURE:
                    one = json.loads(str(value))
                    self._measures[one["name"]].append(one["value"])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput"):
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            output_file.write(self._file, self._html().encode(), output_file.BOARD_REPORT)
        except OSError as error:
            raise pytest.UsageError(f"--board-report {self._file} cannot be written: {error.strerror}.") from None
        except TwinrootError as error:
            raise pytest.UsageError(f"--board-report: {error.message}") from None

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.write_sep("-", f"boards: {self._file}")

    # -- the page ----------------------------------------------------------------------------------------------------

    def _html(self) -> str:
        counts: dict[str, int] = defaultdict(int)
        for test in self._tests.values():
            counts[test.outcome] += 1
        summary = ", ".join(f'<span class="{outcome}">{count} {outcome}</span>' for outcome, count in sorted(counts.items()) if outcome)
        parts = [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Boards under test</title><style>{_STYLE}</style>',
            f"<h1>Boards under test</h1><p>{time.strftime('%Y-%m-%d %H:%M')}: {summary or 'no test ran'}</p>",
            *(_identity(board) for board in self._boards.values()),
        ]
        if self._measures:
            parts.append("<h2>Measures</h2><div class=plots>")
            parts += [plot(name, values) for name, values in self._measures.items()]
            parts.append("</div>")
        parts.append("<h2>Tests</h2><table><tr><th>test<th>outcome<th>seconds</tr>")
        parts += [_row(name, test) for name, test in self._tests.items()]
        return "\n".join([*parts, "</table></html>\n"])


def _identity(board: dict[str, Any]) -> str:
    rows = "".join(f"<tr><th>{escape(str(name))}<td>{escape(str(value))}</tr>" for name, value in board.items())
    return f"<h2>{escape(str(board.get('mac', 'board')))}</h2><table>{rows}</table>"


def _row(name: str, test: _Test) -> str:
    more = "".join(f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>" for title, text in test.sections)
    text = f"<pre>{escape(test.text)}</pre>" if test.text and test.outcome != "skipped" else escape(test.text)
    return f'<tr><td>{escape(name)}{text and f"<br>{text}"}{more}<td class="{test.outcome}">{test.outcome}<td>{test.seconds:.2f}</tr>'


def plot(name: str, values: list[float]) -> str:
    """The values of one measure in the order of the tests, as an inline SVG: a line with points, from 0 to the greatest."""
    most = max(values) or 1.0
    low = min(0.0, *values)
    span = (most - low) or 1.0
    width, height = _WIDTH - _LEFT - 8, _HEIGHT - _BOTTOM - 8

    def x(index: int) -> float:
        return _LEFT + (width * index / (len(values) - 1) if len(values) > 1 else width / 2)

    def y(value: float) -> float:
        return 8 + height * (1 - (value - low) / span)

    points = [(round(x(index), 1), round(y(value), 1)) for index, value in enumerate(values)]
    line = " ".join(f"{across},{down}" for across, down in points)
    dots = "".join(
        f'<circle cx="{across}" cy="{down}" r="3" fill="#3d7ab8"><title>{value:g}</title></circle>'
        for (across, down), value in zip(points, values, strict=True)
    )
    marks = "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH - 8}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#8884"/>'
        f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        for value in (low, most)
    )
    middle = sorted(values)[len(values) // 2]
    caption = f"{escape(name)}: {middle:g}" if len(values) == 1 else f"{escape(name)}: {len(values)}, middle {middle:g}"
    return (
        f'<figure><svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{escape(name)}">{marks}'
        f'<polyline points="{line}" fill="none" stroke="#3d7ab8" stroke-width="1.5"/>{dots}</svg>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
