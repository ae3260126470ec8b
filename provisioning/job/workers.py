"""The processes of all boards that are being worked on: started one by one, listened to together, ended together."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, NamedTuple

from provisioning.errors import Interrupted, StationError
from provisioning.job.claim_order import ClaimOrder
from provisioning.job.report import Report
from provisioning.job.worker import Ask, End, Task, work
from provisioning.link.events import Event

# Where a process can be forked, a task has what its parent loaded already; elsewhere it loads it again.
FORKED = sys.platform == "linux"

_GRACE = 10.0  # seconds that workers get to leave their boards in order, and to write what the ledger has to know


class Said(NamedTuple):
    """What the worker `name` said: an event, or its end."""

    name: str
    what: Event | End


class _Worker(NamedTuple):
    name: str
    port: str
    process: Any


class Workers:
    """A context manager: whoever is still at work on the way out is stopped."""

    def __init__(self) -> None:
        self._context: Any = multiprocessing.get_context("fork" if FORKED else "spawn")
        self._at_work: dict[Connection, _Worker] = {}
        self._leaving: list[Any] = []  # processes that have said their last word
        self._order = ClaimOrder()

    @property
    def busy(self) -> bool:
        return bool(self._at_work)

    def start(self, name: str, place: int, task: Task, port: str) -> None:
        """A worker for the board on `port`. `place`: where it stands when devices are given out."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(task, port, theirs), name=f"twinroot {port}")
        process.start()
        theirs.close()
        self._order.begin(name, place)
        self._at_work[ours] = _Worker(name, port, process)

    def listen(self, seconds: float | None, also: Sequence[Connection] = ()) -> list[Said]:
        """What workers say; waits for the first of it so long at most, or until one of `also` has something to read."""
        deadline = None if seconds is None else time.monotonic() + seconds
        self._leaving = [process for process in self._leaving if process.is_alive()]
        while True:
            now = time.monotonic()
            limits = [limit for limit in (None if deadline is None else deadline - now, self._order.seconds(now)) if limit is not None]
            ready = wait([*self._at_work, *also], max(0.0, min(limits)) if limits else None)
            said = [one for pipe in [pipe for pipe in self._at_work if pipe in ready] for one in self._read(pipe)]
            self._grant()
            if said or any(pipe in ready for pipe in also) or (deadline is not None and time.monotonic() >= deadline) or not self.busy:
                return said

    def stop(self, names: Sequence[str] | None = None) -> None:
        """Ask workers (all, or those of `names`) to leave their boards in order; their ends come as those of others do."""
        for worker in self._at_work.values():
            if names is None or worker.name in names:
                worker.process.terminate()

    def end(self) -> list[Said]:
        """Stop all; what they say until they are gone. Those that take too long are killed."""
        self.stop()
        said: list[Said] = []
        deadline = time.monotonic() + _GRACE
        while self.busy and time.monotonic() < deadline:
            said += self.listen(deadline - time.monotonic())
        for pipe, worker in list(self._at_work.items()):
            worker.process.kill()
            said += self._gone(pipe)
        for process in self._leaving:
            _end(process)
        return said

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    def _read(self, pipe: Connection) -> list[Said]:
        """One message of a worker; its end, where there was no other."""
        worker = self._at_work[pipe]
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            return self._gone(pipe)
        if isinstance(message, Ask):
            self._order.ask(worker.name, time.monotonic())
            return []
        if isinstance(message, End):
            self._leave(pipe)
        elif message.kind == "claim":
            self._order.decided(worker.name)
        return [Said(worker.name, message)]

    def _grant(self) -> None:
        while due := self._order.due(time.monotonic()):
            for pipe, worker in self._at_work.items():
                for name, leave in due.items():
                    if worker.name == name:
                        _answer(pipe, leave)

    def _gone(self, pipe: Connection) -> list[Said]:
        """The worker ended without a report."""
        worker = self._at_work[pipe]
        self._leave(pipe)
        _end(worker.process)
        report = Report()
        if worker.process.exitcode == -15:
            report.failed(Interrupted("interrupted", f"The run on {worker.port} was stopped.", "Run the same command again."))
        else:
            report.failed(
                StationError(
                    "worker-died",
                    f"The process for {worker.port} ended without a report (exit code {worker.process.exitcode}).",
                    "Run the command again; it goes on with this board.",
                )
            )
        return [Said(worker.name, End(report.as_dict(), report.exit_code))]

    def _leave(self, pipe: Connection) -> None:
        worker = self._at_work.pop(pipe)
        self._order.decided(worker.name)
        self._leaving.append(worker.process)
        pipe.close()


def _end(process: Any) -> None:
    process.join(_GRACE)
    if process.is_alive():
        process.kill()
        process.join(_GRACE)


def _answer(pipe: Connection, leave: int) -> None:
    try:
        pipe.send(leave)
    except OSError:
        return  # it has just ended
