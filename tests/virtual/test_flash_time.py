"""The flash takes the board's time: each read by the chip, pages and sectors by the profile, and what was charged has passed."""

from __future__ import annotations

import pytest

from provisioning.chips import CHIPS
from provisioning.chips.flash_reads import ReadCost
from provisioning.virtual.nor_flash import PROFILES, FlashTiming
from tests.virtual.board_io import repl

SLACK = 0.001  # s that the board may be in debt or in credit: hooks.c

READS = """
import esp, utime as time
buf = bytearray({size})
t = time.ticks_us()
for i in range({count}):
    esp.flash_read(0x1000, buf)
print(time.ticks_diff(time.ticks_us(), t))
"""


@pytest.mark.parametrize(
    ("chip", "rate_4", "rate_2k"),
    [
        ("esp32", 35_200, 6_650_000),
        ("esp32s3", 35_200, 6_650_000),
        ("esp32s2", 249_000, 11_480_000),
        ("esp32c3", 183_000, 6_676_000),
        ("esp32c6", 183_000, 6_676_000),
        ("esp32c2", 183_000, 6_676_000),
    ],
)
def test_reads_of_a_chip_reach_the_published_rates(chip, rate_4, rate_2k):
    cost = FlashTiming.named("typical", CHIPS[chip].played().reads).firmware
    assert 4 / cost.of(1, 4) == pytest.approx(rate_4)
    assert 2048 / cost.of(1, 2048) == pytest.approx(rate_2k)


def test_profiles_read_by_the_chip_or_all_alike():
    reads = CHIPS["esp32"].played().reads
    assert FlashTiming.named("none", reads).firmware == ReadCost()
    assert FlashTiming.named("typical", reads).firmware == FlashTiming.named("worst", reads).firmware == reads
    slow = FlashTiming.named("slow", reads)
    assert {slow.program, slow.erase, slow.erase_block, slow.firmware.of(1, 4096)} == {0.02}


@pytest.mark.parametrize(
    ("chip", "timing", "size", "count"),
    [
        ("esp32", "typical", 4, 1000),
        ("esp32", "worst", 2048, 300),
        ("esp32c3", "typical", 4, 2000),
        ("esp32c3", "typical", 2048, 300),
        ("esp32", "slow", 16, 8),
    ],
)
def test_what_reads_cost_has_passed_on_the_board(make_virtual_board, chip, timing, size, count):
    """Not less than the cost, to a millisecond, and on an idle computer not much more: the smallest of a few runs is looked at."""
    board = make_virtual_board(paced=False, chip=chip, flash_timing=timing)
    link = repl(board.pty)
    cost = FlashTiming.named(timing, CHIPS[chip].played().reads).firmware.of(count, count * size)
    found = []
    for _ in range(5):
        board.clear_counters()
        found.append(int(link.run(READS.format(size=size, count=count))) / 1e6)
        counters = board.counters()
        assert (counters["flash_reads"], counters["flash_read_bytes"]) == (count, count * size)
        assert counters["flash_seconds"] == pytest.approx(cost, rel=0.01)
    link.close()
    assert min(found) >= cost - SLACK
    assert min(found) <= 1.5 * cost + 0.01


def test_an_ideal_flash_costs_nothing(virtual_board):
    link = repl(virtual_board.pty)
    link.run("open('x', 'w').write('x' * 5000)\nopen('x').read()")
    counters = virtual_board.counters()
    assert counters["flash_reads"] > 0
    assert counters["flash_programs"] > 0
    assert counters["flash_seconds"] == 0
    link.close()


