"""The way to a board while it is flashed: who holds the port, how its loader is entered, what esptool opens, how its program starts.

A UART bridge, local or remote, stays open from the first question to the board's report (flash/bridge.py). A chip that is its own USB
device goes away with every reset, so there each step opens the port anew.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.config.board_type import BoardType
from provisioning.errors import StationError
from provisioning.flash import otadata, process
from provisioning.flash.bridge import Bridge
from provisioning.flash.firmware import Firmware
from provisioning.flash.partition import FACTORY_OFFSET
from provisioning.flash.rom import ChipFacts, NoAnswer, RomLoader
from provisioning.link import native_usb
from provisioning.link.open_errors import PortBusy, PortNotFound
from provisioning.link.port import Wiring, open_port
from provisioning.link.repl import RawRepl
from provisioning.link.wire import Wire, not_back

if TYPE_CHECKING:
    from provisioning.config.board_file import PartitionKeys

_SECTOR = 4096
_HEAD = 16  # bytes: revision, tag, and at 8 the name (littlefs SPEC.md, superblock)


@dataclass(frozen=True)
class Examined:
    """`same_firmware`: the flash seems to hold the product's firmware already; esptool's MD5 decides. `file_system`: there may be a
    littlefs in the partition, and so a board that has an identity. `noisy`: the line damages bytes."""

    facts: ChipFacts
    same_firmware: bool
    file_system: bool = True
    noisy: bool = False


@dataclass(frozen=True)
class EsptoolPort:
    """What esptool is given: port, `--before`, `--after`."""

    port: str
    before: str
    after: str
    bridge: Bridge | None = None


class LoaderAccess:
    """Base of both ways. `name`: the port as the person named it; `source`: where an esptool is ready."""

    def __init__(self, board: BoardType, name: str, log: Path) -> None:
        self.board = board
        self.name = name
        self.log = log
        self.source: process.Source | None = None
        self.native = board.native_usb  # a rate means nothing then

    @contextmanager
    def wire(self) -> Iterator[Wire]:
        """The open port."""
        raise NotImplementedError
        yield  # type: ignore[unreachable]  # what makes it a generator

    def before(self) -> str:
        """How the loader is entered: a plain TCP socket has no control lines, so the board must be in its loader there."""
        return "no-reset" if self.name.startswith("socket://") else self.board.reset.before

    def examine(
        self, firmware: Firmware | None, place: PartitionKeys | None = None, plain: Callable[[ChipFacts], bool] = lambda facts: True
    ) -> Examined:
        """Bring the board into its loader and read its facts; it stays there. `place`: where the file system lies; `plain`: whether facts
        need no second look.

        Raises BoardError or StationError.
        """
        with self.wire() as wire:
            loader = self.enter(wire)
            facts = loader.identify(self.board.chip, plain)
            same = firmware is not None and _has(loader, facts, firmware)
            files = place is None or _may_hold_files(loader, facts, place, self.board.littlefs.block_size)
            return Examined(facts, same, files, loader.noisy)

    def enter(self, wire: Wire) -> RomLoader:
        """The loader, entered by a reset."""
        wire.baud = wire.home_baud
        loader = RomLoader(wire)
        loader.connect(self.before())
        return loader

    @contextmanager
    def session(self, first: bool) -> Iterator[EsptoolPort]:
        """What one run of esptool opens. `first`: the chip is in its loader already."""
        raise NotImplementedError
        yield  # type: ignore[unreachable]

    def release(self, endpoint: EsptoolPort) -> None:
        """esptool has said its last word and only ends now: what can begin meanwhile may begin."""

    def start(self) -> None:
        """Start the board's program."""
        with self.wire() as wire:
            wire.baud = wire.home_baud
            wire.reset_board()

    @contextmanager
    def repl(self, seconds: float) -> Iterator[RawRepl]:
        """The prompt of a board that has just started, within `seconds`."""
        with self.wire() as wire:
            repl = RawRepl(wire)
            repl.enter(seconds)
            yield repl


