"""A session on a port becomes a file, and the file a board: what was seen on a desk is a test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from provisioning.errors import InputError, StationError
from provisioning.hil.products import ProductMaker
from provisioning.hil.replay import replayed
from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.link import recording
from provisioning.link.port import open_port
from provisioning.link.recording import Recorder
from provisioning.link.repl import RawRepl
from provisioning.link.tap import listening
from provisioning.virtual import VirtualBoard
from tests.support.command import twinroot_command


def test_jobs_meet_the_same_board_again(virtual_board: VirtualBoard, tmp_path: Path) -> None:
    make = ProductMaker("virtual-esp32", tmp_path / "p")
    product = make()
    files = [tmp_path / name for name in ("update", "verify", "refused")]
    with Recorder(files[0]) as tape, listening(tape):
        first = update(product, make.device, virtual_board.pty)
    with Recorder(files[1]) as tape, listening(tape):
        seen = verify(virtual_board.pty, product, make.device)
    with Recorder(files[2]) as tape, listening(tape):
        other = verify(virtual_board.pty, make("z9y8x7w6v5u4t3"), make.device)
    assert [report.outcome for report in (first, seen, other)] == ["pass", "pass", "fail"]
    make()
    with replayed(files[0], paced=False) as board:
        again = update(product, make.device, board.pty)
        assert (again.code, again.mac, again.files) == (first.code, virtual_board.mac, first.files), board.counters()
        assert (board.counters()["left"], board.counters()["diverged"]) == (0, "")
    with replayed(files[1]) as board:
        assert verify(board.pty, product, make.device).selftest == seen.selftest, board.counters()
    with replayed(files[2], paced=False) as board:
        assert verify(board.pty, make("z9y8x7w6v5u4t3"), make.device).message.replace(board.pty, "") == other.message.replace(
            virtual_board.pty, ""
        )
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)


def test_a_host_that_does_something_else_is_told_apart(virtual_board: VirtualBoard, tmp_path: Path) -> None:
    def ask(port: str, code: str) -> bytes:
        with open_port(port) as wire:
            repl = RawRepl(wire)
            repl.enter()
            return repl.outcome(code, 1.0)[0]

    with Recorder(tmp_path / "s") as tape, listening(tape):
        assert ask(virtual_board.pty, "print(1)") == b"1\r\n"
    with replayed(tmp_path / "s") as board:
        assert ask(board.pty, "print(1)") == b"1\r\n"
        board.power_off()
        board.power_on()
        with pytest.raises(Exception, match=r"did not end|answered the raw REPL"):
            ask(board.pty, "print(2)")
        assert "the host sends b'2' where it sent b'1)" in board.counters()["diverged"]
        with pytest.raises(InputError, match="no flash to read"):
            board.read_flash(0, 1)


def test_the_command_records_what_any_tool_does(virtual_board: VirtualBoard, tmp_path: Path) -> None:
    """Through the port that `twinroot record` puts in front of the board, reset lines included."""
    file = tmp_path / "session"
    command = [*twinroot_command("record", "--port", virtual_board.rfc2217, file), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        address = json.loads(running.stdout.readline())["port"]
        for code in ("print(6*7)", "import os;print(os.listdir())"):
            with open_port(address) as wire:
                repl = RawRepl(wire)
                repl.enter()
                assert repl.outcome(code, 10)[1] == b""
        running.send_signal(signal.SIGINT)
        told = json.loads(running.stdout.readline())
        assert running.wait(20) == 0 and told["outcome"] == "pass" and told["received"] > 100
    steps = recording.read(file)
    sent = b"".join(step.value for step in steps if step.what == "tx")
    assert b"print(6*7)" in sent and b"os.listdir()" in sent and {"rx", "tx", "rts"} <= {step.what for step in steps}
    with replayed(file) as board, open_port(board.rfc2217) as wire:
        repl = RawRepl(wire)
        repl.enter()
        assert repl.outcome("print(6*7)", 10) == (b"42\r\n", b"")


@pytest.mark.parametrize("text", ["", "x", '{"session": 2}', '{"session": 1}\n{"at": 1}', '{"session": 1}\n{"at": 1, "rx": 5}'])
def test_what_is_not_a_session_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "s").write_text(text)
    with pytest.raises(InputError, match=r"is not a recorded session|is empty"):
        VirtualBoard(replay=tmp_path / "s").start()


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--replay has a board of its own"):
        VirtualBoard(replay=tmp_path / "s", blank=True).start()
    with pytest.raises(InputError, match="cannot be read"):
        VirtualBoard(replay=tmp_path / "s").start()
    assert os.listdir(tmp_path) == []


def test_a_port_that_is_not_there_leaves_an_earlier_recording_as_it_is(tmp_path: Path) -> None:
    earlier, none = tmp_path / "earlier", tmp_path / "none"
    earlier.write_text('{"session": 1, "port": ""}\n')
    for file in (earlier, none):
        with pytest.raises(StationError), Recorder(file) as tape, listening(tape), open_port("/dev/no-such-port"):
            pass
    assert earlier.read_text() == '{"session": 1, "port": ""}\n' and not none.exists()
    with pytest.raises(StationError) as caught, Recorder(tmp_path / "no" / "file"):
        pass
    assert caught.value.code == "cannot-write"
