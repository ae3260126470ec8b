"""Looks what is plugged in, a few times a second, in a thread of its own: no operating system tells it in one way on all systems."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence

from provisioning.link.adapters import UsbIds
from provisioning.station.sockets import Plugged, look

EVERY = 0.25  # seconds between two looks


class Watcher:
    """A context manager. `tell` gets the ports at every look, in the thread; `named`: ports that have no USB id."""

    def __init__(self, tell: Callable[[list[Plugged]], object], named: Sequence[str], more: UsbIds) -> None:
        self._tell = tell
        self._named = named
        self._more = more
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ports", daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            with contextlib.suppress(OSError):  # a port that goes while the list is made: the next look has it right
                self._tell(look(self._named, self._more))
            self._end.wait(EVERY)
