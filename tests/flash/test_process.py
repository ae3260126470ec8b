"""esptool as a process: its output becomes events and sentences; it never outlives its run; a rate that works is found and remembered."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from provisioning.config.board_type import BoardType
from provisioning.config.load import load_board
from provisioning.errors import BoardError, StationError
from provisioning.flash import baud, esptool, process
from provisioning.flash.esptool_errors import ESPTOOL_ERRORS, SLOWER, explain
from provisioning.flash.loader_access import DirectLine
from provisioning.link.events import Event


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINROOT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def board() -> BoardType:
    return load_board("esp32-generic")


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_lines_come_whole_and_everything_is_in_the_log(tmp_path: Path) -> None:
    lines: list[str] = []
    code = """
import sys, time
for part in ("Wri", "ting at 0x1\\rWriting", "  at 0x2\\n", "\\nend"):
    sys.stdout.write(part)
    sys.stdout.flush()
    time.sleep(0.05)  # so that the parts come as parts
sys.exit(3)
"""
    ended = process.run(python(code), tmp_path / "logs" / "x.log", lines.append)
    assert ended.code == 3
    assert lines == ["Writing at 0x1", "Writing  at 0x2", "end"]
    log = (tmp_path / "logs" / "x.log").read_text()
    assert log.startswith("$ ") and "Writing  at 0x2" in log


def test_silence_ends_it() -> None:
    lines: list[str] = []
    started = time.monotonic()
    ended = process.run(python("import os,time\nprint(os.getpid())\ntime.sleep(60)"), on_line=lines.append, silence=0.5)
    assert ended.code is None and time.monotonic() - started < 10
    assert not alive(int(lines[0]))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_process_that_ignores_termination_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_GRACE", 0.3)
    lines: list[str] = []
    code = "import os,signal,time\nsignal.signal(signal.SIGTERM,signal.SIG_IGN)\nprint(os.getpid())\ntime.sleep(60)"
    process.run(python(code), on_line=lines.append, silence=0.5)
    assert not alive(int(lines[0]))


def test_an_error_in_a_listener_ends_it() -> None:
    pids: list[int] = []

    def stop(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.run(python("import os,time\nprint(os.getpid())\ntime.sleep(60)"), on_line=stop)
    assert not alive(pids[0])


# What esptool 5.6 printed, shortened, and what it must become.
OUTPUTS = {
    "port-not-found": (
        "A fatal error occurred: Could not open /dev/ttyUSB77, the port is busy or doesn't exist.\n"
        "([Errno 2] could not open port /dev/ttyUSB77: [Errno 2] No such file or directory: '/dev/ttyUSB77')"
    ),
    "port-busy": (
        "A fatal error occurred: Could not open /dev/ttyUSB0, the port is busy or doesn't exist.\n"
        "([Errno 11] Could not exclusively lock port /dev/ttyUSB0: [Errno 11] Resource temporarily unavailable)"
    ),
    "port-denied": (
        "A fatal error occurred: Could not open /dev/ttyUSB0, the port is busy or doesn't exist.\n"
        "([Errno 13] could not open port /dev/ttyUSB0: [Errno 13] Permission denied: '/dev/ttyUSB0')"
    ),
    "wrong-chip": "A fatal error occurred: This chip is ESP32-S3, not ESP32. Wrong chip argument?",
    "wrong-boot-mode": (
        "A fatal error occurred: Failed to connect to ESP32: Wrong boot mode detected (0x13)! The chip needs to be in download mode."
    ),
    "rom-deaf": (
        "A fatal error occurred: Failed to connect to ESP32: Download mode successfully detected, but getting no sync reply: "
        "The serial TX path seems to be down."
    ),
    "no-answer": "A fatal error occurred: Failed to connect to ESP32: No serial data received.",
    "stub-not-started": "A fatal error occurred: Failed to start stub flasher. Unexpected response: b'x'",
    "flash-mismatch": "A fatal error occurred: MD5 of file does not match data in flash!",
    "flash-protected": "A fatal error occurred: Write failed, the written flash region is empty.",
    "flash-too-small": (
        "A fatal error occurred: File 'a.bin' (length 99) at offset 0x00400000 will not fit in 4194304 bytes of flash. Change the size"
    ),
    "security-on": (
        "A fatal error occurred: Secure Boot V1 detected, writing to flash regions < 0x8000 is disabled to protect the bootloader."
    ),
    "line-errors": "A fatal error occurred: Invalid head of packet (0x9F): Possible serial noise or corruption.",
    "port-gone": "serial.serialutil.SerialException: device reports readiness to read but returned no data (device disconnected?)",
    "no-esptool": "/usr/bin/python: No module named esptool",
    "esptool-failed": "A fatal error occurred: The moon is full.",
}


@pytest.mark.parametrize("code", OUTPUTS)
def test_each_failure_is_a_sentence_with_a_next_step(code: str) -> None:
    error, _ = explain(f"esptool v5.6.0\nConnecting....\n{OUTPUTS[code]}\n", "/dev/ttyUSB0", 921600, "x.log")
    assert error.code == code
    assert error.message.endswith(".") and error.message.count("\n") == 0 and "{" not in error.message
    assert error.hint.endswith((".", "'")) and "Traceback" not in error.message


def test_the_table_has_a_case_for_each_code() -> None:
    assert {saying.code for saying in ESPTOOL_ERRORS} - set(OUTPUTS) <= {
        "wrong-revision",
        "no-flash-chip",
        "esptool-version",
        "file-missing",
    }


FAKE = """
import sys
baud = int(sys.argv[sys.argv.index("--baud") + 1])
open({trace!r}, "a").write(f"{{baud}} {{sys.argv[sys.argv.index('--before') + 1]}}\\n")
if baud > {limit}:
    print("Changing baud rate to", baud); print("A fatal error occurred: {text}"); sys.exit(2)
