"""Opens the port that a person named: a device, a URL that pyserial knows, or one of our own words.

    /dev/ttyUSB0  COM5  rfc2217://host:port  socket://host:port     what pyserial opens
    auto                   the only board that is plugged in, told by its USB ids
    mac:24:0a:c4:00:00:01  the board with this MAC (asked over the REPL)
    usb:SERIALNUMBER       the adapter with this USB serial number
    virtual                a virtual board, started for this run

Opening leaves the control lines as the operating system sets them (both asserted), which an ESP32's auto-reset circuit takes as
"run"; on Windows, where drivers release them one after the other on close, both are released before opening.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provisioning.errors import BoardError, InputError, StationError
from provisioning.link.wire import Wire

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo

ENVIRONMENT = ("TWINROOT_PORT", "ESPPORT")
DEFAULT_BAUD = 115200
READ_SLICE = 0.02  # seconds one read may block: how fast a deadline is noticed
WRITE_LIMIT = 10.0  # seconds until a write that nobody takes is given up


@dataclass(frozen=True)
class Adapter:
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
    return ", ".join(f"{port.device} ({port.description}, usb:{port.serial_number or '?'})" for port in ports)


def _auto() -> str:
    ports = candidates()
    if len(ports) == 1:
        return str(ports[0].device)
    if not ports:
        raise StationError(
            "no-board",
            "No ESP32 board is plugged in: no port has one of the known USB ids.",
            "Plug the board in with a data cable, or name its port with --port.",
        )
    raise StationError("many-boards", f"More than one board is plugged in: {_listed(ports)}.", "Name one of them with --port.")


def _by_usb(serial_number: str) -> str:
    for port in candidates():
        if (port.serial_number or "").lower() == serial_number.lower():
            return str(port.device)
    raise StationError(
        "no-board",
        f"No port has the USB serial number {serial_number}.",
        f"Plugged in: {_listed(candidates()) or 'nothing'}.",
    )


def _by_mac(mac: str) -> str:
    from provisioning.link.repl import RawRepl

    wanted = mac.replace(":", "").replace("-", "").lower()
    for port in candidates():
        try:
            with open_port(port.device) as wire:
                repl = RawRepl(wire)
                repl.enter(patience=2.0)
                found = repl.run("import machine\nprint(machine.unique_id().hex())", 2.0).decode().strip()
                repl.leave()
        except (BoardError, StationError):
            continue  # a board that does not answer is not the one; a busy port cannot be asked
        if found == wanted:
            return str(port.device)
    raise StationError("no-board", f"No board that answers has the MAC {mac}.", f"Plugged in: {_listed(candidates()) or 'nothing'}.")


def resolve(spec: str | None) -> str:
    """The device or URL that `spec` means. Raises InputError without a spec, StationError when nothing fits."""
    spec = spec or default_spec()
    if not spec:
        raise InputError("no-port", "No port was named.", "Give --port PORT (or auto), or set TWINROOT_PORT.")
    if spec == "auto":
        return _auto()
    if spec.startswith("usb:"):
        return _by_usb(spec[4:])
    if spec.startswith("mac:"):
        return _by_mac(spec[4:])
    return spec


def holder(device: str) -> str:
    """The program that has `device` open, as " (name, pid N)", "" when the system does not tell."""
    try:
        import psutil  # type: ignore[import-untyped]  # not a dependency: used where it is installed

        for process in psutil.process_iter(["pid", "name"]):
            try:
                if any(f.path == os.path.realpath(device) for f in process.open_files()):
                    return f" ({process.info['name']}, pid {process.info['pid']})"
            except psutil.Error:
                continue
    except ImportError:
        pass
    return _holder_by_proc(device)


def _holder_by_proc(device: str) -> str:
    from pathlib import Path

    real = os.path.realpath(device)
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.path.realpath(link) != real or link.parts[2] == str(os.getpid()):
                continue
            return f" ({Path('/proc', link.parts[2], 'comm').read_text().strip()}, pid {link.parts[2]})"
        except OSError:
            continue  # processes end, and others' descriptors are not ours to read
    return ""


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
        raise _why(spec, error) from error
    return port


def _why(spec: str, error: Exception) -> StationError | InputError:
    text = str(error)
    errno = getattr(error, "errno", None)
    if isinstance(error, ValueError) and "invalid URL" in text:
        return InputError("bad-port", f"{spec!r} is not a port: {text}.", "Name a device, rfc2217://HOST:PORT, auto, mac:… or usb:….")
    if errno in (11, 16) or "exclusively lock" in text or "Access is denied" in text or "PermissionError(13, 'Acc" in text:
        who = holder(spec) if "://" not in spec else ""
        return StationError("port-busy", f"Another program{who} uses {spec}.", "Close it (a serial monitor?) and run the command again.")
    if errno == 13:
        return StationError(
            "port-denied",
            f"This user may not open {spec}.",
            "Add the user to the group that owns it (dialout or uucp), then log in again.",
        )
    return StationError(
        "port-not-found",
        f"{spec} cannot be opened ({text.splitlines()[0] if text else type(error).__name__}).",
        "Check the name and the cable; `twinroot doctor` lists the ports, --port auto finds a single board.",
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
    port = _open(spec, baud)
    try:
        yield Wire(port, spec, baud)
    finally:
        port.close()
