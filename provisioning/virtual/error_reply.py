"""Errors of the hardware process on their way to people, scripts and the process that started it: one form for all.

For people two lines on standard error, as every command of twinroot writes them; with --json also one object on standard output,
{"outcome", "code", "message", "hint", "exit_code"}, from which `raised_by` makes the exception again.
"""

from __future__ import annotations

import errno
import json
import sys
from typing import Any

from provisioning.errors import BoardError, InputError, Interrupted, StationError, TwinrootError

_CLASSES = {kind.exit_code: kind for kind in (BoardError, InputError, StationError, Interrupted)}

# What the operating system says, and what helps: code, what it is, next step. `{where}` is the file or folder.
_SYSTEM = {
    errno.ENOSPC: ("disk-full", "The disk of {where} is full", "Free space there, or name a folder on another disk with --state."),
    errno.EDQUOT: ("disk-full", "The disk quota for {where} is used up", "Free space there, or name a folder elsewhere with --state."),
    errno.EROFS: ("state-not-writable", "{where} is on a read-only file system", "Name a folder that you may write to with --state."),
    errno.EACCES: ("state-not-writable", "{where} may not be used", "Name a folder that you may write to with --state."),
    errno.EPERM: ("state-not-writable", "{where} may not be used", "Name a folder that you may write to with --state."),
    errno.ENAMETOOLONG: ("state-name-long", "The name {where} is too long", "Name a folder with a shorter path with --state."),
    errno.EIO: ("disk-broken", "The disk of {where} does not work", "Name a folder on another disk with --state."),
    errno.EMFILE: ("too-many-files", "This process may not open more files", "Raise the limit (`ulimit -n 4096`), or start fewer boards."),
    errno.ENFILE: ("too-many-files", "This computer has no more open files to give", "End other programs, or start fewer boards."),
    errno.ENOMEM: ("out-of-memory", "This computer has not enough memory for the boards", "End other programs, or start fewer boards."),
    errno.EAGAIN: ("too-many-processes", "This user may not start more processes", "Raise the limit (`ulimit -u`), or start fewer boards."),
    errno.EADDRINUSE: ("port-in-use", "The TCP port is in use", "Leave --port out: any free one is taken."),
}
EXPLAINED = frozenset(_SYSTEM)


def of_system(error: OSError, where: object) -> StationError:
    """A sentence with a next step for what the operating system refused; `where` is named when the error names no file."""
    name = error.filename or where
    code, message, hint = _SYSTEM.get(
        error.errno or 0,
        (
            "virtual-start",
            f"{{where}}: {error.strerror or type(error).__name__}",
            "Name another folder with --state; see docs/virtual-board.md.",
        ),
    )
    return StationError(code, message.format(where=name), hint)


def report(error: TwinrootError, as_json: bool) -> int:
    """Writes it; returns the exit code."""
    if as_json:
        fields = {"outcome": error.outcome, "code": error.code, "message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()
    sys.stderr.write(f"twinroot: {error.message}\n" + (f"  next: {error.hint}\n" if error.hint else ""))
    return error.exit_code


def raised_by(fields: dict[str, Any]) -> TwinrootError:
    """The exception that `report` wrote, or that a control command was refused with."""
    kind = _CLASSES.get(fields.get("exit_code", StationError.exit_code), StationError)
    return kind(str(fields.get("code", "virtual-start")), str(fields.get("message", "")), str(fields.get("hint", "")))
