"""The station or the board is wrong: one sentence with the next step, the right exit code, no traceback, nothing written."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provisioning.virtual import VirtualBoard
from tests.acceptance.place import DEVICE, REPORT_FIELDS, Place, Run, flash_state
from tests.flash import products

# What `update`, `verify` and `rollback` have in common: a port, and the board behind it.
COMMANDS = {
    "update": ("update", "{product}", "--device", DEVICE),
    "verify": ("verify",),
    "rollback": ("rollback",),
}


def refused(made: Run, exit_code: int, code: str, *says: str) -> None:
    """The run ended as it must when the board or the station is wrong, with all that a report has."""
    sentence, step = made.complaint()
    report = made.report
    assert report.keys() >= REPORT_FIELDS
    assert (made.exit_code, report["outcome"], report["code"]) == (exit_code, "fail" if exit_code == 1 else "error", code), sentence
    assert (report["message"], report["hint"], report["written"]) == (sentence, step, [])
    for word in says:
        assert word in f"{sentence} {step}", f"{word!r} is in neither {sentence!r} nor {step!r}"


def run(place: Place, command: str, *more: str) -> Run:
    arguments = [part.format(product=place.product) for part in COMMANDS[command]]
    return place.run(*arguments, "--json", *more)


@pytest.fixture
def unchanged(place: Place) -> Iterator[None]:
    before = place.files()
    yield
    assert place.files() == before


MISSING = [
    ("update", "/dev/ttyUSB-not-there"),
    ("update", "COM250"),
    ("update", "rfc2217://127.0.0.1:1"),
    ("verify", "socket://127.0.0.1:1"),
    ("rollback", "/dev/ttyUSB-not-there"),
]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("command", "port"), MISSING)
def test_a_port_that_does_not_exist(place: Place, command: str, port: str) -> None:
    refused(run(place, command, "--port", port), 3, "port-not-found", port)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("port", "exit_code", "code"),
    [("usb:NO-SUCH-SERIAL", 3, "no-board"), ("mac:24:0a:c4:00:00:01", 3, "no-board"), ("spi://bus", 2, "bad-port")],
)
def test_a_port_word_that_means_nothing(place: Place, port: str, exit_code: int, code: str) -> None:
    refused(run(place, "update", "--port", port), exit_code, code)


@pytest.mark.usefixtures("unchanged")
def test_no_port_at_all(place: Place) -> None:
    refused(run(place, "update"), 2, "no-port", "--port", "TWINROOT_PORT")


HOLD = """import sys, serial
with serial.Serial(sys.argv[1], exclusive=True):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(port: str) -> Iterator[None]:
    """Another process has `port` open, as a serial monitor does."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin is not None and holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        holder.communicate()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_port_that_another_program_uses(place: Place, board: VirtualBoard, command: str) -> None:
    there, here = flash_state(board), place.files()
    with held(board.pty):
        made = run(place, command, "--port", board.pty)
    refused(made, 3, "port-busy", board.pty, "(pid ")
    assert (flash_state(board), place.files()) == (there, here)


def _off(board: VirtualBoard) -> None:
    board.power_off()


def _stuck(board: VirtualBoard) -> None:
    board.inject("stuck")


@pytest.mark.parametrize(("command", "wrong"), [("update", _off), ("verify", _stuck), ("rollback", _off)], ids=["off", "stuck", "rollback"])
def test_a_board_that_does_not_answer(place: Place, board: VirtualBoard, command: str, wrong: object) -> None:
    assert callable(wrong)
    wrong(board)
    there, here = flash_state(board), place.files()
    made = run(place, command, "--port", board.pty)
    refused(made, 1, "board-silent", board.pty, "RESET")
    assert (flash_state(board), place.files()) == (there, here)


def test_a_board_without_a_set_has_nothing_to_verify_and_nothing_to_go_back_to(place: Place, board: VirtualBoard) -> None:
    there, here = flash_state(board), place.files()
    refused(run(place, "verify", "--port", board.pty), 1, "no-package", "twinroot update")
    refused(run(place, "rollback", "--port", board.pty), 1, "no-set", "twinroot update")
    assert (flash_state(board), place.files()) == (there, here)


def test_another_chip(place: Place, board: VirtualBoard) -> None:
    place.change("virtual-esp32", "esp32-s3")
    there, here = flash_state(board), place.files()
    refused(run(place, "update", "--port", board.pty), 1, "wrong-chip", "esp32s3")
    assert (flash_state(board), place.files()) == (there, here)


# One file of 48 kB after the other: littlefs takes back a file whose last write found no space.
FILL = """
import os
block = bytes(4096)
try:
    for number in range(1000):
        with open('/fill%d' % number, 'wb') as file:
            for _ in range(12):
                file.write(block)
except OSError:
    os.remove('/fill%d' % number)
free = os.statvfs('/')[3]
with open('/last', 'wb') as file:
    for _ in range(free - 6):
        file.write(block)
"""


def test_a_file_system_without_space(place: Place, board: VirtualBoard) -> None:
    subprocess.run([sys.executable, "-m", "mpremote", "connect", board.pty, "exec", FILL], check=True, timeout=60)
    there, here = flash_state(board), place.files()
    refused(run(place, "update", "--port", board.pty), 1, "flash-full", board.pty)
    assert (flash_state(board), place.files()) == (there, here)


@pytest.mark.parametrize(("chip", "size", "code"), [("esp32s3", None, "wrong-chip"), (None, "2MB", "flash-too-small")])
def test_a_blank_board_that_is_not_the_products(tmp_path: Path, place: Place, chip: str | None, size: str | None, code: str) -> None:
    """`flash` asks the ROM loader, before the first write."""
    made = products.make(tmp_path / "flash")
    place.environment |= {name: made.environment()[name] for name in ("TWINROOT_CACHE", "TWINROOT_LEDGER")}
    with VirtualBoard(paced=False, blank=True, chip=chip, flash_size=size) as board:
        there = flash_state(board)
        done = place.run("flash", made.product, "--devices", made.devices, "--port", board.port, "--json")
        refused(done, 1, code)
        assert flash_state(board) == there
    assert not [path for path in made.folder.rglob("*") if path.name.startswith("ws-0")], "a key was made for a board that was refused"


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_a_port_that_this_user_may_not_open() -> None:
    """The user nobody against a device node of root: what a user who is not in `dialout` meets."""
    code = (
        "import os, sys, serial, socket\nimport provisioning.link.holders\n"  # nobody may not read where Python lies
        "from provisioning.link.port import open_port\nfrom provisioning.errors import StationError\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n with open_port(sys.argv[1]): pass\nexcept StationError as e: print(e.code)"
    )
    # Not under pytest's own folder, which only its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        node = Path(folder) / "ttyS"
        try:
            os.mknod(node, 0o600 | 0o020000, os.makedev(5, 2))  # /dev/ptmx: a terminal that everybody has
        except PermissionError:
            pytest.skip("this container may not make device nodes")
        done = subprocess.run([sys.executable, "-c", code, str(node)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "port-denied", done.stderr
