"""What people's boards do to an update, and mpremote gets through: so does the update, and it says what held the board."""

from __future__ import annotations

import base64
import contextlib
import random
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.link.board_messages import HOLDS
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.virtual import VirtualBoard
from tests.job.conftest import Bench, blank, put, started
from tests.rescue.conftest import files_of
from tests.rescue.states import DEAF, FULL_HEAP, STATES, WATCHED

HIDING = ("json", "hashlib", "io", "binascii", "os", "struct", "machine", "time", "socket", "select", "collections", "deflate")
# A folder of a computer that is gone, as `mpremote mount` and `mpytool mount` leave it: each look at a file asks, and waits without Ctrl-C.
MOUNTED = """import sys, os, micropython, io
class Remote:
    def mount(self, ro, mkfs): pass
    def umount(self): pass
    def chdir(self, path): pass
    def getcwd(self): return '/'
    def stat(self, path):
        micropython.kbd_intr(-1)
        sys.stdout.buffer.write(bytes([0x18, 1, 0]))
        while sys.stdin.buffer.read(1)[0] != 0x18: pass
        result = sys.stdin.buffer.read(1)[0]
        micropython.kbd_intr(3)
        if result & 0x80: raise OSError(256 - result)
        return (0x8000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    def ilistdir(self, path): self.stat(path)
    def open(self, path, mode): self.stat(path)
os.mount(Remote(), '/remote')
os.chdir('/remote')
"""


def power_cycle(bench: Bench, pause: float = 0.7) -> None:
    bench.board.power_off()
    bench.board.power_on()
    time.sleep(pause)  # the program gets going; nothing tells when


def test_the_users_modules(bench: Bench) -> None:
    """Files of the user's with the names of built-in modules hide none from the code that is sent."""
    for name in HIDING:
        put(bench, f"/{name}.py", "x = 1\n")
    power_cycle(bench)
    report = update(bench.product(), bench.device, bench.port)
    assert report.outcome == "pass", report.message
    assert verify(bench.port).outcome == "pass"
    for transport in ("paste", "ampy"):
        assert update(bench.product("time: {servers: [ntp.example]}"), bench.device, bench.port, transport=transport).outcome == "pass"


def test_a_full_heap(bench: Bench) -> None:
    put(bench, "/main.py", FULL_HEAP)
    power_cycle(bench)
    report = update(bench.product(), bench.device, bench.port)
    assert report.outcome == "pass", report.message
    assert any(HOLDS["heap"] in note for note in report.notes)


@pytest.mark.parametrize("asked", [False, True], ids=["mounted", "waiting"])
def test_a_mount_that_was_left(bench: Bench, asked: bool) -> None:
    """`asked`: an import has asked the computer that is gone, and control-C is dead."""
    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        repl.run(MOUNTED)
        if asked:
            repl.run("import nothing_there", follow=False)
            assert wire.until(b"\x18\x01", 3.0).endswith(b"\x18\x01")
    began = time.monotonic()
    report = update(bench.product(), bench.device, bench.port)
    assert report.outcome == "pass", report.message
    assert time.monotonic() - began < 15.0
    if asked:
        assert any(HOLDS["mount"] in note for note in report.notes), report.notes


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    board = started(paced=True, latency_ms=1)
    try:
        yield Bench(board, tmp_path_factory.mktemp("paced"))
    finally:
        board.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("milliseconds", "size"), [(1000, 0), pytest.param(5000, 90_000, marks=pytest.mark.long)])
def test_a_watchdog_is_not_the_rate(paced: Bench, milliseconds: int, size: int) -> None:
    """The transfer takes longer than the dog waits: the report names the dog, and the rate stays."""
    blank(paced.board)
    put(paced, "/main.py", WATCHED.replace("timeout=1000", f"timeout={milliseconds}"))
    more = ""
    if size:  # of an application that deflates to no less
        (paced.folder / "app.py").write_text(f"X = '{base64.b64encode(random.Random(1).randbytes(size * 3 // 4)).decode()}'\n")
        more = "app: {main: app.py}\n"
    power_cycle(paced, 1.2)
    report = update(paced.product(more), paced.device, paced.port, max_baud=115200)
    assert report.outcome == "pass", report.message
    assert any("watchdog" in note for note in report.notes), report.notes
    assert not any("Trying again" in note for note in report.notes), report.notes


