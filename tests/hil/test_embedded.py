"""The service twinroot of the real pytest-embedded, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hil import environments

TESTS = r"""
import pexpect
import pytest

def hello(name):
    print("hello", name)
    raise_later = 1 / 0

def test_a_program(dut):
    dut.board.start("print('hello', 6 * 7)")
    assert dut.expect(r"hello (\d+)", timeout=20)[1] == b"42"

def test_the_prompt(dut):
    dut.write("print('answer', 6 * 7)\r\n")
    dut.expect_exact("answer 42", timeout=20)

def test_nothing_is_left_of_the_last_test(dut):
    with pytest.raises(pexpect.TIMEOUT):
        dut.expect_exact("answer 42", timeout=0.3)

def test_a_boot(dut, board):
    assert board is dut.board
    (board.fs / "main.py").write_text("print('ready', 6 * 7)")
    board.reset()
    dut.expect(r"ready (\d+)", timeout=20)

def test_an_exception_of_the_program_is_raised(dut):
    dut.board.start(hello, "you")
    with pytest.raises(ZeroDivisionError):
        dut.expect("never", timeout=20)
"""
TWO = r"""
def test_two(dut):
    first, second = dut
    assert first.board.identity["mac"] != second.board.identity["mac"]
    second.board.start("print('second')")
    second.expect_exact("second", timeout=20)
"""


def run(folder: Path, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest on `source`, with this package and pytest-embedded."""
    file = folder / "test_it.py"
    file.write_text(source)
    paths = os.pathsep.join([str(environments.pytest_embedded()), str(environments.ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(file), *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=110, check=False
    )


def test_the_dut_of_the_service_is_a_board(tmp_path: Path) -> None:
    result = run(tmp_path, TESTS, "--embedded-services", "twinroot", "--root-logdir", str(tmp_path / "logs"))
    assert "5 passed" in result.stdout, result.stdout + result.stderr
    logs = [file.read_text() for file in (tmp_path / "logs").rglob("dut*.log")]
    assert any("hello 42" in log for log in logs), "pytest-embedded's own log has what the board printed"


@pytest.mark.long
def test_count_makes_several(tmp_path: Path) -> None:
    result = run(tmp_path, TWO, "--embedded-services", "twinroot", "--count", "2")
    assert "1 passed" in result.stdout, result.stdout + result.stderr


def test_without_the_service_it_lives_beside_ours(tmp_path: Path) -> None:
    source = "def test_it(dut, board):\n    assert not hasattr(dut, 'board') and board.eval('6 * 7') == 42\n"
    result = run(tmp_path, source)
    assert "1 passed" in result.stdout, result.stdout + result.stderr
