"""From reset to the prompt: what ROM and boot loader accept, and what they print about what they do not."""

from __future__ import annotations

import time

import pytest

from provisioning.chips import CHIPS, VIRTUAL
from provisioning.virtual import boot_image, partition
from provisioning.virtual.bootrom import examine
from provisioning.virtual.nor_flash import SECTOR, NorFlash
from tests.support import littlefs_image
from tests.virtual.board_io import Repl, repl

PROMPT = b">>> "
MB = 1 << 20


@pytest.fixture(params=sorted(VIRTUAL))
def chip(request):
    return CHIPS[request.param]


@pytest.fixture
def flash(tmp_path):
    flash = NorFlash(tmp_path / "flash.bin", 4 * MB)
    yield flash
    flash.close()


def write(flash, parts):
    for offset, content in parts.items():
        flash.load(content, offset)


def test_a_blank_chip_finds_nothing(chip, flash):
    verdict = examine(chip, flash)
    assert not verdict.boots
    assert "invalid header: 0xffffffff\r\n" in verdict.text


def test_the_stand_in_boots_on_its_chip(chip, flash):
    write(flash, boot_image.stand_in(chip, flash.size))
    assert examine(chip, flash).boots


def test_one_file_as_it_is_downloaded_boots_too(chip, flash):
    flash.load(boot_image.firmware(chip, flash.size), chip.boot_offset)
    assert examine(chip, flash).boots


def test_an_image_for_another_chip_does_not_boot(chip, flash):
    other = CHIPS["esp32c3" if chip.name == "esp32" else "esp32"]
    parts = boot_image.stand_in(other, flash.size)
    flash.load(parts[other.boot_offset], chip.boot_offset)
    write(flash, {offset: content for offset, content in parts.items() if offset >= 0x8000})
    assert "mismatch chip ID" in examine(chip, flash).text


@pytest.mark.parametrize("where", ["loader", "table", "app"])
def test_any_flipped_bit_in_what_boots_is_found(flash, where):
    chip = CHIPS["esp32"]
    parts = boot_image.stand_in(chip, flash.size)
    offset = {"loader": chip.boot_offset, "table": partition.TABLE_OFFSET, "app": 0x10000}[where]
    used = len(parts[offset]) if where != "table" else 5 * 32
    # The ROM checks the boot loader's checksum but not its hash, and neither covers every bit of its header.
    first = 32 if where == "loader" else 0
    last = used - 49 if where == "loader" else used  # hash, checksum and padding
    for at in range(first, last, max(1, (last - first) // 60)):
        write(flash, parts)
        flash.load(bytes([parts[offset][at] ^ 0x10]), offset + at)
        assert not examine(chip, flash).boots, f"byte {at} of the {where}"


@pytest.mark.parametrize("size", [4, 8, 16])
def test_flash_sizes(tmp_path, size):
    flash = NorFlash(tmp_path / "f", size * MB)
    write(flash, boot_image.stand_in(CHIPS["esp32"], size * MB))
    assert examine(CHIPS["esp32"], flash).boots
    flash.close()


def test_a_partition_behind_the_end_of_flash_is_refused(flash):
    parts = boot_image.stand_in(CHIPS["esp32"], 8 * MB)
    write(flash, parts)
    text = examine(CHIPS["esp32"], flash).text
    assert "exceeds flash chip size 0x400000" in text


def test_a_table_survives_encoding():
    rows = partition.standard(4 * MB)
    assert partition.decode(partition.encode(rows)) == rows
    with pytest.raises(ValueError, match="MD5"):
        partition.decode(partition.encode(rows).replace(b"vfs", b"vfz"))


# --- on the running board -----------------------------------------------------------------------------------------------


def test_a_blank_board_loops(make_virtual_board):
    board = make_virtual_board(blank=True, paced=False)
    link = Repl(board.pty)
    got = link.until(b"RTCWDT_RTC_RESET")
    got += link.until(b"RTCWDT_RTC_RESET")
    assert b"invalid header: 0xffffffff" in got
    link.close()


def test_damage_to_the_application_stops_the_next_boot_and_repair_heals_it(make_virtual_board):
    board = make_virtual_board(paced=False)
    link = repl(board.pty)
    good = board.read_flash(0x11000, 16)
    board.load_flash(0x11000, bytes(16))
    board.reset()
    assert b"boot: Factory app partition is not bootable" in link.until(b"No bootable app partitions")
    board.load_flash(0x11000, good)
    link.until(PROMPT)
    link.close()


def test_a_file_system_in_the_image_is_the_boards(make_virtual_board):
    """What a flashing tool writes to the partition is what MicroPython mounts."""
    board = make_virtual_board(paced=False)
    board.power_off()
    board.load_flash(0x200000, littlefs_image.made({"/hello.txt": b"from outside"}, 2 * MB // SECTOR))
    board.power_on()
    link = repl(board.pty)
    assert link.run("import os; print(os.listdir(), open('hello.txt').read())") == "['hello.txt'] from outside\r\n"
    link.close()


def test_a_corrupt_file_system_is_not_formatted(make_virtual_board):
    board = make_virtual_board(paced=False)
    board.power_off()
    board.load_flash(0x200000, b"\x5a" * 8192)
    board.power_on()
    link = Repl(board.pty)
    board.reset()
    link.until(b"filesystem appears to be corrupted")
    assert board.read_flash(0x200000, 8192) == b"\x5a" * 8192
    link.close()


def test_other_chips_boot_with_their_own_name(make_virtual_board, chip):
    board = make_virtual_board(paced=False, chip=chip.name)
    link = repl(board.pty)
    assert chip.title in link.run("import os; print(os.uname().machine)")
    link.close()


def test_a_control_c_during_the_first_start_hits_nothing_later(make_virtual_board):
    """It is put off until the start is over; what the host sends after it waits for it."""
    board = make_virtual_board(paced=False, flash_timing="typical")
    for i in range(10):
        board.power_off()
        board.load_flash(0x200000, b"\xff" * 0x200000)
        board.power_on()  # formats, which takes more than 90 ms
        time.sleep(i / 100)
        link = repl(board.pty)
        assert link.run("import time\nfor i in range(20): time.sleep_ms(1)\nprint('whole')") == "whole\r\n"
        link.close()