def test_the_seconds_are_those_of_all_operations(make_virtual_board):
    """Reads are charged by the interpreter, pages and sectors by the hardware: one counter for both, and the file system pays for all."""
    board = make_virtual_board(paced=False, flash_timing="typical")
    link = repl(board.pty)
    board.clear_counters()
    milliseconds = int(
        link.run(
            "import utime as time\nt = time.ticks_ms()\nf = open('x', 'w')\nf.write('x' * 9000)\nf.close()\nprint(time.ticks_ms() - t)"
        )
    )
    link.close()
    counters = board.counters()
    timing = FlashTiming.named("typical", CHIPS["esp32"].played().reads)
    cost = timing.firmware.of(counters["flash_reads"], counters["flash_read_bytes"])
    cost += timing.program * counters["flash_programs"] + timing.erase * counters["flash_erases"]
    assert counters["flash_erases"] >= 3
    assert counters["flash_reads"] > 10
    assert counters["flash_seconds"] == pytest.approx(cost, rel=0.01)
    assert milliseconds / 1000 >= cost - SLACK - 0.001


def test_an_interrupt_does_not_shorten_a_read(make_virtual_board):
    board = make_virtual_board(paced=False, flash_timing="slow")
    link = repl(board.pty)
    board.clear_counters()
    link.port.write(b"import esp, utime as time\nb = bytearray(4)\nt = time.ticks_ms()\nprint('go')\n")
    link.port.write(b"try:\n    while True: esp.flash_read(0, b)\nexcept KeyboardInterrupt: print('took', time.ticks_ms() - t)\n\x04")
    link.until(b"go\r\n")
    assert board.counters()["flash_reads"] < 50
    link.port.write(b"\x03")
    milliseconds = int(link.until(b"\x04>").partition(b"took ")[2].split()[0])
    link.close()
    reads = board.counters()["flash_reads"]
    assert reads >= 1
    assert milliseconds >= 20 * reads - 1


@pytest.mark.parametrize(("timing", "least"), [("none", 0), ("slow", 1000)])
def test_nothing_leaves_the_ring_during_flash_reads(make_virtual_board, timing, least):
    """The ring overflows as on hardware: a program that does nothing but read the flash takes in what it can, and no computer is blamed."""
    board = make_virtual_board(flash_timing=timing)
    link = repl(board.pty)
    code = "import esp, sys, micropython\nb = bytearray(4)\nmicropython.kbd_intr(-1)\nprint('go')\n"
    code += "for i in range(20): esp.flash_read(0, b)\nprint('done')\nn = 0\nwhile sys.stdin.buffer.read(1) != b'!': n += 1\n"
    link.port.write(code.encode() + b"micropython.kbd_intr(3)\nprint('got', n)\n\x04")
    said = link.until(b"go\r\n")
    link.port.write(b"x" * 2500)
    if b"done" not in said:
        link.until(b"done\r\n")
    link.port.write(b"!")
    got = int(link.until(b"\x04>").partition(b"got ")[2].split()[0])
    link.close()
    assert board.counters()["dropped"] >= least
    assert got <= 2500 - least


def test_the_profiles_are_those_of_the_option():
    assert list(PROFILES) == ["none", "typical", "worst", "slow"]


IMPORTED = ("os", "time", "machine", "socket", "platform", "json", "hashlib", "select", "struct", "binascii", "io", "random", "re")
FREE = ("sys", "vfs", "gc", "micropython", "network", "esp", "esp32", "deflate", "tls", "uos", "utime", "umachine", "usocket", "ujson")


def test_an_import_of_a_built_in_module_looks_for_a_file_first(virtual_board):
    """Each time, in the root folder and in /lib, as MP_REGISTER_EXTENSIBLE_MODULE has it; the u names and the others do not."""
    link = repl(virtual_board.pty)
    for names, looks in ((IMPORTED, True), (FREE, False)):
        for name in names:
            virtual_board.clear_counters()
            link.run(f"import {name}\nimport {name}")
            reads = virtual_board.counters()["flash_reads"]
            assert (reads >= 20) == looks, (name, reads)
            assert looks or reads == 0, (name, reads)
    assert link.run("import os, uos, machine, umachine\nprint(os is uos, machine is umachine)").strip() == "True True"
    link.run("f = open('time.py', 'w')\nf.write('mine = 1')\nf.close()")
    assert link.run("import time, utime\nprint(time.mine, hasattr(utime, 'ticks_ms'))").strip() == "1 True"
    link.close()
