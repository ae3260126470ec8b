"""Opens the port that a person named: a device, a URL that pyserial knows, or one of our own words.

    /dev/ttyUSB0  COM5  rfc2217://host:port  socket://host:port     what pyserial opens
    auto                   the only board that is plugged in, told by its USB ids
    mac:24:0a:c4:00:00:01  the board with this MAC (asked over the REPL)
    usb:SERIALNUMBER       the adapter with this USB serial number, if no other has the same
    usbpath:1-2.3          the adapter in this USB socket, whatever its serial number
    virtual                a virtual board, started for this run

Opening leaves the control lines as the operating system sets them (both asserted), which an ESP32's auto-reset circuit takes as
"run"; on Windows, where drivers release them one after the other on close, both are released before opening.
"""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from provisioning.errors import BoardError, InputError, StationError
from provisioning.link.wire import Wire

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo

ENVIRONMENT = ("TWINROOT_PORT", "ESPPORT")
DEFAULT_BAUD = 115200
READ_SLICE = 0.02  # seconds one read may block: how fast a deadline is noticed
_HANG_UP = 0.05  # seconds in which pyserial closes its socket
_SERVER_PAUSE = 0.3  # seconds that an RFC 2217 server gets between two clients; pyserial's own
_NO_LINES = "timeout while waiting for option 'control'"  # pyserial's words for an RFC 2217 server that does not answer about DTR and RTS
_DEAF_LINES = "ign_set_control"  # pyserial's option not to wait for that answer
WRITE_LIMIT = 10.0  # seconds until a write that nobody takes is given up
_left: dict[str, float] = {}  # when this process closed a remote port
_MAC = r"[0-9a-fA-F]{2}([:-]?[0-9a-fA-F]{2}){5}"
_HOST_AND_PORT = ("rfc2217://", "socket://")  # URLs that need both
_PLUG_IN = (
    "Plug the board in with a data cable (one for charging has no data lines); `twinroot doctor` lists the ports. "
    "An adapter with ids of its own is named by its port: --port /dev/ttyUSB0 or COM5."
)


class Adapter(NamedTuple):
    """A USB id that an ESP32 board answers with. `product` None: any product of that vendor."""

    vendor: int
    product: int | None
    name: str
    native: bool = False


# Source: the USB-IF vendor list and the boards' own schematics; 303a is Espressif's own USB (S2, S3, C3, C6).
ADAPTERS = (
    Adapter(0x303A, None, "Espressif native USB", native=True),
    Adapter(0x10C4, 0xEA60, "CP210x"),
    Adapter(0x10C4, 0xEA70, "CP2105"),
    Adapter(0x1A86, None, "CH340/CH910x"),
    Adapter(0x0403, None, "FTDI"),
    Adapter(0x067B, 0x2303, "PL2303"),
)


def adapter_of(vendor: int | None, product: int | None) -> Adapter | None:
    for adapter in ADAPTERS:
        if adapter.vendor == vendor and adapter.product in (None, product):
            return adapter
    return None


def candidates() -> list[ListPortInfo]:
    """The ports with a USB id that ESP32 boards have, in a stable order."""
    from serial.tools import list_ports

    return sorted((port for port in list_ports.comports() if adapter_of(port.vid, port.pid)), key=lambda port: port.device)


def default_spec() -> str | None:
    return next((os.environ[name] for name in ENVIRONMENT if os.environ.get(name)), None)


def is_native_usb(spec: str) -> bool:
    """Whether the port is the chip's own USB, where a baud rate means nothing."""
    adapter = next((adapter_of(port.vid, port.pid) for port in candidates() if port.device == spec), None)
    return bool(adapter and adapter.native)


def _listed(ports: list[ListPortInfo]) -> str:
    return ", ".join(f"{port.device} ({', '.join(_said_of(port))})" for port in ports)


def _said_of(port: ListPortInfo) -> list[str]:
    """What a person can tell it by, and name it by."""
    found = [port.description, f"usb:{port.serial_number or '?'}"]
    return [*found, f"usbpath:{port.location}"] if port.location else found


def _auto() -> str:
    ports = candidates()
    if len(ports) == 1:
        return str(ports[0].device)
    if not ports:
        raise StationError(
            "no-board",
            "No ESP32 board is plugged in: no port has one of the known USB ids.",
            _PLUG_IN,
        )
    raise _several("More than one board is plugged in", ports)


