"""Faults on demand: a full file system, and faults set on a running board from another process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from provisioning.errors import InputError
from provisioning.virtual.faults import parse
from tests.virtual.board_io import repl

COMMAND = [sys.executable, "-m", "provisioning.virtual"]
FREE = "import os\ns = os.statvfs('/')\nprint(s[0] * s[3])"
WRITE = "with open('more', 'wb') as f:\n    for i in range({}):\n        f.write(bytes(4096))"


def inject(state, *words, code=0):
    options = [part for word in words for part in ("--inject", word)]
    done = subprocess.run([*COMMAND, "--state", str(state), "--json", *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_a_full_file_system_refuses_content_and_heals(virtual_board):
    link = repl(virtual_board.pty)
    link.run("with open('kept', 'wb') as f: f.write(b'k' * 5000)")
    link.close()
    virtual_board.inject("full")
    link = repl(virtual_board.pty)
    assert int(link.run(FREE)) <= 2 * 4096
    assert "OSError: 28" in link.error(WRITE.format(4)).replace("[Errno 28]", "28")
    assert link.run("print(len(open('kept').read()))") == "5000\r\n"
    link.close()
    virtual_board.heal()
    link = repl(virtual_board.pty)
    link.run(WRITE.format(40))
    assert int(link.run(FREE)) > 1 << 20
    link.close()


def test_a_full_file_system_from_the_start_leaves_what_is_asked(make_virtual_board):
    board = make_virtual_board(paced=False, faults=["full=40960"])
    link = repl(board.pty)
    assert 32768 <= int(link.run(FREE)) <= 53248
    link.run(WRITE.format(6))
    assert "28" in link.error(WRITE.format(20))
    link.close()


def test_a_file_system_that_is_not_there_cannot_be_filled(make_virtual_board):
    board = make_virtual_board(paced=False, blank=True)
    with pytest.raises(InputError) as caught:
        board.inject("full")
    assert caught.value.hint


def test_faults_reach_a_running_board_from_the_command_line(make_virtual_board, tmp_path):
    board = make_virtual_board(paced=False, state=tmp_path / "s")
    repl(board.pty).close()
    assert inject(board.state, "power-off")["outcome"] == "pass"
    assert not board.powered
    inject(board.state, "heap=60K", "power-on")
    link = repl(board.pty)
    assert "MemoryError" in link.error("a = bytearray(50000)")
    link.close()
    counters = inject(board.state, "heal", "stuck", "counters")["done"][2]["result"]
    assert counters["boots"] >= 2
    before = board.pty
    names = inject(board.state, "heal", "unplug", "plug")["done"][2]["result"]
    assert names["pty"] != before
    board.reset()
    repl(names["pty"]).close()


@pytest.mark.parametrize(
    "word", ["melt", "plugg", "drop", "worn=x", "worn=-1", "full=1.5", "heap=lots", "clock=1999", "clock=host+2", "wifi=upside"]
)
def test_a_wrong_fault_is_refused_before_anything_is_touched(tmp_path, word):
    said = inject(tmp_path / "none", word, code=2)
    assert said["outcome"] == "error"
    assert said["hint"]
    assert not (tmp_path / "none").exists()


def test_where_no_board_runs_the_next_step_is_named(tmp_path, make_virtual_board):
    said = inject(tmp_path / "none", "stuck", code=3)
    assert said["code"] == "virtual-not-running"
    assert not (tmp_path / "none").exists()
    killed = make_virtual_board(state=tmp_path / "killed")
    killed.kill()
    assert inject(tmp_path / "killed", "stuck", code=3)["code"] == "virtual-not-running"
    (tmp_path / "bench" / "00").mkdir(parents=True)
    (tmp_path / "bench" / "00" / "control").touch()
    assert "00" in inject(tmp_path / "bench", "stuck", code=3)["hint"]


def test_inject_without_a_state_folder_is_a_wrong_option():
    done = subprocess.run([*COMMAND, "--inject", "stuck"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--state" in done.stderr


@pytest.mark.parametrize(("text", "value"), [("full", 0), ("full=8192", 8192), ("worn=513", 513), ("cut-op=0", 0)])
def test_numbers_are_read(text, value):
    assert parse(text).value == value