class BridgedLine(LoaderAccess):
    """One port, opened once."""

    def __init__(self, board: BoardType, wire: Wire, log: Path) -> None:
        super().__init__(board, wire.name, log)
        self._wire = wire
        self._started = False  # the program was started by release()

    @contextmanager
    def wire(self) -> Iterator[Wire]:
        yield self._wire

    def enter(self, wire: Wire) -> RomLoader:
        try:
            return super().enter(wire)
        except NoAnswer as error:
            if "://" in self.name or self.before() == "no-reset":
                raise
            failure = error
        # esptool knows one more way to pull the lines: both at once, for boards without a capacitor on EN.
        wire.serial.close()
        arguments = ["--chip", self.board.chip, "--port", self.name, "--before", self.before(), "--after", "no-reset-stub", "flash-id"]
        ended = process.run(process.command(arguments), self.log, silence=30.0)
        try:
            wire.serial.open()
        except OSError as error:
            raise StationError("port-gone", f"The port {self.name} went away: {error}.", "Plug the board in again.") from None
        if ended.code != 0:
            raise failure
        loader = RomLoader(wire)
        loader.connect("no-reset")
        return loader

    @contextmanager
    def session(self, first: bool) -> Iterator[EsptoolPort]:
        self._started = False
        if not first:
            self.enter(self._wire)
        try:
            with Bridge(self._wire) as bridge:
                yield EsptoolPort(bridge.url, "no-reset", "no-reset-stub", bridge)  # the reset is ours, on the port that is ours
        finally:
            self._wire.baud = self._wire.home_baud

    def release(self, endpoint: EsptoolPort) -> None:
        # pyserial sleeps for 0.3 s when esptool closes its socket, and the interpreter takes its time to end: the board boots meanwhile.
        if endpoint.bridge is not None:
            endpoint.bridge.close()
        super().start()
        self._started = True

    def start(self) -> None:
        if not self._started:
            super().start()
        self._started = False


class DirectLine(LoaderAccess):
    """A native USB port, which goes away and comes back under another name: each step opens it where it is then."""

    def __init__(self, board: BoardType, name: str, log: Path, device: native_usb.UsbDevice | None) -> None:
        super().__init__(board, name, log)
        self._device = device
        self.native = True

    @contextmanager
    def wire(self) -> Iterator[Wire]:
        deadline = time.monotonic() + native_usb.COMES_BACK
        while True:
            try:
                opened = open_port(self._port(deadline), Wiring(self.board.reset.lines == "released"))
                wire = opened.__enter__()
                break
            except (PortNotFound, PortBusy):
                if time.monotonic() > deadline:
                    raise
                time.sleep(native_usb.LOOK)
        try:
            yield wire
        finally:
            opened.__exit__(None, None, None)

    def _port(self, deadline: float) -> str:
        """The name that the board's port has now."""
        if self._device is None:
            return self.name
        name = native_usb.wait(self._device.port, deadline - time.monotonic())
        if name is None:
            raise not_back(self.name)
        self.name = name
        return name

    @contextmanager
    def session(self, first: bool) -> Iterator[EsptoolPort]:
        if self._device is None:  # nobody lists it: esptool opens it under the one name that is known
            yield EsptoolPort(self.name, "no-reset" if first else self.before(), self.board.reset.after)
            return
        if not first:
            with self.wire() as wire:
                self.enter(wire).identify(self.board.chip)  # watchdogs and all
        # The reset is ours: esptool would not find the port again.
        after = self.board.reset.after if self.board.reset.after == "watchdog-reset" else "no-reset-stub"
        yield EsptoolPort(self._port(time.monotonic() + native_usb.COMES_BACK), "no-reset", after)


@contextmanager
def open_line(board: BoardType, port: str, log: Path) -> Iterator[LoaderAccess]:
    """The line to a board of this type on `port`. Raises StationError when it cannot be opened."""
    device = native_usb.device_at(port)
    if device is not None or (board.native_usb and "://" not in port):
        yield DirectLine(board, port, log, device)
        return
    with open_port(port, Wiring(board.reset.lines == "released")) as wire:
        yield BridgedLine(board, wire, log)


def _may_hold_files(loader: RomLoader, facts: ChipFacts, place: PartitionKeys, block_size: int) -> bool:
    """Whether one of the two blocks of a littlefs's superblock is in the partition, or the loader does not tell."""
    if facts.flash is None or facts.secure_download or place.offset + 2 * block_size > facts.flash:
        return True
    heads = [loader.flash_bytes(place.offset + block * block_size, _HEAD, facts.flash) for block in (0, 1)]
    return any(head is None or head[8:] == b"littlefs" for head in heads)


def _has(loader: RomLoader, facts: ChipFacts, firmware: Firmware) -> bool:
    """Whether the application that starts has the firmware's first sector: it holds the build's own hash, so the rest is worth a look."""
    if facts.flash is None or facts.secure_download:
        return False
    chosen = otadata.place(firmware.table)
    if chosen is not None:  # it may have taken other firmware over the air
        entries = [loader.flash_bytes(chosen.offset + at, otadata.ENTRY, facts.flash) for at in (0, otadata.SECTOR)]
        told = [entry for entry in entries if entry is not None]
        if len(told) < len(entries) or not otadata.first_starts(told, len(otadata.slots(firmware.table))):
            return False
    at = next((row.offset for row in firmware.table if row.is_app), FACTORY_OFFSET)
    sector = firmware.content[at - firmware.offset : at - firmware.offset + _SECTOR]
    return loader.md5(at, len(sector), facts.flash) == hashlib.md5(sector, usedforsecurity=False).digest()
