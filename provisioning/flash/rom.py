"""The ROM loader, asked before anything is written: which chip is this, whose MAC, how much flash, is it locked?

Reads only. Answers have no check sum, so what a board would be refused by, and the MAC that it is known by, is asked until two answers
agree; a line that damages bytes is the station's fault, whatever they then say. It speaks the few commands it needs by itself, so that a
refusal costs a tenth of a second and no flasher is sent; esptool then takes the chip over in the loader where it is (`--before no-reset`).
Source of the protocol: "Serial Protocol" in esptool's documentation.

    request   0xC0, 0x00, command, length (2), checksum (4, only for data), data, 0xC0     little endian, SLIP-escaped
    answer    0xC0, 0x01, command, length (2), value (4), data with 2 or 4 bytes of status at its end, 0xC0
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from provisioning.chips import CHIPS, MAGIC_REGISTER, NAMED_BY_MAGIC, Bits, Chip
from provisioning.chips.chip import Watchdogs
from provisioning.errors import BoardError, StationError, TwinrootError
from provisioning.flash import slip
from provisioning.flash.jedec import flash_bytes
from provisioning.link import native_usb, resets
from provisioning.link.wire import Wire

T = TypeVar("T")

SYNC, WRITE_REG, READ_REG, SPI_SET_PARAMS, SPI_ATTACH, SPI_FLASH_MD5, GET_SECURITY_INFO = 0x08, 0x09, 0x0A, 0x0B, 0x0D, 0x13, 0x14
READ_FLASH_SLOW = 0x0E  # the ROM's own, 64 bytes at most; esptool/loader.py, ESP_CMDS
_ANSWER = 2.0  # seconds for one answer; the ROM answers in milliseconds, but a computer with many boards may look late
_SYNC_ANSWER = 0.1
_LATE_ANSWER = 0.5  # for the syncs after the last reset: by then it is the computer that is slow, or nobody is there
_QUIET = 0.2  # seconds without an answer after which no late one comes
_ATTEMPTS = 4  # resets until it is given up
_SYNCS = 5  # per reset
_TRIES = 5  # for one question on a line that loses or damages bytes
_TRY = 0.3  # seconds for each of them but the last
_ROUNDS = 6  # for all questions, until two in a row are answered alike
_LONGEST = 8.0  # seconds for all rounds
_ENTRIES = 4  # into the loader, for a chip whose port goes away while it is asked
_UNKNOWN_COMMAND = 0x05  # the ROM's reason in the second status byte
_RDID = 0x9F  # JEDEC: read identification

_SECURE_BOOT, _SECURE_DOWNLOAD = 1 << 0, 1 << 2  # bits of the security info's flags


@dataclass(frozen=True)
class ChipFacts:
    """What the chip says. `revision` is major * 100 + minor; `flash` bytes, None when its id is not known."""

    chip: str
    revision: int
    mac: str
    flash: int | None
    secure_boot: bool
    flash_encryption: bool
    secure_download: bool

    @property
    def revision_text(self) -> str:
        """As people write it: v3.1."""
        return f"v{self.revision // 100}.{self.revision % 100}"


class _Refused(Exception):
    """The loader answered a command with an error."""


class _Unknown(_Refused):
    """The loader does not know a command, this one or one before it."""


class _Silent(Exception):
    """No answer in time."""


NO_ANSWER = (_Refused, _Silent)  # what RomLoader.command raises


class _Left(_Silent):
    """The chip's own USB port went away and came back, so that nothing asked before is answered: late, after the reset into the loader,
    or because a watchdog that outlived that reset has started the program."""


class _UnknownChip(Exception):
    """The chip says of itself what no chip of ours does; the arguments are what it said."""


class NoAnswer(StationError):
    """Nothing answers in the ROM loader: no power, no data lines, no board, or a reset that does not reach it."""


class RomLoader:
    """The loader at the other end of a Wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._name = wire.name
        self._pending = bytearray()
        self._returns = wire.returns
        self._before = "no-reset"
        self.is_stub = False
        self.noisy = False  # whether the line has damaged an answer, or lost a question

    def connect(self, before: str = "default-reset") -> None:
        """Reset into the loader and synchronise. Raises BoardError or StationError with what the board said instead."""
        self._before = before
        self._enter(native_usb.in_loader(self._wire.name))

    def _enter(self, there: bool) -> None:
        """As `connect`. `there`: the chip may be in its loader already, so it is asked before it is reset."""
        before = self._before
        heard = b""
        lines = True
        for attempt in range(_ATTEMPTS if before != "no-reset" else 1):
            self._wire.discard(0.0)
            self._pending.clear()
            if before != "no-reset" and not (attempt == 0 and there):
                ways = resets.INTO_LOADER["usb-reset" if native_usb.is_jtag(self._wire.name) else before]
                lines = self._wire.pull(ways[attempt % len(ways)])  # without lines the chip may wait in its loader all the same
            for _ in range(_SYNCS):
                try:
                    self._sync(_SYNC_ANSWER if attempt + 1 < _ATTEMPTS else _LATE_ANSWER)
                except (_Silent, _Refused):
                    heard = (heard + bytes(self._pending))[-4096:]
                    self._pending.clear()
                else:
                    return
            if not lines:
                raise StationError(
                    "no-reset-lines",
                    f"{self._name} is a pseudo-terminal, which has no reset lines (DTR, RTS): no ROM loader can be entered through it.",
                    "Use a virtual board's rfc2217:// port, or a board's USB port; `update` needs no such lines where MicroPython runs.",
                )
        raise self._no_loader(heard)

    def _sync(self, seconds: float) -> None:
        self._returns = self._wire.returns
        value, _ = self._command(SYNC, b"\x07\x07\x12\x20" + 32 * b"\x55", seconds)
        self.is_stub = value == 0
        self._drain()  # a sync is answered eight times, too

    def _no_loader(self, heard: bytes) -> TwinrootError:
        text = heard.decode("ascii", "replace")
        if "waiting for download" in text:
            return BoardError(
                "rom-deaf",
                f"The board on {self._name} is in its ROM loader and hears nothing.",
                "Its RX line is open or held by something else on the board.",
            )
        if "boot:0x" in text:
            return BoardError(
                "wrong-boot-mode",
                f"The board on {self._name} restarts, but into its program and not into the ROM loader.",
                "Hold its BOOT button while the run begins; if that helps, its auto-reset circuit does not pull IO0.",
            )
        return NoAnswer(
            "no-answer",
            f"Nothing answers on {self._name} in the ROM loader.",
            "Check power and cable (some carry no data), or hold the BOOT button while the run begins.",
        )

    def identify(self, expected: str = "", plain: Callable[[ChipFacts], bool] = lambda facts: True) -> ChipFacts:
        """Everything a refusal may depend on. Raises BoardError for a chip that is not known or stops answering, StationError for a line
        that damages what it says.

        `expected`: the chip that this ought to be, which decides what is asked first and nothing else. `plain`: whether the facts need no
        second look.
        """
        for left in range(_ENTRIES):
            if left:
                self._enter(there=True)
            try:
                return self._facts(expected, plain)
            except _Left:
                continue
        raise BoardError(
            "rom-confused",
            f"The ROM loader on {self._name} stopped answering: the USB port went away {_ENTRIES} times.",
            "Run the command again.",
        )

    def _facts(self, expected: str, plain: Callable[[ChipFacts], bool]) -> ChipFacts:
        """As `identify`; raises _Left when the port goes away meanwhile."""
        before: ChipFacts | tuple[object, ...] | None = None
        deadline = time.monotonic() + _LONGEST
        for _ in range(_ROUNDS):
            found: ChipFacts | tuple[object, ...] | None = None
            try:
                found = self._identify(CHIPS.get(expected))
                if not self.noisy and plain(found):
                    return found
            except _UnknownChip as unknown:
                found = unknown.args
            except _Left:
                raise
            except (_Silent, _Refused) as error:
                if not self.noisy:
                    raise BoardError(
                        "rom-confused", f"The ROM loader on {self._name} stopped answering: {error}.", "Run the command again."
                    ) from None
            # On a line that damages bytes two wrong answers may be alike, so there no answer speaks against the board.
            if found is not None and found == before and (not self.noisy or (isinstance(found, ChipFacts) and plain(found))):
                if isinstance(found, ChipFacts):
                    return found
                raise BoardError("unknown-chip", f"The chip on {self._name} is not one of {', '.join(CHIPS)}.", "Take another board.")
            before = found
            if time.monotonic() > deadline:
                break
        raise StationError(
            "line-errors",
            f"The line to {self._name} loses or damages bytes: what the chip says of itself comes differently each time.",
            "Use a shorter cable, another port or hub, then run the command again. The board may be good.",
        )

    def _patient(self, question: Callable[[float], T]) -> T:
        """The answer to a question that may be asked again; it is given the seconds to wait."""
        for tried in range(_TRIES):
            try:
                found = question(_TRY if tried + 1 < _TRIES else _ANSWER)
            except (_Silent, _Refused) as error:
                if tried + 1 == _TRIES or isinstance(error, (_Unknown, _Left)):
                    raise
                self._drain(_QUIET)
            else:
                self.noisy = self.noisy or tried > 0
                if tried:
                    self._drain(_QUIET)  # a late answer to the question before must not be taken for the next one's
                return found
        raise AssertionError("the last try returns or raises")

    def _agreed(self, question: Callable[[], T]) -> T:
        """The answer that comes twice in a row. Raises _Silent when none does."""
        before = question()
        for _ in range(2 * _TRIES):
            found = question()
            if found == before:
                return found
            self.noisy = True
            before = found
        raise _Silent("it answers differently each time")

    def _identify(self, expected: Chip | None) -> ChipFacts:
        flags = crypt_count = None
        # A chip without one has no answer to the question for its security state and says so eight times: its register tells enough.
        chip = self._older_chip() if expected is not None and not expected.security_info else None
        if chip is None or chip.security_info:
            flags, crypt_count, chip_id = self._security_info()
            if chip_id is not None:
                chip = next((c for c in CHIPS.values() if c.magic is None and c.image_id == chip_id), None)
            else:
                chip = self._older_chip()
        if chip is None:
            raise _UnknownChip(chip_id)
        if flags is not None and flags & _SECURE_DOWNLOAD:
            # Registers cannot be read in this mode.
            return ChipFacts(chip.name, 0, "", None, bool(flags & _SECURE_BOOT), _odd(crypt_count or 0), True)
        if chip.watchdogs is not None and native_usb.is_jtag(self._wire.name):
            self._still(chip.watchdogs)
        if chip.forced is not None:
            self.write(chip.forced, 0, 1)  # the next reset starts the board's program again (esptool, ESP32S3ROM.hard_reset)
        return ChipFacts(
            chip.name,
            self._revision(chip),
            self._mac(chip),
            flash_bytes(self._flash_id(chip)),
            any(self._bits((field,)) for field in chip.fuses.secure_boot),
            _odd(self._bits((chip.fuses.crypt_count,))),
            False,
        )

    def _still(self, dogs: Watchdogs) -> None:
        """No watchdog that a reset over USB-Serial-JTAG left running bites in the middle (esptool, ESP32C3ROM.disable_watchdogs)."""
        self.write(dogs.protect, dogs.key)
        self.write(dogs.config, 0)
        self.write(dogs.protect, 0)
        self.write(dogs.feeder_protect, dogs.feeder_key)
        self.write(dogs.feeder, dogs.feeder_bit, dogs.feeder_bit)
        self.write(dogs.feeder_protect, 0)

    def _older_chip(self) -> Chip | None:
        """One of the chips that have no chip id to tell."""
        try:
            magic = self.read(MAGIC_REGISTER)
        except _Refused:
            self._drain()
            # Registers are closed: secure download mode, which only chips with security info have.
            return next(c for c in NAMED_BY_MAGIC if c.security_info)
        return next((c for c in NAMED_BY_MAGIC if c.magic == magic), None)

    def _security_info(self) -> tuple[int | None, int | None, int | None]:
        """(flags, crypt count, chip id), each None where the chip does not tell."""
        try:
            _, data = self._patient(lambda seconds: self._command(GET_SECURITY_INFO, b"", seconds))
        except _Refused:
            self._drain()
            return None, None, None
        if len(data) < 12:
            return None, None, None
        flags, count = struct.unpack_from("<IB", data)
        return flags, count, struct.unpack_from("<I", data, 12)[0] if len(data) >= 20 else None

    def _bits(self, fields: tuple[Bits, ...]) -> int:
        """The fields, concatenated, the first one lowest."""
        value = shift = 0
        for register, low, width in fields:
            value |= (self.read(register) >> low & (1 << width) - 1) << shift
            shift += width
        return value

    def _revision(self, chip: Chip) -> int:
        major = self._bits(chip.fuses.major)
        if chip.fuses.major_codes:
            major = dict(chip.fuses.major_codes).get(major, 0)
        return major * 100 + self._bits(chip.fuses.minor)

    def _mac(self, chip: Chip) -> str:
        low, high = (self._agreed(partial(self.read, register)) for register in chip.fuses.mac)
        raw = struct.pack(">II", high, low)[2:]
        return ":".join(f"{byte:02x}" for byte in raw)

    def _flash_id(self, chip: Chip) -> int:
        """The flash chip's JEDEC id, manufacturer in the lowest byte: one user command of the SPI controller."""
        self._patient(lambda seconds: self._command(SPI_ATTACH, bytes(4 if self.is_stub else 8), seconds * 2))
        spi = chip.spi
        usr, usr2 = spi.base + spi.usr, spi.base + spi.usr2
        saved = self.read(usr), self.read(usr2)
        self.write(spi.base + spi.miso_len, 24 - 1)
        self.write(usr, 1 << 31 | 1 << 28)  # a command phase and a read phase
        self.write(usr2, 7 << 28 | _RDID)  # a command of 8 bits
        self.write(spi.base + spi.w0, 0)
        self.write(spi.base, 1 << 18)  # go
        for _ in range(10):
            if not self.read(spi.base) & 1 << 18:
                break
        found = self.read(spi.base + spi.w0) & 0xFFFFFF
        self.write(usr, saved[0])
        self.write(usr2, saved[1])
        return found

    def md5(self, address: int, size: int, flash_size: int) -> bytes | None:
        """MD5 of a small piece of flash, None where the loader does not tell."""
        try:
            self._command(SPI_SET_PARAMS, geometry(flash_size), _ANSWER)
            _, data = self._command(SPI_FLASH_MD5, struct.pack("<IIII", address, size, 0, 0), _ANSWER)
        except (_Silent, _Refused):
            return None
        try:
            return bytes(data[:16]) if len(data) < 32 else bytes.fromhex(data[:32].decode("ascii"))
        except ValueError:
            return None

    def flash_bytes(self, address: int, size: int, flash_size: int) -> bytes | None:
        """Up to 64 bytes of flash, None where the loader does not tell."""
        place = struct.pack("<II", address, size)
        try:
            self._patient(lambda seconds: self._command(SPI_SET_PARAMS, geometry(flash_size), seconds))
            return self._agreed(lambda: self._patient(lambda seconds: self._command(READ_FLASH_SLOW, place, seconds))[1][:size])
        except (_Silent, _Refused):
            return None

    def read(self, register: int) -> int:
        """The content of a 32-bit register."""
        return self._patient(lambda seconds: self._command(READ_REG, struct.pack("<I", register), seconds))[0]

    def write(self, register: int, value: int, mask: int = 0xFFFFFFFF) -> None:
        """Set a 32-bit register, or the bits of `mask` in it."""
        data = struct.pack("<IIII", register, value & 0xFFFFFFFF, mask, 0)
        self._patient(lambda seconds: self._command(WRITE_REG, data, seconds))

    def command(self, code: int, data: bytes, seconds: float = _ANSWER, check: int = 0) -> bytes:
        """The data of the answer to any command, for rom_flash.py. `check`: checksum of a command's data. Raises NO_ANSWER."""
        return self._command(code, data, seconds, check)[1]

    def _command(self, code: int, data: bytes, seconds: float, check: int = 0) -> tuple[int, bytes]:
        """(value, data without status) of the answer. Raises _Silent or _Refused."""
        try:
            return self._exchange(code, data, seconds, check)
        except _Unknown:
            if code == GET_SECURITY_INFO:
                raise
        # A refusal does not say of what. This one may be a late echo of one before, so: silence, and the question once more.
        self._drain(_QUIET)
        return self._exchange(code, data, seconds, check)

    def _exchange(self, code: int, data: bytes, seconds: float, check: int) -> tuple[int, bytes]:
        packet = struct.pack("<BBHI", 0, code, len(data), check) + data
        self._wire.write(slip.encode(packet))
        deadline = time.monotonic() + seconds
        while True:
            frame = self._frame(deadline - time.monotonic())
            if len(frame) < 10 or frame[0] != 1 or struct.unpack_from("<H", frame, 2)[0] != len(frame) - 8:
                self.noisy = self.noisy or frame[:1] == b"\x01"
                continue
            if frame[1] != code:
                if frame[8] != 0 and frame[9] == _UNKNOWN_COMMAND:
                    raise _Unknown(f"it does not know command 0x{code:02x}")
                continue
            (value,) = struct.unpack_from("<I", frame, 4)
            body = frame[8:]
            # Status: 2 bytes, followed by 2 reserved ones in the ROM; the first is 0 for success.
            status = 2 if self.is_stub or len(body) in (2, 22) else 4
            if body[len(body) - status] != 0:
                raise _Refused(f"it refused command 0x{code:02x}")
            return value, body[: len(body) - status]

    def _drain(self, quiet: float = 0.02) -> None:
        """Some answers come eight times over (a sync's, an unknown command's); the rest must not be taken for later answers."""
        deadline = time.monotonic() + _SYNC_ANSWER + quiet
        while time.monotonic() < deadline:
            try:
                self._frame(quiet)
            except _Left:
                raise
            except _Silent:
                return

    def _frame(self, seconds: float) -> bytes:
        """The next frame. Raises _Silent, and once each time that the port has come back, _Left."""
        deadline = time.monotonic() + seconds
        while (frame := slip.take(self._pending)) is None:
            if self._wire.returns != self._returns:
                self._returns = self._wire.returns
                raise _Left("its USB port went away")
            left = deadline - time.monotonic()
            if left <= 0:
                raise _Silent("no answer")
            self._pending += self._wire.read(left)
        return frame


def geometry(flash_size: int) -> bytes:
    """Of SPI_SET_PARAMS, which a loader needs to read beyond its default size: identity 0, size, block, sector, page, status mask."""
    return struct.pack("<IIIIII", 0, flash_size, 0x10000, 0x1000, 0x100, 0xFFFF)


def _odd(count: int) -> bool:
    return count.bit_count() % 2 == 1
