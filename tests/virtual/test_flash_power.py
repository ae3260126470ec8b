"""The flash is NOR, the power may go at any operation, and littlefs keeps its promise on it."""

from __future__ import annotations

import operator
import random
from pathlib import Path

import pytest
from littlefs import LittleFS
from littlefs.context import UserContext

from provisioning.virtual.nor_flash import SECTOR, FlashRangeError, FlashTiming, NorFlash, PowerCutError
from tests.virtual.board_io import repl

BLOCKS = 16


@pytest.fixture
def flash(tmp_path):
    flash = NorFlash(tmp_path / "flash.bin", 64 * SECTOR)
    yield flash
    flash.close()


def test_a_new_chip_is_blank_and_programming_only_clears_bits(flash):
    assert flash.read(0, 16) == b"\xff" * 16
    flash.program(0, b"\x0f\xf0")
    flash.program(0, b"\xff\x3c")
    assert flash.read(0, 3) == b"\x0f\x30\xff"
    flash.erase(1, 1)
    assert flash.read(0, 3) == b"\xff\xff\xff"


def test_every_operation_is_in_the_file_at_once(flash):
    flash.program(5000, b"abc")
    assert flash.path.read_bytes()[5000:5003] == b"abc"


def test_the_image_is_for_its_owner_only(flash):
    assert flash.path.stat().st_mode & 0o777 == 0o600


def test_outside_is_an_error(flash):
    for call in (lambda: flash.program(flash.size - 1, b"ab"), lambda: flash.erase(flash.size, 1), lambda: flash.read(-1, 1)):
        with pytest.raises(FlashRangeError):
            call()


def test_times_add_up_per_page_and_sector(tmp_path):
    flash = NorFlash(tmp_path / "f", 16 * SECTOR, FlashTiming(program=0.001, erase=0.05))
    assert flash.program(200, bytes(300)) == pytest.approx(0.002)  # 56 bytes, then 244
    assert flash.erase(0, 2 * SECTOR) == pytest.approx(0.1)
    flash.close()


def test_tears_follow_from_the_seed(tmp_path):
    torn = []
    for run in range(2):
        flash = NorFlash(tmp_path / f"f{run}", 4 * SECTOR)
        flash.program(0, bytes(range(256)))
        flash.cut_after = 0
        flash.tear.seed(7)
        with pytest.raises(PowerCutError):
            flash.erase(0, SECTOR)
        torn.append(flash.read(0, SECTOR))
        flash.close()
    assert torn[0] == torn[1]


def test_a_torn_page_lies_between_old_and_new(flash):
    new = random.Random(3).randbytes(256)
    for seed in range(50):
        flash.erase(0, SECTOR)
        flash.cut_after = 0
        flash.tear.seed(seed)
        with pytest.raises(PowerCutError):
            flash.program(0, new)
        got = flash.read(0, 256)
        assert all(g & n == n for g, n in zip(got, new, strict=True)), "a bit was cleared that is 1 in the data"


# --- littlefs ---------------------------------------------------------------------------------------------------------


class OnFlash(UserContext):
    """littlefs' block device on the model. After a cut nothing reaches the flash any more.

    littlefs itself goes on in a dream of its own (`shadow`): its Python binding asserts when a close fails, and for the flash it
    makes no difference whether the program noticed that the power went.
    """

    def __init__(self, flash: NorFlash) -> None:
        super().__init__(flash.size)
        self.flash = flash
        self.shadow = bytearray(flash.peek(0, flash.size))
        self.dead = False

    def _do(self, operation) -> None:
        if not self.dead:
            try:
                operation()
            except PowerCutError:
                self.dead = True

    def read(self, cfg, block, off, size):
        at = block * SECTOR + off
        return self.shadow[at : at + size]

    def prog(self, cfg, block, off, data):
        at, data = block * SECTOR + off, bytes(data)
        self._do(lambda: self.flash.program(at, data))
        self.shadow[at : at + len(data)] = bytes(map(operator.and_, self.shadow[at : at + len(data)], data))
        return 0

    def erase(self, cfg, block):
        self._do(lambda: self.flash.erase(block * SECTOR, SECTOR))
        self.shadow[block * SECTOR : (block + 1) * SECTOR] = b"\xff" * SECTOR
        return 0

    def sync(self, cfg):
        return 0


