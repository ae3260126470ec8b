"""The process that has all workers: the screen's process draws and never waits for a board, and is never forked while it has threads."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from provisioning.job.station import FlashJob, Ready, esptools, prepare, task
from provisioning.job.worker import End, Task
from provisioning.job.workers import FORKED, Said, Workers
from provisioning.link.events import Event


class Start(NamedTuple):
    """To the hub: a worker for a board. As Crew.start has it."""

    slot: str
    number: int
    port: str
    device: str | None
    baud: int | None


class Leave(NamedTuple):
    """To the hub: stop all workers, then end."""


class WorkerEvent(NamedTuple):
    """From the hub: what the worker at `slot` said, and when it came in (time.monotonic())."""

    slot: str
    what: Event | End
    at: float


Work = Callable[[Start], Task]  # what is done with the board that a command names


@dataclass(frozen=True)
class Flashing:
    """The work of `twinroot station`. `ready`: what is loaded already, where a process can be forked."""

    job: FlashJob
    ready: Ready | None
    source: Any = None

    def __call__(self, command: Start) -> Task:
        return task(self.job, self.ready, self.source, command.device, command.baud)


class Hub:
    """The Crew of an Engine. A context manager; start it before this process has threads."""

    def __init__(self, work: Flashing | Work) -> None:
        self._work = work
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Hub:
        context: Any = multiprocessing.get_context("fork" if FORKED else "spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._pipe if FORKED else None, self._work), name="twinroot station")
        self._process.start()
        theirs.close()
        return self

    def start(self, slot: str, number: int, port: str, device: str | None, baud: int | None) -> None:
        self._send(Start(slot, number, port, device, baud))

    def leave(self) -> None:
        self._send(Leave())

    def listen(self, tell: Callable[[WorkerEvent], object], ended: Callable[[], object]) -> None:
        """What workers say goes to `tell`, in a thread; `ended` is called when no worker is there any more, and none will be."""
        self._thread = threading.Thread(target=self._read, args=(tell, ended), name="hub", daemon=True)
        self._thread.start()

    def _read(self, tell: Callable[[WorkerEvent], object], ended: Callable[[], object]) -> None:
        while True:
            try:
                event = self._pipe.recv()
            except (EOFError, OSError):
                break
            tell(event)
        ended()

    def __exit__(self, *_: object) -> None:
        self._send(Leave())
        if self._thread is None:
            self.listen(lambda _told: None, lambda: None)
        if self._thread is not None:
            self._thread.join()
        self._process.join()
        self._pipe.close()

    def _send(self, command: Start | Leave) -> None:
        try:
            self._pipe.send(command)
        except OSError:
            return  # it has ended; who listens knows


def _serve(pipe: Connection, others: Connection | None, work: Flashing | Work) -> None:
    if others is not None:
        others.close()  # the other end, which a forked process has, too: without this the end of the screen would go unnoticed
    for number in (signal.SIGINT, signal.SIGTERM):
        # The screen decides what a control-C means. Handled rather than ignored: what is ignored would be so by esptool, too.
        signal.signal(number, lambda _signal, _frame: None)
    with Workers() as workers:
        if isinstance(work, Flashing):
            prepare()
            with esptools() as source:
                _listen(pipe, workers, Flashing(work.job, work.ready, source))
                _pass_on(pipe, workers.end())
        else:
            _listen(pipe, workers, work)
            _pass_on(pipe, workers.end())
    pipe.close()


def _listen(pipe: Connection, workers: Workers, work: Work) -> None:
    """Until the screen says that it leaves, or is gone."""
    while True:
        if workers.busy:
            _pass_on(pipe, workers.listen(None, [pipe]))
            if not pipe.poll():
                continue
        try:
            command = pipe.recv()
        except (EOFError, OSError):
            return
        if isinstance(command, Leave):
            return
        workers.start(command.slot, command.number, work(command), command.port)


def _pass_on(pipe: Connection, said: list[Said]) -> None:
    for one in said:
        try:
            pipe.send(WorkerEvent(one.name, one.what, time.monotonic()))
        except OSError:
            return  # the screen is gone: the boards are left in order all the same
