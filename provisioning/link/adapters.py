"""What is plugged in: the serial ports of this computer, and the USB ids by which a port is an ESP32 board's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo


class Adapter(NamedTuple):
    """A USB id that an ESP32 board answers with. `product` None: any product of that vendor."""

    vendor: int
    product: int | None
    name: str
    native: bool = False


ESPRESSIF = 0x303A
# Source: the USB-IF vendor list and the boards' own schematics; 303a is Espressif's own USB (S2, S3, C3, C6).
ADAPTERS = (
    Adapter(ESPRESSIF, None, "Espressif native USB", native=True),
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


def plugged() -> list[ListPortInfo]:
    """All serial ports, as the operating system lists them."""
    from serial.tools import list_ports

    return list(list_ports.comports())


UsbIds = frozenset[tuple[int, int]]  # vendor and product


def candidates(more: UsbIds = frozenset()) -> list[ListPortInfo]:
    """The ports with a USB id that ESP32 boards have, or one of `more`, in a stable order."""
    known = (port for port in plugged() if (port.vid, port.pid) in more or adapter_of(port.vid, port.pid))
    return sorted(known, key=lambda port: port.device)
