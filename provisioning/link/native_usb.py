"""A chip that is its own USB device goes away with every reset: it is known by where it is plugged in and by its serial number.

It comes back under another name (ttyACM1 while something still has ttyACM0 open), often as another device: 303a:1001 while it starts or
waits in its ROM loader, 303a:0002 in the loader of an S2, 303a:4001 once MicroPython has its own USB port, and a maker's ids. The serial
number is the chip's MAC, with colons by the ROM (an S2's says "0") and as digits by MicroPython (ports/esp32/usb.c, with two bytes more).
With MicroPython's own port, S2 and S3, nothing is there before boot.py has ended (ports/esp32/main.c).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from provisioning.link import adapters

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo

COMES_BACK = 15.0  # seconds from a reset to a port; a boot.py that takes longer holds it back
APPEARS = 3.0  # seconds for the port of a board that is starting when a command begins
LOOK = 0.05  # seconds between two looks: the operating system tells nobody when a port comes
_JTAG = 0x1001  # USB-Serial-JTAG: the chip's hardware, whatever runs on it
_LOADERS = (0x0002, 0x0009)  # USB-OTG of the ROM loader of S2 and S3 (esptool, loader.py: the chip's image id)
_MAC_DIGITS = 12
# Names that a chip's own USB port gets; a bridge's are others. What is not there yet may still be coming.
_NATIVE_NAMES = re.compile(r"(/dev/(ttyACM\d+|(cu|tty)\.usbmodem.*|serial/by-.*)|COM\d+)$", re.IGNORECASE)


T = TypeVar("T")


class UsbDevice(NamedTuple):
    """`location`: the USB path, 1-2.3; `serial`: the MAC as digits, "" where the port does not tell it."""

    location: str
    serial: str

    def port(self) -> str | None:
        """The name that its port has now; None while it is away."""
        found = next((port for port in adapters.plugged() if self._is(port)), None)
        return str(found.device) if found else None

    def _is(self, port: ListPortInfo) -> bool:
        serial = mac_digits(port.serial_number)
        if self.serial and serial:
            return self.serial == serial
        return bool(self.location) and self.location == _location(port)


def device_at(name: str) -> UsbDevice | None:
    """The chip whose own USB port `name` is; None for a bridge, a URL that is not listed, a port that nobody lists."""
    port = _listed(name)
    if port is None or not _is_native(port):
        return None
    found = UsbDevice(_location(port), mac_digits(port.serial_number))
    return found if any(found) else None


def is_jtag(name: str) -> bool:
    """Whether the port is the chip's USB-Serial-JTAG, which takes DTR and RTS as commands."""
    return _product(name) == _JTAG


def in_loader(name: str) -> bool:
    """Whether the port is one that only the ROM loader makes."""
    return _product(name) in _LOADERS


def has_reset(name: str) -> bool:
    """Whether DTR and RTS of a chip's own port reset it: its hardware and its ROM do, MicroPython's USB port does not."""
    return _product(name) in (_JTAG, *_LOADERS)


def _product(name: str) -> int | None:
    """The product id of a port of Espressif's."""
    port = _listed(name)
    return port.pid if port is not None and port.vid == adapters.ESPRESSIF else None


def may_appear(name: str) -> bool:
    """Whether a port of this name, which is not there, may be a chip's own that is starting."""
    return bool(_NATIVE_NAMES.match(name))


def is_listed(name: str) -> bool:
    """Whether there is a port of this name."""
    return _listed(name) is not None


def wait(find: Callable[[], T | None], seconds: float) -> T | None:
    """What `find` finds, asked again and again for so many seconds."""
    deadline = time.monotonic() + seconds
    while (found := find()) is None and time.monotonic() < deadline:
        time.sleep(LOOK)
    return found


def _listed(name: str) -> ListPortInfo | None:
    real = name if "://" in name else str(Path(name).resolve())  # /dev/serial/by-id has links
    return next((port for port in adapters.plugged() if str(port.device) in (name, real)), None)


def _is_native(port: ListPortInfo) -> bool:
    adapter = adapters.adapter_of(port.vid, port.pid)
    return bool(adapter and adapter.native)


def _location(port: ListPortInfo) -> str:
    return (port.location or "").split(":")[0]


def mac_digits(serial_number: str | None) -> str:
    """The MAC in the serial number of a chip that is its own USB device; "" where it is none."""
    digits = (serial_number or "").lower().replace(":", "")
    return digits[:_MAC_DIGITS] if re.fullmatch("[0-9a-f]{12}([0-9a-f]{4})?", digits) else ""
