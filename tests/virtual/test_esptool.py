"""esptool as people run it, at the usual rates: through RFC 2217 with its own reset of the board, and at a pseudo-terminal, which has no
reset lines, to a chip that is in its loader already. There a command takes a second; pyserial's RFC 2217 client makes that twenty."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time

import pytest
import serial

from provisioning.chips import CHIPS, VIRTUAL
from provisioning.virtual import boot_image
from tests.virtual.board_io import Repl

AT_THE_LOADER = ("--before", "no-reset", "--after", "no-reset")


def esptool(port: str, *arguments: str, chip: str = "auto", rate: int = 115200, fails: bool = False) -> str:
    command = [sys.executable, "-m", "esptool", "--chip", chip, "--port", port, "--baud", str(rate), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def in_loader(board, *arguments: str, **options) -> str:
    """The same for a chip that its reset has led into the loader."""
    board.reset(boot=True)
    return esptool(board.pty, *AT_THE_LOADER, *arguments, **options)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    from provisioning.virtual import VirtualBoard

    with VirtualBoard(link="rfc2217") as board:
        yield board


SHORT = ("esp32", "esp32c3")


@pytest.mark.parametrize("chip", [chip if chip in SHORT else pytest.param(chip, marks=pytest.mark.long) for chip in sorted(VIRTUAL)])
def test_every_chip_says_who_it_is(make_virtual_board, chip):
    board = make_virtual_board(chip=chip, paced=False)
    text = esptool(board.port, "flash-id") if chip == "esp32" else in_loader(board, "flash-id")
    assert board.mac in text.lower()
    assert "Detected flash size: 4MB" in text
    name = {"esp32": "ESP32-D0WD-V3"}.get(chip, f"ESP32-{chip[5:].upper()}")
    assert re.search(rf"Chip type:\s+{name}", text), text


@pytest.mark.parametrize("rate", [115200, pytest.param(460800, marks=pytest.mark.long), 921600])
def test_write_verify_and_read_at_each_rate(board, tmp_path, rate):
    file = tmp_path / "data.bin"
    noise = random.Random(rate)
    words = [noise.randbytes(4) for _ in range(200)]
    data = b"".join(noise.choice(words) for _ in range(8192))
    file.write_bytes(data)
    text = in_loader(board, "write-flash", "0x300000", str(file), rate=rate)
    assert "Hash of data verified" in text
    assert ("Changing baud rate" in text) == (rate != 115200)
    assert board.read_flash(0x300000, len(data)) == data
    in_loader(board, "verify-flash", "0x300000", str(file), rate=rate)
    back = tmp_path / "back.bin"
    in_loader(board, "read-flash", "0x300000", "0x8000", str(back), rate=rate)
    assert back.read_bytes() == data


def test_diff_with_writes_only_what_changed(board, tmp_path):
    old, new = tmp_path / "old.bin", tmp_path / "new.bin"
    content = bytearray(random.Random(5).randbytes(32768))
    old.write_bytes(content)
    in_loader(board, "write-flash", "0x310000", str(old), rate=921600)
    content[20000:20010] = b"0123456789"
    new.write_bytes(content)
    board.clear_counters()
    text = in_loader(board, "write-flash", "0x310000", str(new), "--diff-with", str(old), rate=921600)
    assert "fast reflashing" in text
    counters = board.counters()
    assert list(counters["erases_per_block"]) == [str(0x314000 // 4096)]
    assert board.read_flash(0x310000, 32768) == bytes(content)


def test_erase_region(board):
    board.load_flash(0x320000, bytes(0x3000))
    in_loader(board, "erase-region", "0x321000", "0x1000")
    assert board.read_flash(0x320000, 0x3000) == bytes(0x1000) + b"\xff" * 0x1000 + bytes(0x1000)


def test_a_blank_chip_that_esptool_wrote_boots_by_itself(make_virtual_board, tmp_path):
    board = make_virtual_board(blank=True, paced=False)
    file = tmp_path / "firmware.bin"
    file.write_bytes(boot_image.firmware(CHIPS["esp32"], 4 << 20))
    esptool(board.port, "write-flash", "0x1000", str(file), chip="esp32", rate=921600)
    link = Repl(board.pty)
    link.enter()  # esptool's hard reset started it
    assert link.run("import sys; print(sys.platform)") == "esp32\r\n"
    link.close()


def test_esptools_watchdog_resets_the_chip(make_virtual_board):
    """Through the pseudo-terminal: behind RFC 2217 the chip restarts before pyserial's client is ready for the next command."""
    board = make_virtual_board(chip="esp32c3", paced=False)
    link = Repl(board.pty)
    link.enter()
    link.port.write(b"import machine; machine.bootloader()\x04")
    link.until(b"waiting for download")
    link.close()
    resets = board.counters()["resets"]
    text = esptool(board.pty, "--before", "no-reset", "--after", "watchdog-reset", "erase-region", "0x0", "0x4000")
    assert "Hard resetting with a watchdog" in text
    link = Repl(board.pty)
    assert b"RTCWDT_RTC_RST" in link.until(b"invalid header: 0xffffffff")
    assert board.counters()["resets"] > resets
    link.close()


