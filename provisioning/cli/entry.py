"""Entry point of the `twinroot` command: imports nothing before it can answer a control-C."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    # As control-C: every `finally` on the way out runs, so ports are closed and boards are left in a known state.
    raise KeyboardInterrupt


def _open_missing_streams() -> None:
    """A caller may have closed the standard streams (`>&-`, a service, pythonw): Python has None there then, and the next file that is
    opened, a serial port among them, would get their number and whatever a child process prints."""
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115  stays open as long as the process
            if stream.fileno() != descriptor:
                os.dup2(stream.fileno(), descriptor)
            setattr(sys, name, stream)


def main() -> None:
    """Run the command of this process's arguments, and exit with its code."""
    _open_missing_streams()
    try:
        signal.signal(signal.SIGTERM, _terminated)
        from provisioning.cli.main import run

        for stream in (sys.stdout, sys.stderr):
            # A Windows console with a legacy code page must never end a run because of one character.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        code = run()
    except KeyboardInterrupt:
        sys.stderr.write("twinroot: Interrupted before anything was done.\n  next: Run the same command again.\n")
        code = 130
    # The result is out: a control-C from here on has nothing left to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)
