"""The serial protocol that ROM loader and flasher stub share: frames, commands, answers, RAM download, registers.

Frame: direction (0 request, 1 answer), opcode, length (u16), checksum or value (u32), data; docs: esptool's serial-protocol page.
Commands are rows of a table: opcode -> method. Each gives (value, data) or raises LoaderError with the loader's own error code.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from provisioning.chips import CHIPS
from provisioning.virtual import slip
from provisioning.virtual.facts import LoaderFacts
from provisioning.virtual.nor_flash import NorFlash
from provisioning.virtual.rom.registers import Registers

CHECKSUM_SEED = 0xEF
SYNC_PATTERN = b"\x07\x07\x12\x20" + b"\x55" * 32
_HEAD = struct.Struct("<BBHI")


class LoaderError(Exception):
    """The command fails with this status code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"0x{code:02x}")
        self.code = code


class Machine(Protocol):
    """What the loader needs of the board."""

    flash: NorFlash

    def now(self) -> float: ...
    def loader_send(self, data: bytes) -> None: ...
    def loader_rate(self, rate: int) -> None: ...
    def loader_run(self, entry: int) -> None: ...
    def loader_restart(self, cause: str) -> None: ...


@dataclass
class Download:
    """A RAM download in progress, and what was downloaded before it."""

    address: int = 0
    block_size: int = 0
    blocks: int = 0
    active: bool = False


Answer = tuple[int, bytes]
Command = Callable[[bytes, int], Answer]


class Loader:
    """What both loaders do. Sub-classes say how answers end and add their commands."""

    bad_length = 0x05
    bad_checksum = 0x07
    failed = 0x06
    unknown_repeats = 8
    sync_value = 0x20120707

    def __init__(self, machine: Machine, registers: Registers, facts: LoaderFacts, chip: str) -> None:
        self.machine = machine
        self.flash = machine.flash
        self.registers = registers
        self.facts = facts
        self.chip = CHIPS[chip]
        self.busy = 0.0  # seconds of flash time that the last command took
        self.segments: list[tuple[int, bytes]] = []
        self._done: tuple[int, bytes] | None = None
        self._download = Download()
        self._decoder = slip.Decoder()
        self.commands: dict[int, Command] = {
            0x05: self.mem_begin,
            0x06: self.mem_end,
            0x07: self.mem_data,
            0x08: self.sync,
            0x09: self.write_reg,
            0x0A: self.read_reg,
        }

    def feed(self, data: bytes) -> list[bytes]:
        """Frames that are complete now, to be given to `handle` one after the other."""
        return self._decoder.feed(data)

    def handle(self, frame: bytes) -> None:
        """Executes one request and sends its answer."""
        self.busy = 0.0
        if len(frame) < _HEAD.size:
            return
        direction, opcode, size, checksum = _HEAD.unpack_from(frame)
        data = frame[_HEAD.size :]
        if direction != 0:
            return
        command = self.commands.get(opcode)
        try:
            if command is not None and len(data) != size:
                raise LoaderError(self.bad_length)
            self.raise_late()
            if command is None:
                self.unknown(opcode)
                return
            value, answer = command(data, checksum)
        except LoaderError as error:
            self.answer(opcode, 0, b"", error.code)
        else:
            self.answer(opcode, value, answer)
        self._done = (opcode, data)

    def complete(self) -> None:
        """Call it when the answer to the last request is on its way."""
        if self._done is not None:
            opcode, data = self._done
            self._done = None
            self.after(opcode, data)

    def raise_late(self) -> None:
        """Raises the LoaderError of an earlier command that had its answer before its work was done."""

    def after(self, opcode: int, data: bytes) -> None:
        """What happens once the answer is out."""

    def work(self) -> Iterator[float]:
        """What a command still has to do when its answer is out; yields the seconds that each step takes."""
        return iter(())

    def unknown(self, opcode: int) -> None:
        """The ROM does not know the command: it says so, several times, and not under the command's own number."""
        for _ in range(self.unknown_repeats):
            self.answer(0, 0, b"", self.bad_length)

    def answer(self, opcode: int, value: int, data: bytes, error: int = 0) -> None:
        body = data + self.status(error)
        self.machine.loader_send(slip.encode(_HEAD.pack(1, opcode, len(body), value & 0xFFFFFFFF) + body))

    def status(self, error: int) -> bytes:
        """The ROM's end of an answer: failed or not, why, two bytes that mean nothing."""
        return bytes([1 if error else 0, error, 0, 0])

    def unpack(self, layout: str, data: bytes) -> tuple[int, ...]:
        """The arguments of a command. Raises LoaderError when there are fewer bytes than the layout needs."""
        if len(data) < struct.calcsize(layout):
            raise LoaderError(self.bad_length)
        return struct.unpack_from(layout, data)

    def block(self, data: bytes, checksum: int) -> tuple[int, bytes]:
        """Sequence number and content of a data block; checks length and checksum."""
        size, sequence, _, _ = self.unpack("<IIII", data[:16])
        content = data[16:]
        if len(content) != size:
            raise LoaderError(self.bad_length)
        if xor(content) != checksum & 0xFF:
            raise LoaderError(self.bad_checksum)
        return sequence, content

    # --- commands -------------------------------------------------------------------------------------------------

    def sync(self, data: bytes, checksum: int) -> Answer:
        if data != SYNC_PATTERN:
            raise LoaderError(self.bad_length)
        for _ in range(7):  # and once more by the caller: eight answers in all
            self.answer(0x08, self.sync_value, b"")
        return self.sync_value, b""

    def read_reg(self, data: bytes, checksum: int) -> Answer:
        (address,) = self.unpack("<I", data)
        return self.registers.read(address), b""

    def write_reg(self, data: bytes, checksum: int) -> Answer:
        if not data or len(data) % 16:
            raise LoaderError(self.bad_length)
        for at in range(0, len(data), 16):
            address, value, mask, _delay = self.unpack("<IIII", data[at : at + 16])
            self.registers.write(address, value, mask)
        return 0, b""

    def mem_begin(self, data: bytes, checksum: int) -> Answer:
        size, blocks, block_size, address = self.unpack("<IIII", data)
        if blocks * block_size < size or block_size > 0x4000:
            raise LoaderError(self.bad_length)
        self._download = Download(address, block_size, blocks, True)
        self.segments.append((address, b""))
        return 0, b""

    def mem_data(self, data: bytes, checksum: int) -> Answer:
        sequence, content = self.block(data, checksum)
        if not self._download.active or sequence >= self._download.blocks or len(content) > self._download.block_size:
            raise LoaderError(self.failed)
        self.registers.load(self._download.address + sequence * self._download.block_size, content)
        address, so_far = self.segments[-1]
        self.segments[-1] = (address, so_far[: sequence * self._download.block_size] + content)
        return 0, b""

    def mem_end(self, data: bytes, checksum: int) -> Answer:
        self.unpack("<II", data)
        self._download.active = False
        return 0, b""


def xor(data: bytes) -> int:
    """The loader's checksum: all bytes and the seed, exclusive-or."""
    folded = int.from_bytes(data, "little")
    width = max(1, len(data)) * 8
    while width > 8:
        half = ((width // 8 + 1) // 2) * 8
        folded = (folded >> half) ^ (folded & ((1 << half) - 1))
        width = half
    return folded ^ CHECKSUM_SEED
