"""What a test does to a board does not reach the next one, on an engine that has a hand on the power and on one that has a port alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.virtual import VirtualBoard

# Each harm is a test of an inner run; after each comes a look at the board, which must be as it was at the start.
HARMS = {
    "hangs": "board.start('while True: pass')",
    "floods": "board.start('while True: print(\"x\" * 60)'); board.expect('x', timeout=5)",
    "overdue": "with pytest.raises(BoardError): board.exec('while True: print(1)', timeout=0.3)",
    "fills": "with pytest.raises(OSError, match='ENOSPC'): board.exec(FILL, timeout=60)",
    "crashes": "with pytest.raises(BoardError): board.exec('import machine;machine.reset()', timeout=5)",
    "raw": "board.exec('x = 1'); board._session.open(board.hardware.port).write(b'\\x05A\\x01print(')",
    "rate": "board.start('import machine\\nmachine.UART(0, baudrate=460800)')",
    "deaf": "board.start('import micropython\\nmicropython.kbd_intr(-1)\\nwhile True: pass')",
    "main": "(board.fs / 'main.py').write_text('while True:\\n try:\\n  while True: pass\\n except BaseException: pass\\n'); board.reset()",
    "imports": "board.exec('import sys; sys.modules[\"json\"] = 1; x = 5')",
}
POWER = {
    "off": "board.power_off()",
    "cut": 'board.power_cut(3); board.start(\'while True: open("a", "w").write("b" * 3000)\'); assert board.wait_off()',
    "gone": "board.hardware.board.kill()",
    "faulty": "board.inject('stuck')",
}
HEAD = """import pytest
from provisioning.errors import BoardError
FILL = "f=open('/fill','wb')\\nb=bytes(16384)\\nwhile True: f.write(b)"

def fine(board):
    assert board.exec("print('x' in dir())") == "False\\n"
    assert board.exec("import json; print(json.dumps([1]))") == "[1]\\n"
    assert [str(path) for path in board.fs.iterdir()] == ["/boot.py"]
    assert board.heap.free > 100_000
"""


def write(pytester: pytest.Pytester, harms: dict[str, str]) -> None:
    tests = [f"def test_{name}(board):\n    {harm}\n\ndef test_after_{name}(board):\n    fine(board)\n" for name, harm in harms.items()]
    pytester.makepyfile("\n".join([HEAD, *tests]))


@pytest.fixture
def reset_lines() -> Iterator[VirtualBoard]:
    """A board that is known by its port alone, which has reset lines."""
    with VirtualBoard() as board:
        yield board


def test_on_the_virtual_engine(pytester: pytest.Pytester) -> None:
    write(pytester, HARMS | POWER)
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=2 * len(HARMS | POWER))


@pytest.mark.parametrize(
    ("link", "names"),
    [("pty", ("hangs", "raw", "imports")), pytest.param("rfc2217", tuple(HARMS), marks=[pytest.mark.long, pytest.mark.timeout(600)])],
)
def test_on_a_port(pytester: pytest.Pytester, reset_lines: VirtualBoard, link: str, names: tuple[str, ...]) -> None:
    write(pytester, {name: HARMS[name] for name in names})
    result = pytester.runpytest_inprocess("--port", getattr(reset_lines, link))
    result.assert_outcomes(passed=2 * len(names))
    with open_port(reset_lines.pty) as wire:
        repl = RawRepl(wire)
        repl.enter()
        assert repl.value("__import__('os').listdir('/')") == ["boot.py"], "the run leaves the board as it found it"


@pytest.mark.long  # it waits out the patience of a prompt
def test_a_board_that_gives_no_prompt_fails_its_tests_and_soon(pytester: pytest.Pytester, reset_lines: VirtualBoard) -> None:
    reset_lines.inject("stuck")
    pytester.makepyfile("def test_a(board): pass\ndef test_b(board): pass\n")
    result = pytester.runpytest_subprocess("--port", reset_lines.pty)
    assert result.ret == 2 and "Traceback" not in result.stdout.str()


SLEEPER = """
import pathlib, time
def test_sleeps(boards):
    two = boards(2)
    two[0].start("while True: pass")
    pathlib.Path("ports").write_text("\\n".join(f"{b.hardware.board.pid} {b.hardware.board.rfc2217}" for b in two))
    time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_end_of_pytest_is_the_end_of_its_boards(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "test_sleeper.py").write_text(SLEEPER)
    run = subprocess.Popen([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    ports = tmp_path / "ports"
    deadline = time.monotonic() + 60
    while not (ports.exists() and ports.read_text().count("\n") == 1) and time.monotonic() < deadline:
        time.sleep(0.05)
    processes = [int(line.split()[0]) for line in ports.read_text().splitlines()]
    run.send_signal(number)
    run.wait(30)
    while any(alive(pid) for pid in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in processes)


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
