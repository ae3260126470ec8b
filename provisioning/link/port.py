"""Opens the port that a person named: a device, a URL that pyserial knows, or one of our own words.

    /dev/ttyUSB0  COM5  rfc2217://host:port  socket://host:port     what pyserial opens
    auto                   the only board that is plugged in, told by its USB ids
    mac:24:0a:c4:00:00:01  the board with this MAC (asked over the REPL)
    usb:SERIALNUMBER       the adapter with this USB serial number, if no other has the same
    usbpath:1-2.3          the adapter in this USB socket, whatever its serial number

and what an installed package starts for this run and stops afterwards (entry points of the group `twinroot.ports`):

    virtual                a virtual board
    lg:PLACE               the serial port of a place of a labgrid lab, held for the run

Opening leaves the control lines as the operating system sets them (both asserted), which an ESP32's auto-reset circuit takes as
"run"; on Windows, where drivers release them one after the other on close, both are released before opening.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from provisioning.errors import StationError
from provisioning.link import native_usb, rates
from provisioning.link.adapters import UsbIds
from provisioning.link.open_errors import PortNotFound, why
from provisioning.link.port_names import default_spec, resolve
from provisioning.link.tap import tapped
from provisioning.link.wire import Wire

STARTED = "twinroot.ports"  # entry points: word or scheme -> a context manager that gives a port which pyserial opens
READ_SLICE = 0.02  # seconds one read may block: how fast a deadline is noticed
_HANG_UP = 0.05  # seconds in which pyserial closes its socket
_SERVER_PAUSE = 0.3  # seconds that an RFC 2217 server gets between two clients; pyserial's own
_NO_LINES = "timeout while waiting for option 'control'"  # pyserial's words for an RFC 2217 server that does not answer about DTR and RTS
_DEAF_LINES = "ign_set_control"  # pyserial's option not to wait for that answer
WRITE_LIMIT = 10.0  # seconds until a write that nobody takes is given up
_NOT_STARTED = frozenset({"auto", "mac", "usb", "usbpath"})  # words of port_names.py
_left: dict[str, float] = {}  # when this process closed a remote port


class Wiring(NamedTuple):
    """How a kind of board is attached. `released`: DTR and RTS lead straight to IO0 and EN, so that opening a port, which asserts both,
    holds the chip in reset or sends it into its loader: they are let go at once. `resets`: whether they may be pulled to reset the chip.
    `baud`: the rate of its prompt. `usb`: ids of its USB bridge, beside the usual ones."""

    released: bool = False
    resets: bool = True
    baud: int = rates.HOME
    usb: UsbIds = frozenset()


USUAL = Wiring()


def _open(spec: str, baud: int, released: bool = False) -> Any:
    import serial

    try:
        port = serial.serial_for_url(spec, do_not_open=True, baudrate=baud, timeout=READ_SLICE)
        if isinstance(port, serial.Serial):
            port.write_timeout = WRITE_LIMIT
            port.exclusive = True if os.name == "posix" else None
        if released:
            port.dtr = port.rts = False  # pyserial lets DTR go first, so the chip starts its program
        elif os.name == "nt":
            port.rts = False
            # Without DTR MicroPython's own USB port takes nobody to be there, and drops what it has no space for.
            port.dtr = native_usb.device_at(spec) is not None and not native_usb.is_jtag(spec)
        port.open()
    except (OSError, ValueError) as error:
        if _NO_LINES in str(error) and _DEAF_LINES not in spec:
            # A server whose port has no reset lines, or which never says that it has set them: everything else works there.
            port.close()
            time.sleep(_SERVER_PAUSE)
            return _open(f"{spec}{'&' if '?' in spec else '?'}{_DEAF_LINES}", baud, released)
        raise why(spec, error) from error
    return tapped(port, spec)


@contextmanager
def open_port(spec: str | None, wiring: Wiring = USUAL) -> Iterator[Wire]:
    """The port as a Wire, closed on the way out. Raises InputError or StationError (named.py, unopened.py)."""
    with held(spec, wiring.usb) as address, _opened(address, wiring) as wire:
        yield wire


@contextmanager
def held(spec: str | None, more: UsbIds = frozenset()) -> Iterator[str]:
    """The device or URL that `spec` means, and what it is started or acquired for, until the way out. `more`: as resolve has it.

    Raises InputError or StationError.
    """
    spec = spec or default_spec()
    started = _started(spec)
    if started is None:
        yield resolve(spec, more)
        return
    with started as address:
        yield address


def _started(spec: str | None) -> AbstractContextManager[str] | None:
    """What starts the port that `spec` names: a plain word, or a scheme with what follows it, which its context manager is given. To look
    through all that is installed takes a while, so nothing else is looked for."""
    name, colon, rest = (spec or "").partition(":")
    if not name.isalpha() or name in _NOT_STARTED or rest.startswith(("/", "\\")):
        return None
    found = next(iter(entry_points(group=STARTED, name=name)), None)
    if found is None:
        return None
    made: AbstractContextManager[str] = found.load()(rest) if colon else found.load()()
    return made


@contextmanager
def _opened(spec: str, wiring: Wiring) -> Iterator[Wire]:
    time.sleep(max(0.0, _left.pop(spec, 0.0) + _SERVER_PAUSE - time.monotonic()))
    port = _first(spec, wiring.baud, wiring.released)
    wire = Wire(port, spec, wiring.baud)
    if _DEAF_LINES in str(port.port) and _DEAF_LINES not in spec:
        wire.has_lines = False
    device = native_usb.device_at(spec)
    if device is not None:
        wire.has_lines = native_usb.has_reset(spec)
        wire.follow = lambda: _again(device, wire)
    wire.has_lines = wire.has_lines and wiring.resets
    try:
        yield wire
    finally:
        if str(wire.serial.port).startswith("rfc2217://"):
            # pyserial hangs up, then sleeps so that a server may notice before the next client comes: that pause is ours to keep.
            closing = threading.Thread(target=wire.close, daemon=True)
            closing.start()
            closing.join(_HANG_UP)
            _left[wire.name] = time.monotonic()
        else:
            wire.close()


def _first(spec: str, baud: int, released: bool) -> Any:
    """The port, open. One that a chip itself makes may not be there yet: the chip starts."""
    try:
        return _open(spec, baud, released)
    except PortNotFound:
        if not native_usb.may_appear(spec) or not native_usb.wait(lambda: _there(spec), native_usb.APPEARS):
            raise
    return _open(spec, baud, released)


def _there(spec: str) -> str | None:
    return spec if native_usb.is_listed(spec) else None


def _again(device: native_usb.UsbDevice, wire: Wire) -> tuple[Any, str] | None:
    """The port of a chip that has gone away, open, and its name; None when it stays away."""
    started = time.monotonic()

    def opened() -> tuple[Any, str] | None:
        wire.announce(time.monotonic() - started, native_usb.COMES_BACK)
        name = device.port()
        try:
            port = _open(name, wire.home_baud) if name else None
        except StationError:
            return None  # the name of then, or one that this user may open in a moment
        return (port, name) if port is not None and name is not None else None

    found = native_usb.wait(opened, native_usb.COMES_BACK)
    if found is not None:
        wire.has_lines = native_usb.has_reset(found[1])
    return found