def mount(flash: NorFlash, make: bool = False) -> LittleFS:
    options = {"block_size": SECTOR, "block_count": flash.size // SECTOR, "read_size": 32, "prog_size": 32, "lookahead_size": 32}
    fs = LittleFS(context=OnFlash(flash), mount=False, cache_size=128, disk_version=0x00020000, **options)
    if make:
        fs.format()
    fs.mount()
    return fs


OLD = {"active": b"1\n", "set/1.pem": b"o" * 1500, "health": b"a" * 40}
NEW = {"active": b"2\n", "set/1.pem": b"o" * 1500, "set/2.pem": b"n" * 2300, "health": b"b" * 70}


def workload(fs: LittleFS) -> None:
    """What an update does: a new file beside the old, then two replacements by rename."""
    with fs.open("set/2.pem", "wb") as file:
        file.write(NEW["set/2.pem"])
    for name in ("health", "active"):
        with fs.open(name + ".new", "wb") as file:
            file.write(NEW[name])
        fs.rename(name + ".new", name)


def prepare(path: Path) -> bytes:
    flash = NorFlash(path, BLOCKS * SECTOR)
    fs = mount(flash, make=True)
    fs.mkdir("set")
    for name, content in OLD.items():
        with fs.open(name, "wb") as file:
            file.write(content)
    fs.unmount()
    image = flash.peek(0, flash.size)
    flash.close()
    return image


def check(flash: NorFlash, where: str) -> None:
    fs = mount(flash)
    for name in ("active", "health"):
        with fs.open(name, "rb") as file:
            content = file.read()
        assert content in (OLD[name], NEW[name]), f"{where}: {name} is {content[:20]!r}"
    with fs.open("set/1.pem", "rb") as file:
        assert file.read() == OLD["set/1.pem"], where
    with fs.open("active", "rb") as file:
        if file.read() == NEW["active"]:
            for name in ("set/2.pem", "health"):
                with fs.open(name, "rb") as other:
                    assert other.read() == NEW[name], f"{where}: committed, but {name} is not there"
    fs.unmount()


def test_a_thousand_power_cuts_leave_old_or_new_content(tmp_path, record_property):
    """Every flash operation of the workload, with many tears each; old or new content after each, never anything else."""
    image = prepare(tmp_path / "base")
    flash = NorFlash(tmp_path / "flash.bin", BLOCKS * SECTOR)
    flash.load(image)
    fs = mount(flash)
    before = flash.counters.operations
    workload(fs)
    operations = flash.counters.operations - before
    cuts = 0
    seeds = -(-1000 // operations)
    for seed in range(seeds):
        for operation in range(operations):
            flash.load(image)
            fs = mount(flash)
            device = fs.context
            flash.cut_after = operation
            flash.tear.seed(seed * 100003 + operation)
            workload(fs)
            cuts += device.dead
            flash.cut_after = None
            check(flash, f"operation {operation}, seed {seed}")
    flash.close()
    record_property("cuts", cuts)
    print(f"{cuts} power cuts over {operations} flash operations, {seeds} tears each: every one left old or new content")
    assert cuts >= 1000


# --- on the board ------------------------------------------------------------------------------------------------------

UPDATE = """
import os
def put(n, c):
    with open(n + '.new', 'w') as f: f.write(c)
    os.rename(n + '.new', n)
put('b', 'B' * {n})
put('active', {mark!r})
"""


def test_power_cuts_on_the_running_board(virtual_board):
    """The same through MicroPython's own littlefs: restore, power on, write, cut, power on, look."""
    board = virtual_board
    link = repl(board.pty)
    link.run(UPDATE.format(n=500, mark="old"))
    board.power_off()
    board.snapshot()
    board.power_on()
    link.enter()
    board.clear_counters()
    link.run(UPDATE.format(n=900, mark="new"))
    counters = board.counters()
    operations = counters["flash_programs"] + counters["flash_erases"]
    assert operations > 5
    for operation in range(operations):
        board.power_off()
        board.restore()
        board.power_on()
        link.enter()
        board.cut(operation, seed=operation)
        link.port.write(UPDATE.format(n=900, mark="new").encode() + b"\x04")
        assert board.wait("off", 10), f"no cut at operation {operation}"
        board.power_on()
        link.enter()
        state = link.run("print(open('active').read(), len(open('b').read()))").strip()
        assert state in ("old 500", "old 900", "new 900"), f"operation {operation}: {state}"
    link.close()


def test_counters_name_each_block_that_was_erased(virtual_board):
    link = repl(virtual_board.pty)
    virtual_board.clear_counters()
    link.run("import esp\nesp.flash_erase(0x3ff)\nesp.flash_erase(0x3ff)\nesp.flash_write(0x3ff000, b'x' * 300)")
    counters = virtual_board.counters()
    assert counters["erases_per_block"] == {"1023": 2}
    assert (counters["flash_erases"], counters["flash_programs"], counters["flash_program_bytes"]) == (2, 2, 300)
    link.close()


def test_a_worn_block_is_avoided(virtual_board):
    """littlefs verifies what it programs: a sector that no longer erases must not lose data."""
    link = repl(virtual_board.pty)
    for sector in range(516, 540):
        virtual_board.inject(f"worn={sector}")
    link.run("for i in range(12):\n  f = open('w%d' % i, 'w'); f.write(str(i) * 3000); f.close()")
    link.run("for i in range(12):\n  assert open('w%d' % i).read() == str(i) * 3000")
    link.close()


def test_flash_timing_slows_writes(make_virtual_board):
    board = make_virtual_board(paced=False, flash_timing="typical")
    link = repl(board.pty)
    code = (
        "import time, esp\nt = time.ticks_ms()\nesp.flash_erase(0x3ff)\nesp.flash_write(0x3ff000, b'x' * 1024)\nprint(time.ticks_ms() - t)"
    )
    milliseconds = int(link.run(code))
    assert 47 <= milliseconds < 2000  # 45 ms to erase, 4 pages of 0.7 ms
    link.close()
