"""An esptool that starts now and gets its arguments later (tool.py): its start lies beside the questions to the board.

Measured: esptool's answer comes 1.0 s after its arguments instead of 2.0 s after its start.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType

from provisioning.flash import process

_END = 3.0  # seconds


class Prestarted:
    """For one run; a context manager, which ends a process that was not needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = process.start(
            [sys.executable, "-m", "provisioning.flash.tool"], stdin=subprocess.PIPE
        )

    def take(self, argv: Sequence[str]) -> subprocess.Popen[bytes] | None:
        """The process, which runs `argv` now; None when it was taken before, or when `argv` is not esptool's."""
        arguments = process.arguments_of(argv)
        if self._process is None or arguments is None:
            return None
        taken, self._process = self._process, None
        assert taken.stdin is not None  # noqa: S101 - it was started with a pipe
        # If it has ended already, what it printed says why.
        with contextlib.suppress(OSError):
            taken.stdin.write(json.dumps(arguments).encode() + b"\n")
            taken.stdin.close()
        return taken

    def __enter__(self) -> Prestarted:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            unused, self._process = self._process, None
            unused.kill()  # it has done nothing yet
            unused.wait(_END)
            for pipe in (unused.stdin, unused.stdout):
                if pipe is not None:
                    pipe.close()


class Told:
    """What is ready in `source`, else one that starts now: an esptool that gets its arguments by its standard input in any case. The word
    that opens a bridge is among them, and everybody can read a command line."""

    def __init__(self, source: process.Source | None) -> None:
        self._source = source

    def take(self, argv: Sequence[str]) -> process.Running | None:
        ready = self._source.take(argv) if self._source is not None else None
        return ready if ready is not None else Prestarted().take(argv)
