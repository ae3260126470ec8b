"""Many esptools for one start: a process that has imported esptool and forks itself for each board that asks.

Measured: six boards take 2.9 s of processor instead of 4.2 s, at the moment when all of them start, and are through in 15.2 s instead of
18.4 s on two busy cores. Linux only: it needs fork, and sends the ends of two pipes over a socket; elsewhere each board has a process that
was started for it (prestart.py).
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import IO

from provisioning.flash import process

_END = 3.0  # seconds for the server to be gone
_BORN = 10.0  # seconds for a process to say its number


class ForkServer:
    """A context manager; `take` may be called in processes that were forked from the one that made it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argv = [sys.executable, "-m", "provisioning.flash.tool", str(theirs.fileno())]
            self._process = process.start(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(theirs.fileno(),))

    def take(self, argv: Sequence[str]) -> Forked | None:
        """An esptool that runs `argv`; None when the server is gone or `argv` is not esptool's."""
        arguments = process.arguments_of(argv)
        if arguments is None:
            return None
        output, their_output = os.pipe()
        end, their_end = os.pipe()
        try:
            socket.send_fds(self._socket, [json.dumps(arguments).encode()], [their_output, their_end])
        except OSError:
            os.close(output)
            os.close(end)
            return None
        finally:
            os.close(their_output)
            os.close(their_end)
        return Forked(output, end)

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()
        self._process.kill()  # those that it forked are their callers'
        self._process.wait(_END)


class Forked:
    """What process.py needs of a process that is not its child. The pipe `end` brings its number, then its exit code."""

    def __init__(self, output: int, end: int) -> None:
        self.stdout: IO[bytes] = os.fdopen(output, "rb", 0)
        self.returncode: int | None = None
        self._end = os.fdopen(end, "rb", 0)
        self._heard = b""

    def poll(self) -> int | None:
        try:
            return self.wait(0.0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float) -> int:
        """The exit code, negative after a signal. Raises subprocess.TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while self.returncode is None:
            if not select.select([self._end], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise subprocess.TimeoutExpired("esptool", timeout)
            more = self._end.read(64)
            self._heard += more
            if not more:
                words = self._heard.split()
                self.returncode = int(words[1]) if len(words) > 1 else -signal.SIGKILL
                self._end.close()
        return self.returncode

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        deadline = time.monotonic() + _BORN
        while self.poll() is None and b"\n" not in self._heard and time.monotonic() < deadline:
            select.select([self._end], [], [], _BORN)  # it was asked for, and the server has only begun itself
        if self.returncode is None and b"\n" in self._heard:
            try:
                os.kill(int(self._heard.split()[0]), number)
            except ProcessLookupError:
                return  # it has just ended
