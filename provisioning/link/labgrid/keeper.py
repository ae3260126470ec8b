"""The process that holds a place for another one, and releases it when that ends or says so.

On standard output a JSON line with what is held, or with the error that there is; it ends at a line or the end of standard input, and
by SIGTERM. Whoever has acquired the place by hand before (`labgrid-client -p PLACE acquire`) keeps it afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from provisioning.errors import StationError, TwinrootError
from provisioning.link.labgrid import client
from provisioning.link.labgrid.client import Place, Resource

SERIAL = "NetworkSerialPort"  # what exporters make of serial ports of every kind
SCHEMES = {"rfc2217": "rfc2217://", "raw": "socket://"}  # protocol of a NetworkSerialPort -> what pyserial calls it
# Source: labgrid/remote/client.py, power(): resources for which it has a driver without a configuration.
POWER = frozenset(
    {
        "NetworkPowerPort",
        "NetworkUSBPowerPort",
        "NetworkSiSPMPowerPort",
        "PDUDaemonPort",
        "TasmotaPowerPort",
        "NetworkYKUSHPowerPort",
        "NetworkSysfsGPIO",
    }
)
_APPEARS = 15.0  # seconds for the exporter to start what serves the port
_ANOTHER = 5.0  # seconds for an earlier run of this user to be gone


@contextmanager
def _alone(place: str) -> Iterator[None]:
    """labgrid knows users, not processes: two runs of one user on this computer are told apart by a lock that ends with its process."""
    from provisioning.result_cache import folder

    name = hashlib.sha256(f"{client.coordinator()} {client.me()} {place}".encode()).hexdigest()[:16]
    try:
        folder().mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(folder() / f"labgrid-{name}.lock", timeout=_ANOTHER, isolation_level=None)
    except (OSError, sqlite3.Error):
        yield  # a computer where nothing may be written has no second run to be feared
        return
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StationError(
                "labgrid-held", f"Another run of yours on this computer uses the place {place}.", "Wait for it, or name another place."
            ) from error
    try:
        yield
    finally:
        lock.close()


@contextmanager
def held(name: str, wanted: str = "") -> Iterator[Place]:
    """The place, ours, with the serial port `wanted` or its only one. Raises StationError where somebody else has it."""
    me, place = client.me(), client.look(name)
    serial_port(place, wanted)
    with _alone(place.name):
        if place.holder == me:
            place = client.look(place.name)  # that may have been an earlier run, which is gone now
        if place.holder == me or me in place.allowed:
            yield place
            return
        _free(place)
        try:
            _acquire(place)
            yield client.look(place.name)
        finally:
            _release(place.name, me)


def _free(place: Place) -> None:
    if place.holder is None:
        return
    host, _, user = place.holder.partition("/")
    raise StationError(
        "labgrid-held",
        f"The place {place.name} is held by {user} on {host}.",
        f"Wait for {user} to release it, or ask for `labgrid-client -p {place.name} allow {client.me()}`.",
    )


def _acquire(place: Place) -> None:
    try:
        client.run(place.name, "acquire")
    except StationError:
        _free(client.look(place.name))  # somebody was faster
        raise


def _release(place: str, me: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        client.run(place, "release-from", me)  # nothing where it is another's by now
    except StationError as error:
        if client.look(place).holder != me:
            return
        raise StationError(
            error.code, f"The place {place} could not be released: {error.message}", f"Run `labgrid-client -p {place} release`."
        ) from error


def serial_port(place: Place, wanted: str) -> Resource:
    """The serial port `wanted` of the place, or its only one. Raises StationError."""
    ports = [resource for resource in place.resources if resource.kind == SERIAL]
    fitting = [resource for resource in ports if wanted in ("", resource.name)]
    names = ", ".join(resource.name for resource in ports)
    show = f"`labgrid-client -p {place.name} show` says what it has."
    if not ports:
        raise StationError("labgrid-place", f"The place {place.name} has no serial port.", f"Add a match for one to it; {show}")
    if not fitting:
        raise StationError("labgrid-place", f"The place {place.name} has no serial port {wanted}, but {names}.", show)
    if len(fitting) > 1:
        raise StationError(
            "labgrid-place",
            f"The place {place.name} has {len(fitting)} serial ports: {names}.",
            f"Name one: --port lg:{place.name}/{fitting[0].name}; `labgrid-client add-named-match` gives them names of their own.",
        )
    return fitting[0]


def address(place: Place, port: Resource) -> str | None:
    """What pyserial opens; None while the exporter does not serve it. Raises StationError for what cannot be reached from here."""
    host, number = port.values.get("host"), port.values.get("port")
    if not port.available or not host or not number:
        return None
    if port.proxy:
        raise StationError(
            "labgrid-place",
            f"The serial port of the place {place.name} is reached through {port.proxy} only.",
            f"Run `ssh -L 7000:{host}:{number} {port.proxy}`, and give --port rfc2217://127.0.0.1:7000.",
        )
    protocol = port.values.get("protocol", "rfc2217")
    if protocol not in SCHEMES:
        raise StationError("labgrid-place", f"The serial port of the place {place.name} speaks {protocol}.", "rfc2217 and raw are known.")
    return f"{SCHEMES[protocol]}{host}:{number}"


def _served(place: Place, wanted: str) -> str:
    deadline = time.monotonic() + _APPEARS
    while (found := address(place, serial_port(place, wanted))) is None:
        if time.monotonic() > deadline:
            raise StationError(
                "labgrid-place",
                f"The serial port of the place {place.name} is not available.",
                "Its board may be unplugged, or its exporter's computer off.",
            )
        place = client.look(place.name)
    return found


def _say(fields: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # whom we would tell may be gone
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()


def _ended(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(0)


def main() -> int:
    """Exit code 0; 1 with an error on standard output."""
    signal.signal(signal.SIGTERM, _ended)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    name, _, wanted = sys.argv[1].partition("/")
    try:
        with held(name, wanted) as place:
            found = _served(place, wanted)
            power = "LG_ENV" in os.environ or any(resource.kind in POWER for resource in place.resources)
            _say({"place": place.name, "address": found, "power": power})
            sys.stdin.readline()
    except TwinrootError as error:
        _say({"code": error.code, "message": error.message, "hint": error.hint, "exit_code": error.exit_code})
        return 1
    return 0
