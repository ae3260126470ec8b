"""The flasher stubs by themselves: what is answered before it is written, what an error of a write becomes, what is erased and how."""

from __future__ import annotations

import struct
import zlib

import pytest

from provisioning.virtual import slip
from provisioning.virtual.facts import LoaderFacts
from provisioning.virtual.nor_flash import BLOCK, SECTOR, FlashTiming, NorFlash, PowerCutError
from provisioning.virtual.rom.legacy_stub import LegacyStub
from provisioning.virtual.rom.loader import xor
from provisioning.virtual.rom.stub import SpinError, Stub

SIZE = 1 << 20
BOTH = [Stub, LegacyStub]


class Chip:
    """A machine around a stub: `now` is the CPU's time, answers are (opcode, body)."""

    def __init__(self, kind, path, timing="none"):
        self.flash = NorFlash(path / "flash.bin", SIZE, FlashTiming.named(timing))
        self.clock = 0.0
        self.frames = []
        self.stub = kind(self, None, LoaderFacts({}, {}, ()), "esp32")
        self.stub.chip_size = SIZE

    def now(self):
        return self.clock

    def loader_send(self, data):
        self.frames.append(data)

    def send(self, opcode, data=b"", checksum=0):
        """Up to the answer: its status bytes."""
        self.frames.clear()
        self.stub.handle(struct.pack("<BBHI", 0, opcode, len(data), checksum) + data)
        self.clock += self.stub.busy
        self.stub.complete()
        return slip.Decoder().feed(self.frames[-1])[0][8:]

    def work(self):
        """What comes after the answer: the seconds that it takes."""
        before = self.clock
        for seconds in self.stub.work():
            self.clock += seconds
        return self.clock - before

    def call(self, opcode, data=b"", checksum=0):
        status = self.send(opcode, data, checksum)
        self.work()
        return status

    def begin(self, address, size, blocks=1, opcode=0x02):
        return self.call(opcode, struct.pack("<IIII", size, blocks, 0x4000, address))

    def block(self, content, sequence=0):
        return struct.pack("<IIII", len(content), sequence, 0, 0) + content, xor(content)


OK = b"\x00\x00"


@pytest.mark.parametrize("kind", BOTH)
def test_a_block_is_answered_before_it_is_written(kind, tmp_path):
    chip = Chip(kind, tmp_path, "typical")
    content = bytes(range(256)) * 16
    assert chip.begin(0, len(content)) == OK
    assert chip.send(0x03, *chip.block(content)) == OK
    assert chip.flash.peek(0, SECTOR) == b"\xff" * SECTOR
    spent = chip.work()
    assert chip.flash.peek(0, SECTOR) == content
    erase = 0.045 if kind is LegacyStub else 0
    assert spent == pytest.approx(16 * 0.0007 + erase)


@pytest.mark.parametrize("kind", BOTH)
def test_deflated_data_is_written_when_the_window_is_full_or_at_the_end(kind, tmp_path):
    chip = Chip(kind, tmp_path)
    content = bytes(range(256)) * 300
    packed = zlib.compress(content, 9)
    half = len(packed) // 2
    assert chip.begin(0x1000, len(content), 2, 0x10) == OK
    assert chip.call(0x11, *chip.block(packed[:half])) == OK
    assert chip.flash.peek(0x1000, 256) in (content[:256], b"\xff" * 256)
    assert chip.call(0x11, *chip.block(packed[half:], 1)) == OK
    assert chip.flash.peek(0x1000, len(content)) == content
    assert chip.call(0x12, struct.pack("<I", 1)) == OK


def test_a_failed_write_is_reported_by_the_next_command_which_is_not_done(tmp_path):
    chip = Chip(Stub, tmp_path)
    assert chip.begin(SIZE - SECTOR, SECTOR) == OK
    chip.stub.chip_size = SIZE - SECTOR  # the flash is smaller than the host believed
    assert chip.call(0x03, *chip.block(bytes(SECTOR))) == OK
    assert chip.call(0xD0) == b"\xc4\x00"
    assert chip.flash.counters.erases == 0
    assert chip.call(0xD0) == OK


def test_the_older_stub_reports_it_by_data_and_end_until_a_new_beginning(tmp_path):
    chip = Chip(LegacyStub, tmp_path)
    assert chip.begin(SIZE - SECTOR, SECTOR) == OK
    chip.stub.chip_size = SIZE - SECTOR
    assert chip.call(0x03, *chip.block(bytes(SECTOR))) == OK
    assert chip.call(0x0B, struct.pack("<6I", 0, SIZE, BLOCK, SECTOR, 256, 0xFFFF)) == OK
    assert chip.call(0x03, *chip.block(bytes(16))) == b"\xc4\x00"
    assert chip.call(0x04, struct.pack("<I", 1)) == b"\xc4\x00"
    assert chip.begin(0, SECTOR) == OK
    assert chip.call(0x03, *chip.block(bytes(SECTOR))) == OK
    assert chip.call(0x04, struct.pack("<I", 1)) == OK


