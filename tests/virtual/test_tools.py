"""The tools that people use drive the board as they drive a real one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

MODULE = "VALUE = 42\n" + "# filler\n" * 200


def run(*command: str, timeout: float = 60) -> str:
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def module(tmp_path):
    file = tmp_path / "answer.py"
    file.write_text(MODULE)
    return file


@pytest.mark.parametrize("link", ["pty", "rfc2217"])
def test_mpremote_lists_reads_writes_runs(make_virtual_board, module, link):
    board = make_virtual_board(paced=False)
    port = getattr(board, link)
    run("mpremote", "connect", port, "cp", str(module), ":answer.py")
    assert "answer.py" in run("mpremote", "connect", port, "ls")
    assert run("mpremote", "connect", port, "cat", ":answer.py").replace("\r\n", "\n") == MODULE
    assert run("mpremote", "connect", port, "exec", "import answer; print(answer.VALUE)").strip() == "42"
    run("mpremote", "connect", port, "rm", ":answer.py")
    assert "answer.py" not in run("mpremote", "connect", port, "ls")


def test_mpremote_resets(virtual_board):
    run("mpremote", "connect", virtual_board.pty, "soft-reset")
    boots = virtual_board.counters()["boots"]
    run("mpremote", "connect", virtual_board.pty, "reset")
    assert virtual_board.happens("boot", 5) or virtual_board.counters()["boots"] > boots


def test_ampy_lists_reads_writes_runs(virtual_board, module, tmp_path):
    port = virtual_board.pty
    ampy = ("ampy.cli", "-p", port)
    run(*ampy, "put", str(module))
    assert "/answer.py" in run(*ampy, "ls")
    assert run(*ampy, "get", "answer.py").replace("\r\n", "\n").strip() == MODULE.strip()
    script = tmp_path / "script.py"
    script.write_text("import answer\nprint(answer.VALUE)\n")
    assert run(*ampy, "run", str(script)).strip() == "42"
    run(*ampy, "rm", "answer.py")
    assert "answer.py" not in run(*ampy, "ls")


@pytest.mark.skipif(importlib.util.find_spec("belay") is None, reason="belay is not installed")
def test_belay_runs_a_task(virtual_board):
    import belay

    device = belay.Device(virtual_board.pty)

    @device.task
    def double(value):
        return value * 2

    assert double(21) == 42
    device.close()


@pytest.mark.skipif(importlib.util.find_spec("rshell") is None, reason="rshell is not installed")
def test_rshell_lists(virtual_board, module):
    assert "answer.py" in run("rshell.main", "-p", virtual_board.pty, "--quiet", f"cp {module} /pyboard/answer.py; ls /pyboard/")


def test_the_pytest_fixtures_come_with_the_distribution(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("twinroot")