@pytest.fixture(scope="module")
def chip() -> Iterator[VirtualBoard]:
    """As slow as a chip: wire, flash, and 0.3 s from the boot loader to MicroPython. A program that starts in no time leaves no gap."""
    board = started(paced=True, latency_ms=1, flash_timing="typical")
    yield board
    board.close()


# Name of a state -> what the report says held the board, "" where the first interrupt may hit a gap; and mark.
HELD: dict[str, tuple[str, Any]] = {
    "asyncio-rerun": ("program", ()),
    "kbd-intr": ("program", ()),
    "dupterm": ("program", pytest.mark.long),
    "bare-except": ("", pytest.mark.long),
    "uart-9600": ("rate", pytest.mark.long),
    "deepsleep": ("sleep", pytest.mark.long),
}


# Ahead of what keeps a program from a word that it runs: its loop, or what takes the terminal away.
LAST_WORD = re.compile(r"^( *)(?:while True:|os\.dupterm|machine\.(?:UART|deepsleep))", re.MULTILINE)


@pytest.mark.usefixtures("brief")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", [pytest.param(name, marks=mark) for name, (_, mark) in HELD.items()])
def test_a_program_that_keeps_its_prompt(chip: VirtualBoard, tmp_path: Path, name: str) -> None:
    """With reset lines the interrupts of a boot come before what the program does about them; nothing of its own is changed."""
    blank(chip)
    bench = Bench(chip, tmp_path)
    source = LAST_WORD.sub(r"\1print('runs')\n\g<0>", next(state.files["/main.py"] for state in STATES if state.name == name), count=1)
    put(bench, "/main.py", source)
    chip.inject("boot=300")
    chip.power_off()
    with open_port(chip.pty) as wire:
        chip.power_on()
        assert wire.until(b"runs\r\n", 30.0).endswith(b"runs\r\n")
    if name == "deepsleep":
        chip.clear_counters()
        assert not chip.happens("boot", 1.0), "it sleeps for two seconds: it wakes while the update tries, and says what from"
    report = update(bench.product(), bench.device, chip.rfc2217)
    assert report.outcome == "pass", report.message
    assert not HELD[name][0] or any(HOLDS[HELD[name][0]] in note for note in report.notes), report.notes
    chip.power_off()
    assert files_of(chip)["/main.py"] == source.encode()


@pytest.mark.usefixtures("brief")
def test_what_cannot_be_had_is_said_with_the_command(bench: Bench) -> None:
    """Without reset lines nothing reaches a program that has switched control-C off."""
    put(bench, "/main.py", DEAF)
    power_cycle(bench)
    report = update(bench.product(), bench.device, bench.port)
    assert (report.outcome, report.code) == ("fail", "board-silent")
    assert "Nothing was written" in report.message and "`twinroot rescue --port PORT`" in report.hint


def test_a_server_without_reset_lines(bench: Bench) -> None:
    """A server that never answers about DTR and RTS is used all the same, and no reset is believed in."""
    with _Silent(bench.board.rfc2217) as port:
        with open_port(port) as wire:
            assert wire.reset_board() is False
        report = update(bench.product(), bench.device, port)
        assert report.outcome == "pass", report.message


class _Silent:
    """In front of an RFC 2217 server: swallows its answers about control lines (option 44, command 105)."""

    _ANSWER = b"\xff\xfa\x2c\x69"

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("rfc2217://").rpartition(":")
        self._to = (host, int(port))

    def __enter__(self) -> str:
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return f"rfc2217://127.0.0.1:{self._server.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            behind = socket.create_connection(self._to)
            threading.Thread(target=_pump, args=(client, behind, lambda data: data), daemon=True).start()
            threading.Thread(target=_pump, args=(behind, client, self._swallow), daemon=True).start()

    def _swallow(self, data: bytes) -> bytes:
        while (at := data.find(self._ANSWER)) >= 0:
            data = data[:at] + data[at + 7 :]  # command, value, IAC SE
        return data


def _pump(source: socket.socket, target: socket.socket, change: object) -> None:
    try:
        while data := source.recv(4096):
            target.sendall(change(data))  # type: ignore[operator]
    except OSError:
        pass
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)  # a close alone would not wake the other direction
