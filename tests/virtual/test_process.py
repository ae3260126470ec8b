"""The process: its command line, its output, its end, and what a bench full of boards costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial

from provisioning.errors import StationError
from provisioning.virtual import VirtualBoard
from tests.virtual.board_io import gone, repl

COMMAND = [sys.executable, "-m", "provisioning.virtual"]


def start(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*COMMAND, "--json", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop(process: subprocess.Popen[str]) -> int:
    process.terminate()
    try:
        return process.wait(10)
    finally:
        process.kill()
        process.stdout.close()
        process.stderr.close()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_json_describes_each_board(tmp_path):
    process = start("--count", "3", "--state", str(tmp_path / "bench"))
    boards = [json.loads(process.stdout.readline()) for _ in range(3)]
    for board in boards:
        assert {"port", "pty", "mac", "board", "state", "pid"} <= set(board)
        assert board["pid"] == process.pid
        assert Path(board["state"]).is_dir()
    assert len({board["mac"] for board in boards}) == len({board["serial"] for board in boards}) == 3
    for board in boards:
        link = repl(board["pty"])
        assert link.run("import machine; print(machine.unique_id().hex(':'))").strip() == board["mac"]
        link.close()
    # A user has 128 of them (fs.inotify.max_user_instances): with one for each board, a bench of 128 would be the last.
    opened = [os.readlink(fd) for fd in Path(f"/proc/{process.pid}/fd").iterdir()]
    assert opened.count("anon_inode:inotify") == 1
    assert stop(process) == 0


def test_identity_and_flash_stay_with_the_state(tmp_path):
    seen = []
    for _ in range(2):
        process = start("--state", str(tmp_path / "s"), "--unpaced")
        board = json.loads(process.stdout.readline())
        link = repl(board["pty"])
        seen.append((board["mac"], board["serial"], link.run("import os; print(sorted(os.listdir()))")))
        link.run("open('left.txt', 'w').close()")
        link.close()
        assert stop(process) == 0
    assert seen[0][:2] == seen[1][:2]
    assert "left.txt" in seen[1][2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_its_interpreters(number):
    process = start()
    board = json.loads(process.stdout.readline())
    link = repl(board["pty"])
    link.close()
    pids = children(process.pid)
    assert pids
    process.send_signal(number)
    assert process.wait(10) == 0
    assert all(gone(pid) for pid in pids)
    assert not Path(board["state"]).exists()  # it was temporary
    process.stdout.close()
    process.stderr.close()


def test_sigkill_takes_the_interpreters_along(tmp_path):
    process = start("--state", str(tmp_path / "s"))
    board = json.loads(process.stdout.readline())
    repl(board["pty"]).close()
    pids = children(process.pid)
    process.kill()
    process.wait()
    assert all(gone(pid) for pid in pids)
    process.stdout.close()
    process.stderr.close()


def test_a_killed_board_leaves_no_way_to_another_one(tmp_path):
    """The kernel gives the number of its pseudo-terminal to the next one who asks; the link it left must not lead there."""
    killed = VirtualBoard(state=tmp_path / "killed", link="pty").start()
    killed.kill()
    with VirtualBoard(state=tmp_path / "other", link="pty") as other:
        link = Path(killed.port)
        assert link.is_symlink()
        assert not link.exists()
        with pytest.raises(serial.SerialException):
            serial.serial_for_url(killed.port)
        assert killed.restart().port == str(link)
        repl(killed.port).close()
        assert os.path.realpath(killed.port) != os.path.realpath(other.port)
    killed.close()


def test_links_of_an_earlier_run_are_removed(tmp_path):
    stranger = tmp_path / "tty1"
    stranger.symlink_to("/dev/null")
    with VirtualBoard(state=tmp_path):
        assert not stranger.is_symlink()


ORPHAN = """
from provisioning.virtual import VirtualBoard
import os, sys
board = VirtualBoard().start()
print(board.pid, flush=True)
os._exit(0)  # dies without a word
"""


def test_the_board_goes_when_the_test_that_started_it_dies():
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, timeout=60, check=True)
    assert gone(int(done.stdout), 10)


WRONG = {
    ("--board", "no-such-board"): 2,
    ("--link", "usb"): 2,
    ("--count", "0"): 2,
    ("--count", "x"): 2,
    ("--chip", "esp8266"): 2,
    ("--flash-size", "3MB"): 2,
    ("--flash-timing", "quick"): 2,
    ("--latency-ms", "-1"): 2,
    ("--heap", "lots"): 2,
    ("--clock", "1999"): 2,
    ("--port", "70000"): 2,
    ("--fault", "melt"): 2,
    ("--state", "/dev/null"): 2,
    ("--nonsense",): 2,
    ("--state", "/proc/nowhere"): 3,
}


@pytest.mark.parametrize(("options", "code"), WRONG.items(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else None)
def test_a_wrong_option_is_one_sentence_with_the_next_step(options, code):
    done = subprocess.run([*COMMAND, "--json", *options], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code, done.stderr
    said = json.loads(done.stdout)
    assert said["outcome"] == "error"
    assert said["code"]
    assert done.stderr == f"twinroot: {said['message']}\n  next: {said['hint']}\n"
    assert len(done.stderr.splitlines()) == 2


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a file system of 1 MB: the flash image does not fit."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_a_sentence_with_the_next_step(full_disk):
    with pytest.raises(StationError) as caught:
        VirtualBoard(state=full_disk / "s").start()
    assert caught.value.code == "disk-full"
    assert str(full_disk) in caught.value.message
    assert "Errno" not in caught.value.message + caught.value.hint
    assert "Free space" in caught.value.hint


def test_the_error_of_the_process_is_the_error_of_python(tmp_path):
    with VirtualBoard(state=tmp_path / "s"), pytest.raises(StationError) as caught:
        VirtualBoard(state=tmp_path / "s").start()
    assert (caught.value.code, caught.value.exit_code) == ("state-busy", 3)
    with pytest.raises(StationError) as caught:
        VirtualBoard(state="/proc/nowhere").start()
    assert caught.value.code == "state-not-writable"


def test_a_state_in_use_is_refused(tmp_path):
    process = start("--state", str(tmp_path / "s"))
    process.stdout.readline()
    done = subprocess.run([*COMMAND, "--state", str(tmp_path / "s")], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 3
    assert "Another virtual board runs" in done.stderr
    stop(process)


def processor_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pid: int, key: str) -> int:
    """Kilobytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise AssertionError(key)


def test_thirty_two_idle_boards_are_cheap(tmp_path):
    boards = 32
    process = start("--count", str(boards), "--state", str(tmp_path / "bench"))
    try:
        described = [json.loads(process.stdout.readline()) for _ in range(boards)]
        for board in described:
            repl(board["pty"]).close()
        time.sleep(1)
        pids = [process.pid, *children(process.pid)]
        assert len(pids) == boards + 1
        before, began = processor_seconds(pids), time.monotonic()
        time.sleep(5)
        load = (processor_seconds(pids) - before) / (time.monotonic() - began)
        shared = sum(memory(pid, "Pss") for pid in pids) / boards / 1024
        largest = max(memory(pid, "Rss") for pid in pids[1:]) / 1024
        print(f"{boards} idle boards: {load:.1%} of one core, {shared:.1f} MB each (Pss), interpreter at most {largest:.1f} MB (Rss)")
        assert load < 0.20
        assert shared < 30
        assert largest < 30
    finally:
        stop(process)