@pytest.mark.parametrize(("kind", "unknown", "short"), [(Stub, b"\xc3\x00", b"\xc0\x00"), (LegacyStub, b"\xff\x00", b"\xc8\x00")])
def test_mistakes_are_reported_at_once_by_each_stub_in_its_own_code(kind, unknown, short, tmp_path):
    chip = Chip(kind, tmp_path)
    data, checksum = chip.block(bytes(16))
    assert chip.call(0x03, data, checksum) == b"\xc6\x00"  # not in flash mode
    assert chip.begin(0, 2 * SECTOR) == OK
    assert chip.call(0x03, data, checksum ^ 1) == b"\xc1\x00"
    assert chip.call(0x77) == unknown
    assert chip.call(0x04, struct.pack("<I", 1)) == short  # not all of it came
    assert chip.flash.counters.operations == 0


@pytest.mark.parametrize("kind", BOTH)
def test_broken_deflate_data_is_reported_late(kind, tmp_path):
    chip = Chip(kind, tmp_path)
    assert chip.begin(0, SECTOR, 1, 0x10) == OK
    assert chip.call(0x11, *chip.block(b"no deflate stream")) == OK
    assert chip.call(0x11, *chip.block(b"x", 1)) == b"\xc7\x00"


def test_the_newer_stub_leaves_blank_sectors_alone_until_one_is_not(tmp_path):
    chip = Chip(Stub, tmp_path, "typical")
    chip.begin(0, 4 * SECTOR)
    chip.call(0x03, *chip.block(bytes(4 * SECTOR)))
    assert chip.flash.counters.erases == 0
    chip.begin(0, 4 * SECTOR)
    chip.call(0x03, *chip.block(b"\x55" * 4 * SECTOR))
    assert chip.flash.counters.erases == 4
    assert chip.flash.peek(0, 4 * SECTOR) == b"\x55" * 4 * SECTOR


def test_the_older_stub_erases_what_is_blank_too(tmp_path):
    chip = Chip(LegacyStub, tmp_path)
    chip.begin(0, SECTOR)
    chip.call(0x03, *chip.block(bytes(SECTOR)))
    assert chip.flash.counters.erases >= 1


@pytest.mark.parametrize("kind", BOTH)
def test_64_kb_are_erased_in_one_go_where_they_are_whole(kind, tmp_path):
    chip = Chip(kind, tmp_path, "typical")
    chip.flash.load(bytes(SIZE))
    size = SECTOR + BLOCK + SECTOR
    chip.begin(BLOCK - SECTOR, size)
    for at in range(0, size, 0x4000):
        chip.call(0x03, *chip.block(b"\xff" * min(0x4000, size - at)))
    assert chip.call(0x04, struct.pack("<I", 1)) == OK
    assert chip.flash.counters.erases == 18
    programs = 18 * 16 * 0.0007
    look = SECTOR * chip.flash.timing.read if kind is Stub else 0
    assert chip.clock == pytest.approx(0.045 + 0.150 + 0.045 + programs + look, rel=0.05)
    assert chip.flash.peek(BLOCK - SECTOR, size) == b"\xff" * size
    assert chip.flash.peek(2 * BLOCK + SECTOR, 16) == bytes(16)


def test_a_cut_in_a_block_erase_tears_all_of_it_and_nothing_else(tmp_path):
    chip = Chip(Stub, tmp_path)
    chip.flash.load(bytes(SIZE))
    chip.flash.cut_after = 3
    with pytest.raises(PowerCutError):
        chip.flash.erase_block(BLOCK)
    torn = chip.flash.peek(BLOCK, BLOCK)
    assert torn != bytes(BLOCK)
    assert torn != b"\xff" * BLOCK
    assert chip.flash.peek(0, BLOCK) == bytes(BLOCK)
    assert chip.flash.peek(2 * BLOCK, BLOCK) == bytes(BLOCK)


def test_more_than_was_announced_makes_the_newer_stub_wait_for_ever(tmp_path):
    chip = Chip(Stub, tmp_path)
    content = zlib.compress(bytes(3 * SECTOR))
    chip.begin(0, SECTOR, 1, 0x10)
    assert chip.send(0x11, *chip.block(content)) == OK
    with pytest.raises(SpinError):
        chip.work()


@pytest.mark.parametrize("kind", BOTH)
def test_md5_waits_for_the_flash_and_takes_the_time_of_reading(kind, tmp_path):
    chip = Chip(kind, tmp_path, "typical")
    started = chip.clock
    assert chip.send(0x13, struct.pack("<IIII", 0, SIZE, 0, 0))[-2:] == OK
    assert chip.clock - started == pytest.approx(SIZE / 2.35e6, rel=0.01)