print("Writing 'a.bin' at 0x00001000...")
print("Writing at 0x00005000 ----  50.0% 16.00kB/32.00kB [0s]")
print("Wrote 40000 bytes (32768 compressed) at 0x00001000 in 1.1 seconds (2202.0 kbit/s).")
"""


def direct(board: BoardType, name: str, log: Path) -> DirectLine:
    """A port that esptool opens itself, on which a rate means something."""
    line = DirectLine(board, name, log, None)
    line.native = False
    return line


def session(
    board: BoardType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    text: str = "Invalid head of packet (0x80)",
    **options: object,
) -> tuple[list[str], esptool.Written, list[Event]]:
    """A session with a program in esptool's place that fails above a rate; the trace of its runs."""
    trace = tmp_path / "trace"
    trace.unlink(missing_ok=True)
    code = FAKE.format(trace=str(trace), limit=limit, text=text)
    monkeypatch.setattr(process, "command", lambda arguments: [sys.executable, "-c", code, *arguments])
    file = tmp_path / "a.bin"
    file.write_bytes(bytes(40000))
    events: list[Event] = []
    line = direct(board, "/dev/ttyX", tmp_path / "log")
    done = esptool.write(line, [esptool.Part(0x1000, file)], events=events.append, **options)  # type: ignore[arg-type]
    return trace.read_text().splitlines(), done, events


def test_the_rate_falls_until_it_works_and_is_remembered(board: BoardType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace, done, events = session(board, tmp_path, monkeypatch, 230_400, in_loader=True)
    assert trace == ["921600 no-reset", "460800 default-reset", "230400 default-reset"]
    assert (done.baud, done.attempts, done.plain, done.wire, done.began) == (230_400, 3, 40000, 32768, True)
    assert {"done": 0x4000, "total": 40000} in [event.data for event in events if event.kind == "bytes"]
    trace, done, _ = session(board, tmp_path, monkeypatch, 230_400)
    assert trace == ["230400 default-reset"], "the next board does not try the rates that failed"


def test_a_fixed_rate_is_the_only_one(board: BoardType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(esptool.Failed) as caught:
        session(board, tmp_path, monkeypatch, 230_400, fixed_baud=460_800)
    assert caught.value.error.code == "line-errors" and "460800" in caught.value.error.message
    assert caught.value.done.attempts == 1


def test_what_no_rate_can_change_is_not_tried_again(board: BoardType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(esptool.Failed) as caught:
        session(board, tmp_path, monkeypatch, 0, "This chip is ESP32-C3, not ESP32. Wrong chip argument?")
    assert caught.value.error.code == "wrong-chip" and isinstance(caught.value.error, BoardError) and caught.value.done.attempts == 1


def test_a_flash_that_reads_back_wrong_twice_is_the_boards_fault(board: BoardType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(esptool.Failed) as caught:
        session(board, tmp_path, monkeypatch, 0, "MD5 of file does not match data in flash!")
    assert caught.value.error.code == "flash-mismatch" and caught.value.error.exit_code == 1 and caught.value.done.attempts == 2


def test_native_usb_has_one_rate(tmp_path: Path) -> None:
    native = load_board("esp32-generic").model_copy(update={"native_usb": True})
    assert baud.ladder(native, "x") == (115_200,)


def test_a_damaged_memory_of_rates_is_no_error(board: BoardType, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(exist_ok=True)
    (tmp_path / "cache" / "baud.json").write_text("{nonsense")
    assert baud.ladder(board, "x")[0] == board.baud.max
    baud.remember("x", 115_200)
    assert baud.ladder(board, "x") == (115_200,)


def test_the_real_esptool_and_a_port_that_is_not_there(board: BoardType, tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(bytes(4096))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = f"socket://127.0.0.1:{free.getsockname()[1]}"
        for name in (port, "/dev/ttyUSB77"):
            with pytest.raises(esptool.Failed) as caught:
                esptool.write(direct(board, name, tmp_path / "log"), [esptool.Part(0x1000, file)])
            error = caught.value.error
            assert (error.code, error.exit_code) == ("port-not-found", StationError.exit_code), error.message
            assert not caught.value.done.began
    assert SLOWER not in (tmp_path / "log").read_text()


def test_an_image_is_for_this_users_eyes_only(tmp_path: Path) -> None:
    path = esptool.private_file(tmp_path, "x.bin", b"key")
    assert path.read_bytes() == b"key"
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        esptool.private_file(tmp_path, "x.bin", b"other")
