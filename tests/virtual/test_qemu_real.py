"""The engine qemu with a real QEMU and a real image: TWINROOT_QEMU names the folder, TWINROOT_QEMU_FIRMWARE the images, split as PATH is.

Collected only where they are set (conftest.py); `make silicon` is the whole matrix.
"""

from __future__ import annotations

import json
import os

import pytest
import serial

from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.virtual import VirtualBoard

IMAGES = os.environ.get("TWINROOT_QEMU_FIRMWARE", "").split(os.pathsep)
if not (IMAGES[0] and os.environ.get("TWINROOT_QEMU")):
    raise pytest.UsageError("These tests need TWINROOT_QEMU=DIR and TWINROOT_QEMU_FIRMWARE=FILE")
BOOT = 90.0  # s
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(params=IMAGES)
def board(request, tmp_path):
    with VirtualBoard(engine="qemu", qemu=os.environ["TWINROOT_QEMU"], firmware=request.param, state=tmp_path / "s") as vb:
        prompt(vb)
        yield vb


def prompt(vb):
    with open_port(vb.pty) as wire:
        wire.write(b"\r")
        assert wire.until(b">>> ", BOOT).endswith(b">>> "), vb.log()[-400:]


def ask(vb, code):
    with open_port(vb.pty) as wire:
        repl = RawRepl(wire)
        repl.enter()
        answer = json.loads(repl.run(f"import json, machine, sys, os\nprint(json.dumps({code}))").decode().splitlines()[-1])
        repl.leave()
    return answer


def test_the_firmware_of_the_image_runs_with_the_boards_mac(board):
    mac, machine = ask(board, "[machine.unique_id().hex(), sys.implementation._machine]")
    assert mac == board.mac.replace(":", "")
    assert board.info["chip"].upper() in machine


def test_files_survive_the_end_of_the_process(board):
    assert ask(board, "open('kept', 'w').write('x' * 5000)") == 5000
    board.kill()
    board.restart()
    prompt(board)
    assert ask(board, "os.stat('kept')[6]") == 5000


def test_the_lines_lead_into_the_rom_loader_and_out(board):
    with serial.serial_for_url(board.rfc2217, 115200, timeout=BOOT) as port:
        for dtr, mark in ((True, b"waiting for download"), (False, b">>> ")):
            port.dtr, port.rts = False, True
            port.dtr = dtr
            port.rts = False
            assert mark in port.read_until(mark)


def test_a_reset_of_the_chips_own_is_seen(board):
    before = board.counters()["boots"]
    with open_port(board.pty) as wire:
        wire.write(b"import machine; machine.reset()\r")
        assert board.wait("boot", BOOT)
    assert board.counters()["boots"] == before + 1
