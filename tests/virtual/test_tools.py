"""The tools that people use drive the board as they drive a real one. All but mpremote open a local device only, so they have the
pseudo-terminal; mpremote has both ends.
"""

from __future__ import annotations

import importlib.util
import os
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


@pytest.mark.skipif(importlib.util.find_spec("mpytool") is None, reason="mpytool is not installed")
def test_mpytool_lists_reads_writes_runs(virtual_board, module):
    steps = [["cp", str(module), ":/answer.py"], ["cat", ":/answer.py"], ["exec", "import answer; print('is', answer.VALUE)"]]
    steps += [["ls", ":/"], ["rm", ":/answer.py"], ["ls", ":/"]]
    said = run("mpytool.mpytool", "-p", virtual_board.pty, *[word for step in steps for word in ("--", *step)][1:]).replace("\r\n", "\n")
    assert MODULE in said
    assert "is 42" in said
    assert said.rpartition("is 42")[2].count("answer.py") == 1


def loads(name: str) -> bool:
    """Whether a program can be started: mpfshell needs telnetlib, which Python 3.13 has no longer."""
    return subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not loads("mp.mpfshell"), reason="mpfshell is not installed, or does not run on this Python")
def test_mpfshell_lists_reads_writes_runs(virtual_board, module, tmp_path):
    back = tmp_path / "back.py"
    # It puts /dev/ before the port's name.
    steps = [f"open ..{virtual_board.pty}", f"put {module} answer.py", "ls", f"get answer.py {back}"]
    steps += ["exec import answer", "exec print(answer.VALUE)", "rm answer.py", "ls"]
    said = run("mp.mpfshell", "-n", "--nocache", "--nocolor", "-c", "; ".join(steps))
    assert "Connected to esp32" in said
    assert said.count("answer.py") == 1
    assert "42" in said.split()
    assert back.read_text() == MODULE


THONNY = importlib.util.find_spec("thonny") is not None


@pytest.mark.skipif(not THONNY, reason="thonny is not installed: it brings an editor's worth of packages with it")
def test_thonny_back_end_runs_lists_writes(virtual_board, tmp_path):
    """The process that the editor starts for a board, asked as the editor asks it."""
    from thonny.common import InlineCommand, ToplevelCommand, parse_message, serialize_message

    options = {
        "clean": True, "port": virtual_board.pty, "dtr": None, "rts": None, "submit_mode": None, "interrupt_on_connect": True,
        "write_block_size": None, "write_block_delay": None, "proxy_class": "GenericMicroPythonProxy", "sync_time": True,
        "validate_time": True, "local_rtc": True,
    }  # fmt: skip
    command = [sys.executable, "-m", "thonny.plugins.micropython.bare_metal_backend", repr(options)]
    environment = {**os.environ, "THONNY_USER_DIR": str(tmp_path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as backend:

        def until(wanted):
            """The first message that is wanted, and what was printed before."""
            printed = ""
            for line in backend.stdout:
                if line.startswith("\x02"):
                    message = parse_message(line)
                    printed += message.get("data", "") if message.get("event_type") == "ProgramOutput" else ""
                    if wanted(message):
                        return message, printed
            raise AssertionError(f"the back end ended: {printed}")

        def ask(message):
            backend.stdin.write(serialize_message(message) + "\n")
            backend.stdin.flush()
            return until(lambda answer: answer.get("command_name") == message.name)

        try:
            until(lambda message: type(message).__name__ == "ToplevelResponse")
            assert ask(ToplevelCommand("execute_source", source="print(6 * 7)"))[1].strip() == "42"
            ask(InlineCommand("write_file", id=1, path="/answer.py", content_bytes=MODULE.encode(), make_shebang_scripts_executable=False))
            (listed, _) = ask(InlineCommand("get_dirs_children_info", id=2, paths=["/"], node_id="", include_hidden=False))
            assert "answer.py" in listed["data"]["/"]
            assert ask(InlineCommand("read_file", id=3, path="/answer.py"))[0]["content_bytes"] == MODULE.encode()
            assert ask(ToplevelCommand("execute_source", source="import answer; print(answer.VALUE)"))[1].strip() == "42"
        finally:
            backend.terminate()


def test_the_pytest_fixtures_come_with_the_distribution(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("twinroot")