def test_the_wrong_chip_is_noticed(board):
    assert "This chip is ESP32, not ESP32-C3" in in_loader(board, "flash-id", chip="esp32c3", fails=True)


def test_a_write_behind_the_end_fails(board, tmp_path):
    file = tmp_path / "x.bin"
    file.write_bytes(bytes(8192))
    assert "will not fit" in in_loader(board, "write-flash", "0x3ff000", str(file), fails=True)


def test_with_dead_reset_lines_there_is_no_connection(board):
    board.reset()  # a failed esptool leaves the chip in its loader
    text = esptool(board.pty, "--before", "no-reset", "--connect-attempts", "1", "flash-id", fails=True)
    assert "Failed to connect" in text


# --- the reset lines by hand ---------------------------------------------------------------------------------------------


def lines(port: str) -> serial.SerialBase:
    link = serial.serial_for_url(port, 115200, timeout=1)
    link.dtr = link.rts = False
    return link


def test_rts_alone_resets(virtual_board):
    link = lines(virtual_board.rfc2217)
    link.rts = True
    time.sleep(0.05)
    link.reset_input_buffer()
    link.rts = False
    got = link.read(80)
    assert b"rst:0x1 (POWERON_RESET),boot:0x13" in got
    link.close()


def test_io0_low_at_the_end_of_reset_enters_the_loader(virtual_board):
    link = lines(virtual_board.rfc2217)
    link.rts = True
    link.dtr = True
    link.rts = False
    link.timeout = 3
    assert b"waiting for download" in link.read_until(b"waiting for download")
    link.dtr = False
    link.close()


def test_both_lines_together_do_nothing(virtual_board):
    link = lines(virtual_board.rfc2217)
    resets = virtual_board.counters()["resets"]
    link.dtr = True
    link.rts = True
    link.rts = False
    link.dtr = False
    assert virtual_board.counters()["resets"] == resets
    link.close()


VANISHING = """
import serial, sys, time
link = serial.serial_for_url({port!r}, 115200, timeout=0.5)
link.write(b"\\r\\x03\\x03\\r\\x01kept = 42\\x04")
print(link.read(200), flush=True)
time.sleep(60)
"""


def test_a_client_that_vanishes_leaves_the_board_running(virtual_board):
    client = subprocess.Popen([sys.executable, "-c", VANISHING.format(port=virtual_board.rfc2217)], stdout=subprocess.PIPE)
    assert b"OK" in client.stdout.readline()
    client.kill()
    client.wait()
    client.stdout.close()
    for _ in range(2):  # one client after another
        link = Repl(virtual_board.rfc2217)
        link.port.write(b"print(kept)\x04")
        assert b"42\r\n" in link.until(b"\x04>")
        link.close()
