"""Which ports a station means: lists, patterns, and all boards that are plugged in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from provisioning.errors import InputError, StationError
from provisioning.link.adapters import UsbIds, candidates
from provisioning.link.port_names import rehearsed, resolve


def expand(specs: Iterable[str], count: int | None = None, more: UsbIds = frozenset()) -> list[str]:
    """The ports, in order, none twice. A spec is a port, several with commas, a pattern (/dev/ttyUSB*), or auto.

    `count`: how many there must be. `more`: USB ids of the product's boards, beside the usual ones.

    Raises InputError (nothing named, one twice) or StationError (too few are there).
    """
    named = [part.strip() for spec in specs for part in spec.split(",") if part.strip()]
    if not named:
        raise InputError("no-port", "No port was named.", "Give --port PORT, a pattern such as '/dev/ttyUSB*', or auto.")
    ports: list[str] = []
    for spec in named:
        found = _one(spec, more)
        twice = next((port for port in found if _same(port) in map(_same, ports)), None)
        if twice is not None and not any(mark in spec for mark in "*?[") and spec != "auto":
            raise InputError("port-twice", f"The port {twice} was named twice.", "Name each port once.")
        ports += [port for port in found if _same(port) not in map(_same, ports)]
    if count is not None and len(ports) < count:
        raise StationError(
            "too-few-boards", f"{count} boards were asked for, {len(ports)} ports are there.", "`twinroot doctor` lists them."
        )
    return ports[:count]


def _one(spec: str, more: UsbIds) -> list[str]:
    if spec == "auto":
        if rehearsed():
            return rehearsed()
        found = [str(port.device) for port in candidates(more)]
        if not found:
            raise StationError(
                "no-board", "No ESP32 board is plugged in: no port has one of the known USB ids.", "Name the ports with --port."
            )
        return found
    if any(mark in spec for mark in "*?[") and "://" not in spec:
        base = Path(Path(spec).anchor) if Path(spec).is_absolute() else Path()
        found = sorted(str(path) for path in base.glob(str(Path(spec).relative_to(base))))
        if not found:
            raise StationError("no-board", f"No port fits {spec}.", "`twinroot doctor` lists the ports.")
        return found
    return [resolve(spec, more)]


def _same(port: str) -> str:
    """What two names of one port have in common: links such as /dev/serial/by-id lead to the same device."""
    if "://" in port:
        return port.lower().split("?")[0]
    return str(Path(port).resolve()) if Path(port).exists() else port.upper()
