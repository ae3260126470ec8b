"""Two slots for firmware on the virtual board: what boot loader and application do with them, against what a stock boot loader did."""

from __future__ import annotations

import pytest

from provisioning.chips import CHIPS
from provisioning.virtual import boot_image
from provisioning.virtual.client import VirtualBoard
from tests.support import slot_steps
from tests.virtual.board_io import Repl, repl

BOARD = "virtual-esp32-ota"
SLOTS = (0x10000, 0x190000)
ESP32 = CHIPS["esp32"]
RUNNING = "import sys, esp32; print(esp32.Partition(esp32.Partition.RUNNING).info()[4], sys.version.split()[-1])"
SET_BOOT = "import esp32; esp32.Partition('ota_1').set_boot()"


@pytest.fixture(scope="module")
def shared():
    with VirtualBoard(board=BOARD, paced=False) as board:
        board.power_off()
        board.snapshot("clean")
        yield board


@pytest.fixture
def board(shared):
    """One board, whose whole flash each test begins anew."""
    shared.power_off()
    shared.call("uncut")
    shared.restore("clean")
    shared.power_on()
    return shared


def image(version: str, project: str = "micropython") -> bytes:
    return boot_image.application(ESP32, 4 << 20, description=boot_image.AppDescription(version, project))


class Chip:
    def __init__(self, board: VirtualBoard) -> None:
        self._board = board
        self._link: Repl | None = None

    def restart(self) -> None:
        self._board.power_off()
        if self._link:
            self._link.close()
        self._link = Repl(self._board.pty)
        self._board.power_on()
        self._link.until(b">>> ")
        self._link.enter()

    def run(self, code: str) -> str:
        assert self._link
        return self._link.run(code)

    def read(self, address: int, size: int) -> bytes:
        return self._board.read_flash(address, size)

    def load(self, address: int, data: bytes) -> None:
        self._board.power_off()
        self._board.load_flash(address, data)


def test_every_step_leaves_the_bytes_of_a_stock_boot_loader(board):
    board.power_off()
    board.load_flash(slot_steps.OTADATA, b"\xff" * 0x2000)  # it has never started
    assert slot_steps.play(Chip(board)) == []


def test_a_program_sees_which_firmware_it_runs_on(board):
    board.load_flash(SLOTS[1], image("v9.1.0"))
    link = repl(board.pty)
    assert link.run(RUNNING).startswith("ota_0 ")
    assert link.run(SET_BOOT) == ""
    board.reset()
    link.until(b">>> ")
    link.enter()
    assert link.run(RUNNING) == "ota_1 v9.1.0\r\n"
    link.close()


@pytest.mark.parametrize("project", boot_image.DOES)
def test_firmware_that_is_no_good_goes_by_itself(board, project):
    board.load_flash(SLOTS[1], image("v9.2.0", project))
    link = repl(board.pty)
    assert link.run(SET_BOOT) == ""
    board.reset()
    said = link.until(b">>> ")
    assert {"panic": b"Guru Meditation", "hang": b"RTCWDT_RTC_RESET"}[project] in said
    link.enter()
    assert link.run(RUNNING).startswith("ota_0 ")
    link.close()


def test_the_running_application_and_what_boots_it_are_not_written(board):
    link = repl(board.pty)
    for at in ("esp32.Partition(esp32.Partition.RUNNING).ioctl(6, 0)", "esp.flash_erase(8)", "esp.flash_write(0x1000, b'x')"):
        link.port.write(f"import esp, esp32; {at}\x04".encode())
        assert b"abort() was called" in link.until(b">>> ")
        link.enter()
    link.close()


@pytest.mark.parametrize("operation", range(4))
def test_power_that_goes_while_otadata_is_written_leaves_an_application_to_start(board, operation):
    """set_boot, then the first start: an erase and a write each. Torn, the entry of before is in force."""
    board.load_flash(SLOTS[1], image("v9.1.0"))
    link = repl(board.pty)
    board.cut(operation, seed=operation + 1)
    link.port.write(f"{SET_BOOT}\x04".encode())
    if operation > 1:
        link.until(b"\x04>")
        board.reset()
    assert board.wait("off", 5)
    board.power_on()
    link.until(b">>> ")
    link.enter()
    assert link.run(RUNNING).startswith("ota_0 ")
    link.close()


def test_an_image_for_another_chip_is_refused(board):
    board.load_flash(SLOTS[1], boot_image.application(CHIPS["esp32c3"], 4 << 20))
    link = repl(board.pty)
    assert "ESP_ERR_OTA_VALIDATE_FAILED" in link.error(SET_BOOT)
    link.close()
