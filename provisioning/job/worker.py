"""The process of one board: runs its task, tells its parent what happens, ends in a report."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import NamedTuple, Protocol

from provisioning.errors import Interrupted, StationError, TwinrootError
from provisioning.job.journal import Journal
from provisioning.job.report import Report
from provisioning.link.events import Event, Listener

_PROGRESS = 0.2  # seconds between two events about bytes: a screen shows no more, and each costs time in three processes


class Ask(NamedTuple):
    """A worker asks for its turn to claim a device; the answer is a number (claim_order.py)."""


class End(NamedTuple):
    """The last word of a worker."""

    report: dict[str, object]
    exit_code: int


class Line:
    """What a task has of its parent: a listener that also writes the board's log, and the turn to claim a device."""

    def __init__(self, pipe: Connection, journal: Journal) -> None:
        self._pipe = pipe
        self._journal = journal
        self._progress = 0.0

    def __call__(self, event: Event) -> None:
        self._journal.take(event)
        if event.kind == "bytes":
            now, whole = time.monotonic(), event.data["done"] >= event.data["total"]
            if now - self._progress < _PROGRESS and not whole:
                return
            self._progress = now
        self.send(event)

    def may_claim(self) -> int:
        """Waits until it is this board's turn; for how many boards a free device has to be left."""
        self.send(Ask())
        try:
            return int(self._pipe.recv())
        except (EOFError, OSError):
            return 0  # the parent is gone, and this process with it

    def send(self, message: object) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            return  # nobody listens any more


class Task(Protocol):
    """What is done with the board on a port."""

    def run(self, port: str, events: Listener) -> Report:
        """In the worker; `events` is its Line. A TwinrootError that is raised is the board's result, too."""


def work(task: Task, port: str, pipe: Connection) -> None:
    """One board on one port, then its report."""
    _stopped_by_parent_only()
    _end_with_parent()
    journal = Journal(type(task).__name__.removesuffix("Task").lower(), port)
    line = Line(pipe, journal)
    report = Report()
    try:
        report = task.run(port, line)
    except TwinrootError as error:
        report.failed(error)
    except KeyboardInterrupt:
        report.failed(Interrupted("interrupted", f"The run on {port} was stopped.", "Run the same command again."))
    except Exception as error:  # noqa: BLE001  one board's surprise must be a row, not the end of the others
        report.failed(StationError("internal-error", f"The process for {port} failed: {type(error).__name__}: {error}.", "Report this."))
    journal.end(report.as_dict())
    line.send(End(report.as_dict(), report.exit_code))
    pipe.close()


def _stopped_by_parent_only() -> None:
    """A control-C reaches every process of the terminal: here the parent decides who is stopped, once, so that nothing disturbs what has to
    be done before a board is left."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    if sys.platform != "win32":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, stop)


def _end_with_parent() -> None:
    """A command that is killed takes its workers with it: the next run finds the port free, and asks the board how far this one came."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)  # as killed as the command: what has begun is in the ledger already

    threading.Thread(target=watch, daemon=True).start()
