"""Which port is at which slot now: sockets of a hub, serial numbers and names, matched against what is plugged in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from provisioning.config.station import SlotPlace
from provisioning.link import adapters, native_usb, rehearsed
from provisioning.link.adapters import UsbIds

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo


class Plugged(NamedTuple):
    """A port that is there. `location`: its socket, 1-2.3; `native`: it is the chip's own, which goes away with every reset."""

    device: str
    location: str = ""
    serial: str = ""
    native: bool = False

    @property
    def order(self) -> list[tuple[int, int, str]]:
        """By socket, with 1-2.10 behind 1-2.9; then by name."""
        pieces = re.findall(r"\d+|\D+", self.location or self.device)
        return [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in pieces]


def look(named: Iterable[str], more: UsbIds = frozenset()) -> list[Plugged]:
    """What is plugged in: boards by their USB ids (and `more`), and the ports of `named` that are there."""
    if rehearsed.is_rehearsal():
        return [Plugged(*port) for port in rehearsed.ports()]
    listed = adapters.plugged()
    known = [port for port in listed if (port.vid, port.pid) in more or adapters.adapter_of(port.vid, port.pid)]
    found = [_plugged(port) for port in known]
    for name in named:
        if all(name not in (port.device, _real(port.device)) and _real(name) != port.device for port in found) and _is_there(name, listed):
            found.append(Plugged(name))
    return sorted(found, key=lambda port: port.order)


class Bound:
    """Slots that are bound to sockets, adapters or ports. `names`: in their order; `fixed`: those whose port never goes away."""

    def __init__(self, places: Sequence[SlotPlace]) -> None:
        self._places = places
        self.names = [place.name for place in places]
        self.fixed = frozenset(place.name for place in places if _is_url(place) and not rehearsed.is_rehearsal())
        self.ports = [place.value for place in places if place.kind == "port"]

    def match(self, plugged: Sequence[Plugged]) -> dict[str, Plugged]:
        """Slot -> the port that is plugged in there."""
        found: dict[str, Plugged] = {}
        for place in self._places:
            port = next((port for port in plugged if _fits(place, port)), None)
            if port is None and place.name in self.fixed:
                port = Plugged(place.value)
            if port is not None:
                found[place.name] = port
        return found


class Unbound:
    """So many slots for whatever is plugged in: a socket that was used once stays with its slot, as long as there are slots for all."""

    fixed: frozenset[str] = frozenset()
    ports: Sequence[str] = ()

    def __init__(self, count: int) -> None:
        self.names = [str(number) for number in range(1, count + 1)]
        self._sockets: dict[str, str] = {}

    def match(self, plugged: Sequence[Plugged]) -> dict[str, Plugged]:
        """Slot -> the port that is plugged in there."""
        by_socket = {port.location or port.device: port for port in plugged}
        found = {name: by_socket.pop(socket) for name, socket in self._sockets.items() if socket in by_socket}
        for socket, port in by_socket.items():
            fresh = [name for name in self.names if name not in self._sockets]
            free = fresh or [name for name in self.names if name not in found]
            if free:
                self._sockets[free[0]] = socket
                found[free[0]] = port
        return found


def _is_url(place: SlotPlace) -> bool:
    return place.kind == "port" and "://" in place.value


def _fits(place: SlotPlace, port: Plugged) -> bool:
    if place.kind == "socket":
        return port.location == place.value
    if place.kind == "serial":
        digits = native_usb.mac_digits(place.value)
        return port.serial.lower() == place.value.lower() or bool(digits and digits == native_usb.mac_digits(port.serial))
    return port.device.lower() == place.value.lower() or ("://" not in place.value and _real(place.value) == port.device)


def _plugged(port: ListPortInfo) -> Plugged:
    adapter = adapters.adapter_of(port.vid, port.pid)
    return Plugged(str(port.device), (port.location or "").split(":")[0], port.serial_number or "", bool(adapter and adapter.native))


def _real(name: str) -> str:
    return name if "://" in name else str(Path(name).resolve())  # links such as /dev/serial/by-id


def _is_there(name: str, listed: Sequence[ListPortInfo]) -> bool:
    return "://" not in name and (any(str(port.device).upper() == name.upper() for port in listed) or Path(name).exists())
