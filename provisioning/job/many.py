"""Many boards at once: a process per port, so that one board's failure never touches another; retries only what failed.

What a worker does is a task: plain values that can be sent to a process that was started afresh, and `run`, which ends in a report.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from provisioning.errors import Interrupted, StationError, TwinrootError
from provisioning.errors.table import may_pass_again
from provisioning.job.report import Report
from provisioning.link.events import Event, Listener

# Where a process can be forked, a task has what its parent loaded already; elsewhere it loads it again.
FORKED = sys.platform == "linux"

WORKER_SECONDS = 1800.0  # without a word from a worker; the slowest board at 115200 with 16 MB takes less

Watch = Callable[[str, Event], None]


class Task(Protocol):
    """What is done with the board on a port."""

    def run(self, port: str, events: Listener) -> Report:
        """In the worker. A TwinrootError that is raised is the board's result, too."""


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

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the report and the port."""
        return {"port": self.port, "attempts": self.attempts, **self.report}


def run(tasks: dict[str, Task], retries: int, watch: Watch) -> list[PortResult]:
    """One task per port, all at once; those that failed for a reason that may pass are tried again, up to `retries` times."""
    rows = {port: PortResult(port) for port in tasks}
    pending = list(tasks)
    while pending:
        _round(tasks, [rows[port] for port in pending], watch)
        pending = [port for port in pending if _again(rows[port], retries)]
    return list(rows.values())


def exit_code(rows: Sequence[PortResult]) -> int:
    """0 when all passed; else what most needs a person: the station (3), then the input (2), then a board (1)."""
    return max((row.exit_code for row in rows), default=0)


def _again(row: PortResult, retries: int) -> bool:
    return not row.passed and may_pass_again(row.report.get("code", "")) and row.attempts <= retries


def _round(tasks: dict[str, Task], rows: Sequence[PortResult], watch: Watch) -> None:
    context: Any = multiprocessing.get_context("fork" if FORKED else "spawn")
    workers: dict[Connection, tuple[PortResult, Any]] = {}
    try:
        for row in rows:
            row.attempts += 1
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(tasks[row.port], row.port, theirs), name=f"twinroot {row.port}")
            process.start()
            theirs.close()
            workers[ours] = (row, process)
        while workers:
            heard = wait(list(workers), timeout=WORKER_SECONDS)
            if not heard:
                break
            for pipe in [pipe for pipe in workers if pipe in heard]:
                if not _hear(pipe, workers[pipe][0], watch):
                    _ended(*workers.pop(pipe))
                    pipe.close()
    finally:
        for pipe, (row, process) in workers.items():
            process.terminate()
            _ended(row, process)
            pipe.close()


def _hear(pipe: Connection, row: PortResult, watch: Watch) -> bool:
    """Take one message of a worker; False at its end."""
    try:
        message = pipe.recv()
    except (EOFError, OSError):
        return False
    if isinstance(message, Event):
        watch(row.port, message)
    else:
        row.report, row.exit_code = message
        watch(row.port, Event("report", row.report))
    return True


def _ended(row: PortResult, process: Any) -> None:
    process.join(10.0)
    if process.is_alive():
        process.kill()
        process.join(10.0)
    if not row.report or row.report.get("code") == "not-run":
        row.end(
            Report().failed(
                StationError(
                    "worker-died",
                    f"The process for {row.port} ended without a report (exit code {process.exitcode}).",
                    "Run the command again; it goes on with this board.",
                )
            )
        )


def _work(task: Task, port: str, pipe: Connection) -> None:
    """A worker: one board on one port, then its report."""
    _end_with_parent()
    report = Report()
    try:
        report = task.run(port, lambda event: _tell(pipe, event))
    except TwinrootError as error:
        report.failed(error)
    except KeyboardInterrupt:
        report.failed(Interrupted("interrupted", f"The run on {port} was stopped.", "Run the same command again."))
    except Exception as error:  # noqa: BLE001  one board's surprise must be a row, not the end of the others
        report.failed(StationError("internal-error", f"The process for {port} failed: {type(error).__name__}: {error}.", "Report this."))
    _tell(pipe, (report.as_dict(), report.exit_code))
    pipe.close()


def _end_with_parent() -> None:
    """A command that is killed takes its workers with it: the next run finds the port free, and asks the board how far this one came."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)  # as killed as the command: what has begun is in the ledger already

    threading.Thread(target=watch, daemon=True).start()


def _tell(pipe: Connection, message: object) -> None:
    try:
        pipe.send(message)
    except OSError:
        return  # nobody listens any more
