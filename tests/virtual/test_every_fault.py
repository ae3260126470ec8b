"""Every fault does what its row in the table says, set from Python and set from the command line on a board that runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from provisioning.virtual.faults import FAULTS
from tests.virtual.board_io import Repl, repl

SECTOR = 0x3F0000 // 4096  # in the file system's partition, far from what a few small files use
WORN = (
    f"import esp\nesp.flash_write({SECTOR * 4096}, bytes(64))\nesp.flash_erase({SECTOR})\n"
    f"b = bytearray(64)\nesp.flash_read({SECTOR * 4096}, b)\nprint(b == b'\\xff' * 64)"
)
YEAR = "import time; print(time.gmtime()[0])"
STATION = (
    "import network, time\nw = network.WLAN()\nw.active(True)\nw.connect('net', 'secret')\n"
    "for i in range(100):\n  if w.status() != 1001: break\n  time.sleep_ms(50)\nprint(w.status())"
)


def by_python(board, fault: str) -> None:
    board.inject(fault) if fault != "heal" else board.heal()


def by_command(board, fault: str) -> None:
    command = [sys.executable, "-m", "provisioning.virtual", "--state", str(board.state), "--json", "--inject", fault]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "pass"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    from provisioning.virtual import VirtualBoard

    with VirtualBoard(paced=False, state=tmp_path_factory.mktemp("board"), link="pty") as board:
        yield board


@pytest.fixture(params=[by_python, by_command], ids=["python", "command"])
def set_fault(request, running):
    """Sets a fault on the running board; afterwards the board is healthy again."""
    yield lambda fault: request.param(running, fault)
    request.param(running, "heal")
    running.power_off()
    running.power_on()


@pytest.fixture
def link(running, set_fault):
    link = repl(running.pty)
    yield link
    link.close()


def after_power_cycle(board, code: str) -> str:
    board.power_off()
    board.power_on()
    link = repl(board.pty)
    try:
        return link.run(code).strip()
    finally:
        link.close()


def drop(board, link, set_fault):
    set_fault("drop@6:in")
    assert link.run("print(123)") == "23\r\n"
    set_fault("drop=1:in")
    link.port.write(b"print(1)\x04")
    assert link.port.read(10) == b""


def duplicate(board, link, set_fault):
    set_fault("duplicate@6:in")
    assert link.run("print(123)") == "1123\r\n"
    set_fault("duplicate=1:out")
    link.port.write(b"print(1)\x04")
    assert link.until(b"\x04\x04>>").startswith(b"OOKK11\r\r\n\n")


def flip(board, link, set_fault):
    set_fault("flip@2:out")
    link.port.write(b"print(0)\x04")
    got = link.until(b"\x04\x04>")
    assert len(got) == len(b"OK0\r\n\x04\x04>")
    assert bin(got[2] ^ ord("0")).count("1") == 1
    assert got[:2] + got[3:] == b"OK\r\n\x04\x04>"
    set_fault("flip=1:out")
    link.port.write(b"print(0)\x04")
    got = link.port.read(8)
    assert all(bin(a ^ b).count("1") == 1 for a, b in zip(got, b"OK0\r\n\x04\x04>", strict=True))


def stuck(board, link, set_fault):
    set_fault("stuck")
    link.port.write(b"print(1)\x04")
    assert link.port.read(10) == b""
    board.reset()
    link.enter()
    set_fault("stuck@3:in")
    link.port.write(b"print(1)\x04")
    assert link.port.read(10) == b""


def reset(board, link, set_fault):
    set_fault("reset")
    link.until(b">>> ")
    link.enter()
    set_fault("reset@500:in")
    link.port.write(b"x = '" + b"a" * 1000)
    assert b"POWERON_RESET" in link.until(b">>> ")


def cut(board, link, set_fault):
    set_fault("cut@5:in")
    link.port.write(b"print(1)\x04")
    assert board.wait("off", 5)
    board.power_on()
    set_fault("cut")
    assert not board.powered


def cut_op(board, link, set_fault):
    set_fault("cut-op=0")
    link.port.write(b"import esp; esp.flash_erase(%d)\x04" % SECTOR)
    assert board.wait("off", 5)


def worn(board, link, set_fault):
    assert link.run(WORN) == "True\r\n"
    set_fault(f"worn={SECTOR}")
    assert link.run(WORN) == "False\r\n"
    set_fault("heal")
    assert link.run(WORN) == "True\r\n"


def full(board, link, set_fault):
    set_fault("full")
    link.enter()  # the board was reset
    assert "28" in link.error("with open('more', 'wb') as f: f.write(bytes(16384))")


def heap(board, link, set_fault):
    set_fault("heap=60K")
    board.reset()
    link.enter()
    assert "MemoryError" in link.error("a = bytearray(50000)")
    set_fault("heal")
    board.reset()
    link.enter()
    assert link.run("a = bytearray(50000); print(len(a))") == "50000\r\n"


def clock(board, link, set_fault):
    set_fault("clock=host")
    today = int(after_power_cycle(board, YEAR))
    assert today > 2024
    set_fault("clock=host+3650d")
    assert int(after_power_cycle(board, YEAR)) in (today + 9, today + 10)
    set_fault("clock=2000")
    assert after_power_cycle(board, YEAR) == "2000"


def wifi(board, link, set_fault):
    for word, status in {"no-ap": "201", "wrong-password": "202", "up": "1010"}.items():
        set_fault(f"wifi={word}")
        assert link.run(STATION).strip() == status
    set_fault("wifi=down")
    assert link.run("print(w.isconnected())") == "False\r\n"


def held(board, link, set_fault):
    set_fault("held")
    # Whether OK is a packet of its own is chance, and so is whether a busy computer makes one packet of the rest.
    for length in (58, 59, 60, 61, 62, *(59, 61) * 50):
        answer = b"OK" + b"x" * length + b"\x04\x04>"
        link.port.write(b"print('x'*%d, end='')\x04" % length)
        got = link.port.read(len(answer))
        if got != answer:
            break
    assert got in (b"", b"OK") and length in (59, 61)
    link.port.write(b"print(1)\x04")
    assert got + link.until(b"1\r\n\x04\x04>") == answer + b"OK1\r\n\x04\x04>"


def boot(board, link, set_fault):
    set_fault("boot=400")
    board.reset()
    began = time.monotonic()
    link.until(b"entry 0x")
    link.until(b">>> ")
    assert 0.4 <= time.monotonic() - began < 2.0
    set_fault("heal")
    board.reset()
    began = time.monotonic()
    link.until(b">>> ")
    assert time.monotonic() - began < 0.4


def no_raw_paste(board, link, set_fault):
    """Asked for raw paste mode, the prompt answers as MicroPython before 1.14: with a new raw prompt, whose first letter is an R."""
    link.port.write(b"\r\x01")
    link.until(b"raw REPL; CTRL-B to exit\r\n>")
    link.port.write(b"\x05A\x01")
    link.until(b"R\x01")
    link.port.write(b"\x04")
    link.until(b"\x04")
    set_fault("no-raw-paste")
    link.port.write(b"\x05A\x01")
    link.until(b"raw REPL; CTRL-B to exit\r\n>")


CHECKS = {check.__name__.replace("_", "-"): check for check in (
    drop, duplicate, flip, stuck, reset, cut, cut_op, worn, full, heap, clock, wifi, held, boot, no_raw_paste,
)}  # fmt: skip


def test_every_fault_has_a_check():
    assert set(CHECKS) == set(FAULTS)


@pytest.mark.parametrize("fault", CHECKS)
def test_a_fault_does_what_it_says(running, link, set_fault, fault):
    CHECKS[fault](running, link, set_fault)


@pytest.mark.parametrize("unplug", [lambda board: board.unplug(), lambda board: by_command(board, "unplug")], ids=["python", "command"])
def test_the_port_goes_and_comes_back_by_another_name(running, unplug):
    link = repl(running.pty)
    link.run("kept = 42")
    old = running.pty, running.rfc2217
    unplug(running)
    with pytest.raises(OSError):
        Repl(old[0])
    link.close()
    running.plug()
    assert running.pty != old[0]
    assert running.rfc2217 != old[1]
    link = Repl(running.pty)
    link.port.write(b"print(kept)\x04")
    assert b"42" in link.until(b"\x04>")
    link.close()
