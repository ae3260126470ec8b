"""The ROM loader, frame by frame: what it refuses, with which error code, and that a refused command changes nothing.

Error codes: the table of ROM errors in esptool's documentation of the serial protocol (05 invalid message, 06 failed to act,
07 checksum, 0a read length, 0b deflate).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from functools import reduce

import pytest
import serial

from tests.virtual.board_io import repl

BLOCK = 0x400
WHERE = 0x300000
TEXT = b"strict! " * (BLOCK // 8)


class Rom:
    """Sends requests to the loader and reads its answers."""

    def __init__(self, board):
        link = repl(board.pty)
        link.port.write(b"import machine; machine.bootloader()\x04")
        link.until(b"waiting for download\r\n")
        self.port: serial.SerialBase = link.port
        self.port.timeout = 10
        sync = b"\x07\x07\x12\x20" + b"\x55" * 32
        assert self.ask(0x08, sync) == (0, 0)
        for _ in range(7):
            self.answer()

    def frame(self, body: bytes) -> None:
        self.port.write(b"\xc0" + body.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0")

    def answer(self) -> bytes:
        """One frame without its ends."""
        assert self.port.read_until(b"\xc0") == b"\xc0"
        body = self.port.read_until(b"\xc0")
        assert body[-1:] == b"\xc0", body
        return body[:-1].replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")

    def ask(self, opcode: int, data: bytes, checksum: int = 0, size: int | None = None) -> tuple[int, int]:
        """(failed, error code); what else the answer holds is in `value` and `data`."""
        self.frame(struct.pack("<BBHI", 0, opcode, len(data) if size is None else size, checksum) + data)
        answer = self.answer()
        direction, told, length, self.value = struct.unpack_from("<BBHI", answer)
        assert (direction, told, length) == (1, opcode, len(answer) - 8)
        self.data = answer[8:-4]
        return answer[-4], answer[-3]

    def block(self, opcode: int, number: int, content: bytes, wrong: int = 0) -> tuple[int, int]:
        checksum = reduce(lambda a, b: a ^ b, content, 0xEF) ^ wrong
        return self.ask(opcode, struct.pack("<IIII", len(content), number, 0, 0) + content, checksum)

    def begin(self, opcode: int = 0x02, size: int = BLOCK, blocks: int = 1, address: int = WHERE) -> tuple[int, int]:
        # Chips after the ESP32 want to know whether it is to be encrypted.
        return self.ask(opcode, struct.pack("<IIIII", size, blocks, BLOCK, address, 0))


OK, BAD_MESSAGE, FAILED, BAD_CHECKSUM, BAD_LENGTH, BAD_DEFLATE = (0, 0), (1, 5), (1, 6), (1, 7), (1, 0x0A), (1, 0x0B)


@pytest.fixture(scope="module", params=["esp32", "esp32c3"])
def board(request):
    from provisioning.virtual import VirtualBoard

    with VirtualBoard(chip=request.param, paced=False, link="pty") as board:
        yield board


@pytest.fixture
def rom(board):
    """In download mode, the flash attached."""
    board.reset()
    board.load_flash(WHERE, b"\xff" * 0x2000)
    rom = Rom(board)
    assert rom.ask(0x0D, bytes(8)) == OK
    board.clear_counters()
    yield rom
    rom.port.close()


def test_a_block_is_written_where_it_belongs_and_its_md5_is_answered(board, rom):
    assert rom.begin() == OK
    assert rom.block(0x03, 0, TEXT) == OK
    assert board.read_flash(WHERE, BLOCK + 1) == TEXT + b"\xff"
    assert rom.ask(0x13, struct.pack("<IIII", WHERE, BLOCK, 0, 0)) == OK
    assert rom.data == hashlib.md5(TEXT).hexdigest().encode()


def test_a_bad_checksum_writes_nothing_and_the_block_may_come_again(board, rom):
    assert rom.begin() == OK
    assert rom.block(0x03, 0, TEXT, wrong=0x40) == BAD_CHECKSUM
    assert board.read_flash(WHERE, BLOCK) == b"\xff" * BLOCK
    assert rom.block(0x03, 0, TEXT) == OK
    assert board.read_flash(WHERE, BLOCK) == TEXT


def test_deflated_data_is_written_and_corrupt_data_is_refused(board, rom):
    packed = zlib.compress(TEXT)
    assert rom.begin(0x10) == OK
    assert rom.block(0x11, 0, packed) == OK
    assert board.read_flash(WHERE, BLOCK) == TEXT
    assert rom.begin(0x10, address=WHERE + 0x1000) == OK
    corrupt = packed[:2] + bytes(byte ^ 0xFF for byte in packed[2:])
    assert rom.block(0x11, 0, corrupt) == BAD_DEFLATE
    assert board.read_flash(WHERE + 0x1000, BLOCK) == b"\xff" * BLOCK
    assert rom.block(0x11, 0, packed) == FAILED  # it has left flash mode


def test_more_than_was_announced_is_refused(board, rom):
    assert rom.begin(0x10, size=BLOCK // 2) == OK
    assert rom.block(0x11, 0, zlib.compress(TEXT)) == FAILED


@pytest.mark.parametrize(("address", "size"), [(0x400000, 0x1000), (0x3FF000, 0x2000), (0xFFFFF000, 0x1000)])
def test_outside_the_flash_is_refused(board, rom, address, size):
    assert rom.begin(address=address, size=size) == FAILED
    assert rom.block(0x03, 0, TEXT) == FAILED
    assert rom.ask(0x13, struct.pack("<IIII", address, size, 0, 0)) == FAILED
    assert board.counters()["flash_programs"] == board.counters()["flash_erases"] == 0


def test_the_size_that_was_set_is_the_limit(board, rom):
    assert rom.ask(0x0B, struct.pack("<IIIIII", 0, 0x200000, 0x10000, 0x1000, 0x100, 0xFFFF)) == OK
    assert rom.begin() == FAILED
    assert rom.begin(address=0x1FF000) == OK


def test_what_is_not_erased_only_loses_bits(board, rom):
    """Nothing is erased for a write of size 0: as on hardware the new content is the old one AND the data."""
    board.load_flash(WHERE, b"\x0f" * BLOCK)
    assert rom.begin(size=0) == OK
    assert rom.block(0x03, 0, TEXT) == OK
    assert board.read_flash(WHERE, BLOCK) == bytes(byte & 0x0F for byte in TEXT)
    assert board.counters()["flash_erases"] == 0


@pytest.mark.parametrize("opcode", [0x03, 0x11])
def test_data_without_a_beginning_is_refused(board, rom, opcode):
    assert rom.block(opcode, 0, TEXT) == FAILED


def test_a_block_ahead_of_its_turn_is_refused(board, rom):
    assert rom.begin(size=3 * BLOCK, blocks=3) == OK
    assert rom.block(0x03, 1, TEXT) == FAILED
    assert rom.block(0x03, 3, TEXT) == FAILED


def test_an_unknown_command_is_answered_eight_times_and_not_by_its_number(rom):
    rom.frame(struct.pack("<BBHI", 0, 0xD2, 0, 0))  # the stub's fast read
    for _ in range(8):
        answer = rom.answer()
        assert answer[1] != 0xD2
        assert tuple(answer[-4:-2]) == BAD_MESSAGE
    assert rom.ask(0x0A, struct.pack("<I", 0x40001000)) == OK  # and it goes on: the word by which esptool tells chips


def test_a_message_of_the_wrong_length_is_refused(rom):
    assert rom.ask(0x0D, bytes(8), size=7) == BAD_MESSAGE
    assert rom.ask(0x02, bytes(4)) == BAD_MESSAGE
    content = struct.pack("<IIII", BLOCK, 0, 0, 0) + bytes(8)
    assert rom.ask(0x03, content) == BAD_MESSAGE


def test_a_slow_read_has_a_limit(rom):
    assert rom.ask(0x0E, struct.pack("<II", 0x8000, 64)) == OK
    assert rom.ask(0x0E, struct.pack("<II", 0x8000, 65)) == BAD_LENGTH


def test_flash_that_is_not_attached_cannot_be_used(board):
    board.reset()
    rom = Rom(board)
    assert rom.begin() == FAILED
    assert rom.ask(0x13, struct.pack("<IIII", 0, 16, 0, 0)) == FAILED
    rom.port.close()
