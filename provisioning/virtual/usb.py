"""The chip's own USB port: a device that goes away with every reset and comes back, under another name and perhaps as another device.

    jtag  USB-Serial-JTAG, 303a:1001 in the ROM loader and in MicroPython (C3, C5, C6, and an S3 whose MicroPython leaves it on)
    otg   USB-OTG: MicroPython's own TinyUSB, 303a:4001, which comes up only when boot.py has ended (S2, S3). In the ROM loader an S2 is
          303a:0002 with no serial number, an S3 its USB-Serial-JTAG

What is plugged in is told by `usb.json` in the state folder, as an operating system's list of ports would; it is not there while the device
is away. Sources: esptool's loader.py (ids), MicroPython's ports/esp32/main.c, usb.c and shared/tinyusb/mp_usbd_cdc.c (order of the boot,
serial number, the lines that lead into the loader), the chips' technical reference manuals, "USB Serial/JTAG Controller" (its lines).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from provisioning.virtual.autoreset import BOTH_HOLD
from provisioning.virtual.circuit import Circuit

if TYPE_CHECKING:
    from provisioning.virtual.endpoint.cable import Cable

VENDOR, JTAG, TINYUSB, S2_LOADER = 0x303A, 0x1001, 0x4001, 0x0002
LOCATION = "1-2.3"
ENUMERATION = 0.2  # s from a device that is ready to one that the host has listed
_LEAVES = 0.005  # s until the host notices that it is gone
_LEAVES_BY_LINES = 0.25  # the same when its own request reset the chip: what belongs to that request still comes
_LOOK = 0.01  # s between two looks whether boot.py has ended
_TO_LOADER = 0.25  # s: MicroPython's own delay in mp_usbd_cdc.c


class UsbPort:
    """Follows the chip's resets. `start` gives it the cable that it takes away and brings back."""

    def __init__(self, board: Circuit) -> None:
        self._board = board
        self._file = board.state / "usb.json"
        self._file.unlink(missing_ok=True)
        self._cable: Cable | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._coming: asyncio.TimerHandle | None = None
        self._task: asyncio.Future[None] | None = None
        self._away = True
        self._gone_at = 0.0  # in the loop's time
        self._opens_since: float | None = None
        self._opening = 0.0
        self.listed = asyncio.Event()

    def start(self, cable: Cable) -> None:
        """Nothing is plugged in before the chip is ready."""
        cable.unplug()
        self._cable = cable

    def opens(self, on: bool) -> None:
        """Whether a host is opening the port now."""
        self._opening = self.opening()
        self._opens_since = asyncio.get_running_loop().time() if on else None

    def opening(self) -> float:
        """Seconds, in all, that hosts needed to open the port. Through RFC 2217 that is a third of a second of questions and answers on a
        quiet computer, where a local port is open at once: it is no time of the chip's."""
        since = self._opens_since
        return self._opening + (asyncio.get_running_loop().time() - since if since is not None else 0.0)

    def leave(self, *, by_lines: bool = False) -> None:
        """The device is gone, a moment from now."""
        self.stop()
        if not self._away:
            loop = asyncio.get_running_loop()
            self._away = True
            self._gone_at = loop.time() + (_LEAVES_BY_LINES if by_lines else _LEAVES)
            self._leaving = loop.call_at(self._gone_at, self._gone)

    @property
    def expected(self) -> bool:
        """Whether the device is on its way."""
        return self._coming is not None

    @property
    def _has_jtag(self) -> bool:
        return self._board.chip.name != "esp32s2"

    def loader(self) -> None:
        """The chip is in its ROM loader."""
        self._come(JTAG if self._has_jtag else S2_LOADER)

    def nothing(self) -> None:
        """The chip finds nothing to start, over and over: only USB-Serial-JTAG needs no code to be a USB device."""
        if self._has_jtag:
            self._come(JTAG)

    def program(self) -> None:
        """MicroPython starts; also after a soft reset, which no host sees."""
        if self._board.spec.usb == "jtag":
            self._come(JTAG)
        elif self._away:
            self._watch()

    def stop(self) -> None:
        """What was on its way comes no more."""
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None

    def _watch(self) -> None:
        if self._board.page.usb:
            self._come(TINYUSB)
        else:
            self._coming = asyncio.get_running_loop().call_later(_LOOK, self._watch)

    def _come(self, product: int) -> None:
        if self._away:
            loop = asyncio.get_running_loop()
            self._coming = loop.call_at(max(loop.time(), self._gone_at) + ENUMERATION, self._plug, product)

    def _gone(self) -> None:
        self._file.unlink(missing_ok=True)
        if self._cable is not None:
            self._cable.unplug()

    def _plug(self, product: int) -> None:
        self._away = False
        self._task = asyncio.ensure_future(self._plugged(product))

    async def _plugged(self, product: int) -> None:
        if self._cable is None:
            return
        names = await self._cable.plug()
        mac = self._board.identity.mac.upper()
        serial = {TINYUSB: mac.replace(":", "") + "0000", S2_LOADER: "0"}.get(product, mac)
        listed = {"vid": VENDOR, "pid": product, "serial": serial, "location": LOCATION, **names}
        temporary = self._file.with_suffix(".new")
        temporary.write_text(json.dumps(listed) + "\n", "utf-8")
        temporary.replace(self._file)
        self.listed.set()


class UsbLines:
    """DTR and RTS as requests to the chip. They are commands, not levels: (0,0) forgets and (1,0) remembers that the loader is wanted,
    going to (0,1) resets; MicroPython's TinyUSB takes (0,1) followed by (1,0) as a wish for the loader, and knows no reset."""

    io0_low = False
    en_low = False

    def __init__(self, board: Circuit) -> None:
        self._board = board
        self.dtr = self.rts = False
        self._loader = False
        self._wished = 0.0  # until when (1,0) counts as following (0,1)

    def set(self, dtr: bool, rts: bool) -> None:
        """DTR and RTS as the host asserts them."""
        before = (self.dtr, self.rts)
        self.dtr, self.rts = dtr, rts
        if self._board.spec.usb == "otg" and self._board.interpreter is not None:
            now = asyncio.get_running_loop().time()
            if before == (False, True):
                self._wished = now + BOTH_HOLD
            if (dtr, rts) == (True, False) and now < self._wished:
                self._board.later(_TO_LOADER, self._board.force_loader)
        elif (dtr, rts) == (False, True):
            if before != (False, True) and self._board.usb is not None:
                self._board.usb.leave(by_lines=True)
                self._board.restart("pin", download=self._loader)
        elif not rts:
            self._loader = dtr
