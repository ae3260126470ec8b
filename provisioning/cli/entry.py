"""Entry point of the `twinroot` command: imports nothing before it can answer a control-C."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    # As control-C: every `finally` on the way out runs, so ports are closed and boards are left in a known state.
    raise KeyboardInterrupt


def main() -> None:
    """Run the command of this process's arguments, and exit with its code."""
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
