"""Many boards at once: a process per port, so that one board's failure never touches another; retries only what failed.

What a worker does is a task: plain values that can be sent to a process that was started afresh, and `run`, which ends in a report.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provisioning.errors.table import may_pass_again
from provisioning.job.progress import Progress
from provisioning.job.report import Report
from provisioning.job.worker import End, Task
from provisioning.job.workers import FORKED, Workers
from provisioning.link.events import Event

__all__ = ["FORKED", "Finished", "PortResult", "Stopped", "Task", "Watch", "exit_code", "run"]

WORKER_SECONDS = 1800.0  # without a word from a worker; the slowest board at 115200 with 16 MB takes less

Watch = Callable[[str, Event], None]


@dataclass
class PortResult:
    """One port's result. `report` has the fields of every report; `attempts` counts the runs that led to it."""

    port: str
    attempts: int = 0
    report: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 3

    @property
    def passed(self) -> bool:
        """Whether the board ended in PASS."""
        return self.report.get("outcome") == "pass"

    def end(self, report: Report) -> None:
        """Take a report over as the result."""
        self.report, self.exit_code = report.as_dict(), report.exit_code

    def may_try_again(self, retries: int) -> bool:
        """Whether the board failed for a reason that may pass, and was not tried `retries` times more."""
        return not self.passed and may_pass_again(self.report.get("code", "")) and self.attempts <= retries

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the report and the port."""
        return {"port": self.port, "attempts": self.attempts, **self.report}


class Finished(PortResult):
    """The same for as long as a shift lasts: its report, of which there are thousands then, takes a tenth of the memory."""

    def __init__(self, result: PortResult) -> None:
        super().__init__(result.port, result.attempts, result.report, result.exit_code)

    @property
    def report(self) -> dict[str, Any]:
        """Made anew each time."""
        return json.loads(zlib.decompress(self._packed).decode())  # type: ignore[no-any-return]

    @report.setter
    def report(self, report: dict[str, Any]) -> None:
        self._packed = zlib.compress(json.dumps(report, default=str).encode())


class Stopped(KeyboardInterrupt):
    """A person stopped the run. `rows`: how each board was left."""

    def __init__(self, rows: Sequence[PortResult]) -> None:
        super().__init__()
        self.rows = list(rows)


def run(tasks: Mapping[str, Task], retries: int, watch: Watch) -> list[PortResult]:
    """One task per port, all at once; those that failed for a reason that may pass are tried again, up to `retries` times.

    `watch` gets the events of workers, "again" for an attempt that is followed by another, and "report" once for each port. Raises Stopped
    after a control-C, when every board was left in order.
    """
    return _Run(tasks, retries, watch).go()


def exit_code(rows: Sequence[PortResult]) -> int:
    """0 when all passed; else what most needs a person: the station (3), then the input (2), then a board (1)."""
    return max((row.exit_code for row in rows), default=0)


class _Run:
    def __init__(self, tasks: Mapping[str, Task], retries: int, watch: Watch) -> None:
        self._tasks = tasks
        self._retries = retries
        self._watch = watch
        self._rows = {port: PortResult(port) for port in tasks}
        self._progress: dict[str, Progress] = {}

    def go(self) -> list[PortResult]:
        with Workers() as workers:
            try:
                for port in self._tasks:
                    self._start(workers, port)
                while workers.busy:
                    said = workers.listen(WORKER_SECONDS)
                    if not said:
                        break
                    for name, what in said:
                        if self._take(name, what):
                            self._start(workers, name)
            except KeyboardInterrupt:
                self._end(workers)
                raise Stopped(list(self._rows.values())) from None
            self._end(workers)
        return list(self._rows.values())

    def _start(self, workers: Workers, port: str) -> None:
        self._rows[port].attempts += 1
        self._progress[port] = Progress()
        workers.start(port, list(self._tasks).index(port), self._tasks[port], port)

    def _end(self, workers: Workers) -> None:
        self._retries = -1
        for name, what in workers.end():
            self._take(name, what)

    def _take(self, port: str, what: Event | End) -> bool:
        """Whether the board is to be tried again."""
        if isinstance(what, Event):
            self._progress[port].take(what)
            self._watch(port, what)
            return False
        row = self._rows[port]
        row.report, row.exit_code = self._progress[port].completed(what.report), what.exit_code
        again = row.may_try_again(self._retries)
        self._watch(port, Event("again" if again else "report", row.report))
        return again
