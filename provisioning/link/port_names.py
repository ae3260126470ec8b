"""Which port a person means: a device or a URL as it is, or a word of ours that tells a board by what is plugged in."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from provisioning.errors import BoardError, InputError, StationError
from provisioning.link import adapters, native_usb
from provisioning.link import rehearsed as rehearsal
from provisioning.link.adapters import UsbIds

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo

ENVIRONMENT = ("TWINROOT_PORT", "ESPPORT")
_MAC = r"[0-9a-fA-F]{2}([:-]?[0-9a-fA-F]{2}){5}"
_HOST_AND_PORT = ("rfc2217://", "socket://")  # URLs that need both
_PLUG_IN = (
    "Plug the board in with a data cable (one for charging has no data lines); `twinroot doctor` lists the ports. "
    "An adapter with ids of its own is named by its port: --port /dev/ttyUSB0 or COM5."
)


def rehearsed() -> list[str]:
    """The ports that stand for all that are plugged in, where a rehearsal says so (virtual boards)."""
    return [port.device for port in rehearsal.ports()]


def default_spec() -> str | None:
    return next((os.environ[name] for name in ENVIRONMENT if os.environ.get(name)), None)


def _listed(ports: list[ListPortInfo]) -> str:
    return ", ".join(f"{port.device} ({', '.join(_said_of(port))})" for port in ports)


def _said_of(port: ListPortInfo) -> list[str]:
    """What a person can tell it by, and name it by."""
    found = [port.description, f"usb:{port.serial_number or '?'}"]
    return [*found, f"usbpath:{port.location}"] if port.location else found


def _auto(more: UsbIds) -> str:
    ports = _waited(lambda: adapters.candidates(more))
    if len(ports) == 1:
        return str(ports[0].device)
    if not ports:
        raise StationError(
            "no-board",
            "No ESP32 board is plugged in: no port has one of the known USB ids.",
            _PLUG_IN,
        )
    raise _several("More than one board is plugged in", ports)


def _by_usb(serial_number: str, more: UsbIds) -> str:
    digits = native_usb.mac_digits(serial_number)

    def fit() -> list[ListPortInfo]:
        """Those whose serial number is this, or this MAC: the ROM writes it with colons, MicroPython without, with more behind it."""
        return [
            port
            for port in adapters.candidates(more)
            if (port.serial_number or "").lower() == serial_number.lower()
            or (digits and digits == native_usb.mac_digits(port.serial_number))
        ]

    found = _waited(fit)
    if len(found) > 1:
        raise _several(f"{len(found)} adapters have the USB serial number {serial_number}", found)
    if not found:
        raise _absent(f"No port has the USB serial number {serial_number}.", more)
    return str(found[0].device)


def _by_usb_path(location: str, more: UsbIds) -> str:
    found = _waited(lambda: [port for port in adapters.candidates(more) if port.location and port.location.split(":")[0] == location])
    if len(found) > 1:  # an adapter with two UARTs has both in one socket
        raise _several(f"{len(found)} ports are in the USB socket {location}", found)
    if not found:
        raise _absent(f"No port is in the USB socket {location}.", more)
    return str(found[0].device)


def _waited(fit: Callable[[], list[ListPortInfo]]) -> list[ListPortInfo]:
    """What fits; a chip that is its own USB device and starts just now may take a moment to be there."""
    return native_usb.wait(lambda: fit() or None, native_usb.APPEARS) or []


def _several(sentence: str, ports: list[ListPortInfo]) -> StationError:
    hint = "Name one by its port, or by its USB socket: --port usbpath:…"
    return StationError("many-boards", f"{sentence}: {_listed(ports)}.", hint)


def _absent(sentence: str, more: UsbIds) -> StationError:
    """No port is the one that was meant: the next step depends on whether any board is there."""
    ports = adapters.candidates(more)
    hint = f"Plugged in: {_listed(ports)}. Name one of them with --port." if ports else _PLUG_IN
    return StationError("no-board", sentence, hint)


def bad(spec: str, what: str) -> InputError:
    return InputError(
        "bad-port",
        f"{spec!r} {what}.",
        "Name a device (/dev/ttyUSB0, COM5), rfc2217://HOST:PORT, socket://HOST:PORT, auto, mac:24:0a:c4:00:00:01, usb:SERIALNUMBER or "
        "usbpath:1-2.3.",
    )


def _by_mac(mac: str, more: UsbIds) -> str:
    from provisioning.link.port import open_port
    from provisioning.link.repl import RawRepl

    wanted = re.sub("[:.-]", "", mac).lower()
    for port in adapters.candidates(more):
        if native_usb.mac_digits(port.serial_number) == wanted:
            return str(port.device)  # a chip that is its own USB device tells its MAC unasked
    for port in adapters.candidates(more):
        try:
            with open_port(port.device) as wire:
                repl = RawRepl(wire)
                repl.enter(patience=2.0)
                found = repl.run("import umachine\nprint(umachine.unique_id().hex())", 2.0).decode("ascii", "replace").strip()
                repl.leave()
        except (BoardError, StationError):
            continue  # a board that does not answer is not the one; a busy port cannot be asked
        if found == wanted:
            return str(port.device)
    raise _absent(f"No board that answers has the MAC {mac}.", more)


def resolve(spec: str | None, more: UsbIds = frozenset()) -> str:
    """The device or URL that `spec` means. `more`: USB ids that boards of the product have beside the usual ones.

    Raises InputError for none or a malformed one, StationError when nothing fits.
    """
    spec = spec or default_spec()
    if not spec:
        raise InputError("no-port", "No port was named.", "Give --port PORT (or auto), or set TWINROOT_PORT.")
    if spec == "auto":
        return rehearsed()[0] if rehearsed() else _auto(more)
    if spec.startswith("usb:"):
        if not spec[4:].strip():
            raise bad(spec, "lacks the USB serial number")
        return _by_usb(spec[4:], more)
    if spec.startswith("usbpath:"):
        if not spec[8:].strip():
            raise bad(spec, "lacks the USB socket, as in usbpath:1-2.3")
        return _by_usb_path(spec[8:], more)
    if spec.startswith("mac:"):
        if not re.fullmatch(_MAC, spec[4:]):
            raise bad(spec, "is not a MAC: six pairs of hexadecimal digits")
        return _by_mac(spec[4:], more)
    if spec.startswith(_HOST_AND_PORT) and not _names_host_and_port(spec):
        raise bad(spec, "lacks a host or a port number from 1 to 65535")
    return spec


def _names_host_and_port(url: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        return bool(parts.hostname and parts.port)
    except ValueError:  # a port that is not a number, or too large; a bracket that is not closed
        return False
