"""Who listens to the ports that this process opens: the log of a test, a recorder. Nothing is wrapped while nobody listens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

RX, TX, OPEN, CLOSE = "rx", "tx", "open", "close"
SETTINGS = ("baudrate", "dtr", "rts")  # of a port, as pyserial names them


class Listener(Protocol):
    """Called with everything that passes: `what` is "rx" or "tx" (`value`: bytes), "open", "close" (None), or a name of SETTINGS with its
    new value. `port` is the name that the port was opened by, `at` the time in seconds (time.monotonic)."""

    def __call__(self, port: str, what: str, value: Any, at: float) -> None: ...


_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """`listener` is told of every port that is opened inside."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tapped(port: Any, name: str) -> Any:
    """The open `port`, a pyserial object, as one that tells the listeners; itself where there are none."""
    return TappedPort(port, name) if _listeners else port


def _tell(port: str, what: str, value: Any = None) -> None:
    now = time.monotonic()
    for listener in tuple(_listeners):
        listener(port, what, value, now)


class TappedPort:
    """A pyserial object that does what the one inside does, and tells."""

    def __init__(self, port: Any, name: str) -> None:
        self.__dict__.update(_inside=port, _name=name)
        _tell(name, OPEN)

    def read(self, size: int = 1) -> bytes:
        data = bytes(self._inside.read(size))
        if data:
            _tell(self._name, RX, data)
        return data

    def write(self, data: bytes) -> Any:
        _tell(self._name, TX, bytes(data))
        return self._inside.write(data)

    def close(self) -> None:
        _tell(self._name, CLOSE)
        self._inside.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inside, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inside, name, value)
        if name in SETTINGS:
            _tell(self._name, name, value)
