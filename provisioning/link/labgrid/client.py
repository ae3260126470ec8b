"""Runs labgrid's own client, and reads what it prints.

It is found by TWINROOT_LABGRID_CLIENT, else on PATH, and finds its coordinator by LG_COORDINATOR. Form of `show`: labgrid 26,
labgrid/remote/client.py print_place and remote/common.py Place.show.
"""

from __future__ import annotations

import ast
import getpass
import os
import re
import shutil
import socket
import subprocess
from textwrap import dedent
from typing import Any, NamedTuple

from provisioning.errors import StationError

PROGRAM = "TWINROOT_LABGRID_CLIENT"
COORDINATOR = "LG_COORDINATOR"
DEFAULT_COORDINATOR = "127.0.0.1:20408"
# Which target is meant otherwise than by -p. With a configuration, `acquire` takes every place that it names.
_TARGETS = ("LG_ENV", "LG_PLACE", "PLACE", "LG_STATE", "STATE", "LG_INITIAL_STATE")
_LIMIT = 60.0  # seconds for one command; half a second is usual
_PLACE = re.compile(r"^Place '(.*)':$", re.MULTILINE)
_FIELD = re.compile(r"^  (acquired|allowed): (.*)$", re.MULTILINE)
_RESOURCE = re.compile(r"^(?:Acquired|Matching) resource '(.*)' \(.*\):\n((?:  .*\n?)+)", re.MULTILINE)


class Resource(NamedTuple):
    """What a place has. `kind`: labgrid's class, such as NetworkSerialPort; `values`: its arguments."""

    name: str
    kind: str
    available: bool
    values: dict[str, Any]

    @property
    def proxy(self) -> str | None:
        """The computer through which alone it can be reached."""
        extra = self.values.get("extra") or {}
        return str(extra.get("proxy")) if extra.get("proxy_required") else None


class Place(NamedTuple):
    """`holder`: "host/user", None when it is free. `allowed`: who may use it as well, in the same form."""

    name: str
    holder: str | None
    allowed: frozenset[str]
    resources: tuple[Resource, ...]


def me() -> str:
    """This user on this computer, as labgrid-client says it to the coordinator."""
    return f"{os.environ.get('LG_HOSTNAME') or socket.gethostname()}/{os.environ.get('LG_USERNAME') or getpass.getuser()}"


def coordinator() -> str:
    return os.environ.get(COORDINATOR) or DEFAULT_COORDINATOR


def look(name: str) -> Place:
    """The place that `name` means: labgrid takes a part of a name, or an alias, where only one place has it."""
    return parsed(run(name, "show"))


def parsed(text: str) -> Place:
    """What `show` printed. Raises StationError for what is not of its form."""
    try:
        found = _PLACE.search(text)
        fields = dict(_FIELD.findall(text))
        resources = tuple(_resource(name, body) for name, body in _RESOURCE.findall(text))
        if found is None:
            raise KeyError("Place")
        holder = fields["acquired"]
    except (KeyError, ValueError, SyntaxError) as error:
        raise StationError(
            "labgrid-place",
            f"What labgrid-client prints of the place is not understood ({type(error).__name__}: {error}).",
            "labgrid 26 is known to work; `labgrid-client --version` has yours.",
        ) from error
    allowed = frozenset(part.strip() for part in fields.get("allowed", "").split(",") if part.strip())
    return Place(found[1], None if holder == "None" else holder, allowed, resources)


def _resource(name: str, body: str) -> Resource:
    values = ast.literal_eval(dedent(body).strip())
    return Resource(name, values["cls"], bool(values["avail"]), values["params"])


def run(place: str, *command: str, configured: bool = False) -> str:
    """What `labgrid-client -p PLACE COMMAND…` prints. `configured`: with the configuration that LG_ENV names.

    Raises StationError where it fails, with labgrid's own words when no better ones are known.
    """
    program = os.environ.get(PROGRAM) or shutil.which("labgrid-client")
    missing = StationError(
        "labgrid-missing",
        f"{program or 'labgrid-client'} cannot be run, which reaches the boards of a lab.",
        f"Install labgrid in an environment of its own, and put its bin folder on PATH or name its labgrid-client in {PROGRAM}.",
    )
    if not program:
        raise missing
    environment = {name: value for name, value in os.environ.items() if configured or name not in _TARGETS}
    try:
        done = subprocess.run(
            [program, "-p", place, *command],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            timeout=_LIMIT,
            check=False,
            env=environment,
        )
    except OSError as error:
        raise missing from error
    except subprocess.TimeoutExpired as error:
        raise _no_coordinator(f"did not answer within {_LIMIT:g} s") from error
    if done.returncode == 0:
        return done.stdout
    raise _failed(place, done.stderr)


def _no_coordinator(what: str) -> StationError:
    return StationError(
        "labgrid-coordinator",
        f"The labgrid coordinator at {coordinator()} {what}.",
        f"Set {COORDINATOR} to HOST:PORT of your lab's, or start labgrid-coordinator.",
    )


def _failed(place: str, text: str) -> StationError:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = lines[-1] if lines else "it failed without a word"
    if "connect to coordinator" in text or "coordinator is unavailable" in text:
        return _no_coordinator("does not answer")
    if "matches nothing" in said:
        return StationError("labgrid-place", f"labgrid has no place {place}.", "`labgrid-client places` lists them.")
    said = re.sub(r"^(labgrid-client: |Server error: )?(Error: )?", "", said).rstrip(".")
    return StationError("labgrid-place", f"labgrid, of the place {place}: {said}.", f"`labgrid-client -p {place} show` says what it has.")
