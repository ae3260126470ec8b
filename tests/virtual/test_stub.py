"""What a running flasher stub takes: RAM downloads and register writes as the ROM takes them, of any length."""

from __future__ import annotations

import struct
from functools import reduce

import pytest

from provisioning.virtual.rom import slip
from provisioning.virtual.rom.facts import Facts
from provisioning.virtual.rom.legacy_stub import LegacyStub
from provisioning.virtual.rom.stub import Stub


class Machine:
    """What a stub needs of the board, and nothing more."""

    flash = None

    def __init__(self):
        self.answers: list[bytes] = []
        self.decoder = slip.Decoder()

    def now(self) -> float:
        return 0.0

    def loader_send(self, data: bytes) -> None:
        self.answers += self.decoder.feed(data)


class Memory:
    """RAM and registers: {address: word}, [(address, content)]."""

    def __init__(self):
        self.words = {}
        self.loaded = []

    def write(self, address, value, mask):
        self.words[address] = value & mask

    def load(self, address, content):
        self.loaded.append((address, content))


@pytest.fixture(params=[Stub, LegacyStub])
def stub(request):
    return request.param(Machine(), Memory(), Facts({}, {}, ()), "esp32c3")


def status(stub, opcode: int, data: bytes, checksum: int = 0) -> int:
    stub.handle(struct.pack("<BBHI", 0, opcode, len(data), checksum) + data)
    answer = stub.machine.answers.pop()
    assert answer[1] == opcode
    return answer[-2] or answer[-1]


def test_another_program_can_be_downloaded_into_ram(stub):
    """As esptool does with --before no-reset-no-sync, when it cannot know that its stub runs already."""
    content = bytes(range(200)) * 20
    checksum = reduce(lambda a, b: a ^ b, content, 0xEF)
    assert status(stub, 0x05, struct.pack("<IIII", len(content), 1, 0x1800, 0x40380000)) == 0
    assert status(stub, 0x07, struct.pack("<IIII", len(content), 0, 0, 0) + content, checksum) == 0
    assert stub.registers.loaded == [(0x40380000, content)]
    assert status(stub, 0x07, struct.pack("<IIII", len(content), 0, 0, 0) + content, checksum ^ 1) != 0
    assert status(stub, 0x07, struct.pack("<IIII", len(content), 0, 0, 0) + content[:-1], checksum) != 0


def test_several_registers_are_written_by_one_command(stub):
    rows = [(0x60000000 + 4 * n, n, 0xFFFFFFFF, 0) for n in range(3)]
    assert status(stub, 0x09, b"".join(struct.pack("<IIII", *row) for row in rows)) == 0
    assert stub.registers.words == {address: value for address, value, _, _ in rows}
    assert status(stub, 0x09, struct.pack("<IIII", *rows[0]) + b"\0") != 0