def _by_usb(serial_number: str) -> str:
    found = [port for port in candidates() if (port.serial_number or "").lower() == serial_number.lower()]
    if len(found) > 1:
        raise _several(f"{len(found)} adapters have the USB serial number {serial_number}", found)
    if not found:
        raise _absent(f"No port has the USB serial number {serial_number}.")
    return str(found[0].device)


def _by_usb_path(location: str) -> str:
    found = [port for port in candidates() if port.location and port.location.split(":")[0] == location]
    if len(found) > 1:  # an adapter with two UARTs has both in one socket
        raise _several(f"{len(found)} ports are in the USB socket {location}", found)
    if not found:
        raise _absent(f"No port is in the USB socket {location}.")
    return str(found[0].device)


def _several(sentence: str, ports: list[ListPortInfo]) -> StationError:
    hint = "Name one by its port, or by its USB socket: --port usbpath:…"
    return StationError("many-boards", f"{sentence}: {_listed(ports)}.", hint)


def _absent(sentence: str) -> StationError:
    """No port is the one that was meant: the next step depends on whether any board is there."""
    ports = candidates()
    hint = f"Plugged in: {_listed(ports)}. Name one of them with --port." if ports else _PLUG_IN
    return StationError("no-board", sentence, hint)


def _bad(spec: str, what: str) -> InputError:
    return InputError(
        "bad-port",
        f"{spec!r} {what}.",
        "Name a device (/dev/ttyUSB0, COM5), rfc2217://HOST:PORT, socket://HOST:PORT, auto, mac:24:0a:c4:00:00:01, usb:SERIALNUMBER or "
        "usbpath:1-2.3.",
    )


def _by_mac(mac: str) -> str:
    from provisioning.link.repl import RawRepl

    wanted = re.sub("[:.-]", "", mac).lower()
    for port in candidates():
        try:
            with open_port(port.device) as wire:
                repl = RawRepl(wire)
                repl.enter(patience=2.0)
                found = repl.run("import umachine\nprint(umachine.unique_id().hex())", 2.0).decode().strip()
                repl.leave()
        except (BoardError, StationError):
            continue  # a board that does not answer is not the one; a busy port cannot be asked
        if found == wanted:
            return str(port.device)
    raise _absent(f"No board that answers has the MAC {mac}.")


def resolve(spec: str | None) -> str:
    """The device or URL that `spec` means. Raises InputError for none or a malformed one, StationError when nothing fits."""
    spec = spec or default_spec()
    if not spec:
        raise InputError("no-port", "No port was named.", "Give --port PORT (or auto), or set TWINROOT_PORT.")
    if spec == "auto":
        return _auto()
    if spec.startswith("usb:"):
        if not spec[4:].strip():
            raise _bad(spec, "lacks the USB serial number")
        return _by_usb(spec[4:])
    if spec.startswith("usbpath:"):
        if not spec[8:].strip():
            raise _bad(spec, "lacks the USB socket, as in usbpath:1-2.3")
        return _by_usb_path(spec[8:])
    if spec.startswith("mac:"):
        if not re.fullmatch(_MAC, spec[4:]):
            raise _bad(spec, "is not a MAC: six pairs of hexadecimal digits")
        return _by_mac(spec[4:])
    if spec.startswith(_HOST_AND_PORT) and not _names_host_and_port(spec):
        raise _bad(spec, "lacks a host or a port number from 1 to 65535")
    return spec


