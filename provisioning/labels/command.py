"""A program of the owner's: its words on standard input, an end by a time limit, and nothing of this process that is secret.

Never through a shell. The environment is what a program needs to run and what the product file gives it, not this process's own: that may
hold the ledger's password, a token's PIN or a cloud's credentials.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from provisioning.errors import StationError
from provisioning.untrusted_text import one_line

# Names that a program may need to find its files, its folders and its language.
_PASSED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "XDG_RUNTIME_DIR"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "USERPROFILE", "WINDIR"),
)
_GRACE = 2.0  # seconds between the request to end and the end
_SAID = 4096  # bytes of a program's words that are looked at


def run(argv: Sequence[str], data: bytes, seconds: float, environment: Mapping[str, str], folder: Path) -> None:
    """Run `argv` in `folder` with `data` on its standard input. Raises StationError when it fails, or has not ended after `seconds`: it and
    what it started (on POSIX) are ended then."""
    name = one_line(argv[0])[:80]
    passed = {name: value for name, value in os.environ.items() if name.upper() in _PASSED or name.startswith("LC_")}
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**passed, **environment},
            start_new_session=os.name != "nt",
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a command"
        raise StationError(
            "command-missing", f"The command {name!r} cannot be started: {why}.", "Check its path and permissions."
        ) from None
    try:
        _, said = process.communicate(data, timeout=seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        raise StationError(
            "command-hangs", f"The command {name!r} did not end within {seconds:g} s and was ended.", "See what it waits for."
        ) from None
    except BaseException:
        _end(process)
        raise
    if process.returncode != 0:
        last = said[-_SAID:].decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        raise StationError(
            "command-failed",
            f"The command {name!r} ended with code {process.returncode}: {one_line(last[-1])[:200].rstrip('.')}.",
            "See what it says.",
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        with suppress(OSError):
            if os.name == "nt":
                process.kill()
            else:
                os.killpg(process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_GRACE)
            break
    for stream in (process.stdin, process.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()
