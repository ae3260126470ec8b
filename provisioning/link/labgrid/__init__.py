"""`--port lg:PLACE`: the serial port of a place of a labgrid lab, acquired for this run and released on every way out.

labgrid is not a package of this environment: its `labgrid-client` is run as a program (client.py). The place is held by a process of its
own (keeper.py), which releases it when this one has ended, by whatever: control-C, an error, SIGTERM, SIGKILL.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from provisioning.errors import InputError, StationError, TwinrootError

SCHEME = "lg:"
_ROOT = Path(__file__).resolve().parents[3]
# The path is handed over as an argument, not in the environment: labgrid-client belongs to another Python.
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from provisioning.link.labgrid.keeper import main; sys.exit(main())"
_RELEASE = 90.0  # seconds for the release; 0.5 are usual
_CLASSES = {kind.exit_code: kind for kind in (InputError, StationError)}


class Lease(NamedTuple):
    """A place that is ours. `address`: its serial port, as pyserial opens it. `power`: whether labgrid-client can switch its power."""

    place: str
    address: str
    power: bool


@contextmanager
def lease(name: str) -> Iterator[Lease]:
    """Holds the place `name`, "PLACE", or "PLACE/RESOURCE" where it has several serial ports.

    Raises InputError for no name, StationError for a place that somebody else has, that does not exist or has no serial port, and where
    there is no labgrid-client or no coordinator.
    """
    if not name.strip():
        raise InputError("bad-port", "lg: lacks the name of a place.", "Write --port lg:PLACE; `labgrid-client places` lists them.")
    keeper = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(_ROOT), name.strip()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,  # nothing, unless it cannot run
        start_new_session=True,  # a control-C of the terminal is for us: we release, in order
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    try:
        yield Lease(**_answer(keeper))
    finally:
        _end(keeper)


@contextmanager
def port(name: str) -> Iterator[str]:
    """The port of the place `name` (entry point `lg` of the group `twinroot.ports`). Raises what `lease` raises."""
    with lease(name) as held:
        yield held.address


def _answer(keeper: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert keeper.stdout is not None and keeper.stderr is not None  # noqa: S101
    line = keeper.stdout.readline()
    if not line:
        words = keeper.stderr.read().decode(errors="replace").strip().splitlines()
        why = f": {words[-1]}" if words else ""
        raise StationError("labgrid-place", f"The process that holds the place ended at its start{why}.", "Run the command again.")
    said: dict[str, Any] = json.loads(line)
    if "code" in said:
        raise _raised(said)
    return said


def _raised(said: dict[str, Any]) -> TwinrootError:
    return _CLASSES.get(said["exit_code"], StationError)(said["code"], said["message"], said["hint"])


def _end(keeper: subprocess.Popen[bytes]) -> None:
    """Tell the keeper to release, and wait for it. A place that could not be released is no failure of the job: it is said."""
    assert keeper.stdin is not None and keeper.stdout is not None and keeper.stderr is not None  # noqa: S101
    with contextlib.suppress(OSError):
        keeper.stdin.write(b"\n")  # not only its end: a process that was forked meanwhile has that open as well
        keeper.stdin.close()
    try:
        keeper.wait(_RELEASE)
    except subprocess.TimeoutExpired:
        sys.stderr.write("twinroot: The labgrid coordinator takes long to release the place; that goes on by itself.\n")
        return
    for line in keeper.stdout.read().splitlines():
        said = json.loads(line)
        if "code" in said and keeper.returncode:
            sys.stderr.write(f"twinroot: {said['message']}\n  next: {said['hint']}\n")
    keeper.stdout.close()
    keeper.stderr.close()