def _names_host_and_port(url: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        return bool(parts.hostname and parts.port)
    except ValueError:  # a port that is no number, or too large; a bracket that is not closed
        return False


def _open(spec: str, baud: int) -> Any:
    import serial

    try:
        port = serial.serial_for_url(spec, do_not_open=True, baudrate=baud, timeout=READ_SLICE)
        if isinstance(port, serial.Serial):
            port.write_timeout = WRITE_LIMIT
            port.exclusive = True if os.name == "posix" else None
        if os.name == "nt":
            port.dtr = port.rts = False
        port.open()
    except (OSError, ValueError) as error:
        if _NO_LINES in str(error) and _DEAF_LINES not in spec:
            # A server whose port has no reset lines, or which never says that it has set them: everything else works there.
            port.close()
            time.sleep(_SERVER_PAUSE)
            return _open(f"{spec}{'&' if '?' in spec else '?'}{_DEAF_LINES}", baud)
        raise _why(spec, error) from error
    return port


def _cause(error: BaseException) -> int | None:
    """The operating system's number for an error that pyserial put into words of its own, one inside the other."""
    while getattr(error, "errno", None) is None and error.__context__ is not None:
        error = error.__context__
    return getattr(error, "errno", None)


# What the operating system says -> sentence about the port. Everything else is said in the system's own words.
_ABSENT = {
    errno.ENOENT: "There is no port {0}.",
    errno.ENODEV: "There is no device behind the port {0}.",
    errno.ENXIO: "There is no device behind the port {0}.",
    errno.EIO: "The device behind the port {0} does not answer.",
    errno.ECONNREFUSED: "Nothing listens at {0}.",
    errno.ETIMEDOUT: "{0} does not answer.",
    errno.EHOSTUNREACH: "There is no way to {0}.",
    errno.ENETUNREACH: "There is no way to {0}.",
}


def _why(spec: str, error: Exception) -> StationError | InputError:
    import socket

    from provisioning.link.holders import advice, holders, meddlers

    text = str(error)
    number = _cause(error)
    if "invalid URL" in text or "expected a string in the form" in text:
        return _bad(spec, "is not a port that can be opened")
    if number in (errno.ENOTTY, errno.EISDIR) or "Inappropriate ioctl" in text:
        return _bad(spec, "is not a serial port")
    if (
        number in (errno.EAGAIN, errno.EBUSY)
        or "exclusively lock" in text
        or "Access is denied" in text
        or "PermissionError(13, 'Acc" in text
    ):
        others = holders(spec) if "://" not in spec else []
        who = ", ".join(others) if others else "Another program"
        return StationError(
            "port-busy",
            f"{who} {'use' if len(others) > 1 else 'uses'} {spec}.",
            advice(others) or f"Close {'them' if len(others) > 1 else 'it'} (a serial monitor?) and run the command again.",
        )
    if number == errno.EACCES:
        return StationError(
            "port-denied",
            f"This user may not open {spec}.",
            "Add the user to the group that owns it (dialout or uucp), then log in again.",
        )
    if isinstance(error.__context__, socket.gaierror):
        sentence = "The host of {0} is not known."
    elif "FileNotFoundError" in text:  # pyserial on Windows
        sentence = _ABSENT[errno.ENOENT]
    else:
        words = re.split(r"\[Errno \d+\] |: ", text.splitlines()[0] if text else type(error).__name__)[-1].rstrip(".")
        sentence = _ABSENT.get(number or 0, "{0} cannot be opened: " + words.replace("{", "").replace("}", "") + ".")
    taken = advice(meddlers()) if "brltty" in meddlers() and "://" not in spec else ""
    return StationError(
        "port-not-found",
        sentence.format(spec),
        taken or "Check the name and the cable; `twinroot doctor` lists the ports, --port auto finds a single board.",
    )


@contextmanager
def open_port(spec: str | None, baud: int = DEFAULT_BAUD) -> Iterator[Wire]:
    """The port as a Wire, closed on the way out. Raises InputError or StationError (module docstring, `_why`)."""
    spec = spec or default_spec()
    if spec == "virtual":
        from provisioning.virtual import VirtualBoard

        with VirtualBoard() as board, _opened(board.port, baud) as wire:
            yield wire
        return
    with _opened(resolve(spec), baud) as wire:
        yield wire


@contextmanager
def _opened(spec: str, baud: int) -> Iterator[Wire]:
    time.sleep(max(0.0, _left.pop(spec, 0.0) + _SERVER_PAUSE - time.monotonic()))
    port = _open(spec, baud)
    wire = Wire(port, spec, baud)
    if _DEAF_LINES in str(port.port) and _DEAF_LINES not in spec:
        wire.has_lines = False
    try:
        yield wire
    finally:
        if spec.startswith("rfc2217://"):
            # pyserial hangs up, then sleeps so that a server may notice before the next client comes: that pause is ours to keep.
            closing = threading.Thread(target=port.close, daemon=True)
            closing.start()
            closing.join(_HANG_UP)
            _left[spec] = time.monotonic()
        else:
            port.close()
