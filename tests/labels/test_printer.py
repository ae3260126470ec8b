"""The ways to a printer, each with a real other end: a socket that answers ~HS as a Zebra does, a silent one, a program that hangs."""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from pathlib import Path

import pytest

from provisioning.errors import InputError, StationError
from provisioning.labels import command
from provisioning.labels.printer import Printer, address
from tests.support.zebra import NO_PAPER, READY, Zebra

LABEL = b"^XA^FDx^FS^XZ"


def test_a_label_reaches_a_printer_that_is_ready(tmp_path: Path) -> None:
    with Zebra() as printer:
        Printer(printer.where, tmp_path, 10.0, True).send(LABEL, {})
        assert printer.done.wait(10) and printer.said == LABEL


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (NO_PAPER, "out of paper"),
        ((b"030,0,1,1245,000,0,0,0,000,0,0,0", READY[1]), "paused"),
        ((READY[0], b"000,0,1,1,0,2,4,0,00000000,1,000"), "head open and is out of ribbon"),
    ],
)
def test_a_printer_that_is_not_ready_gets_nothing(tmp_path: Path, state: tuple[bytes, bytes], words: str) -> None:
    with Zebra(state) as printer, pytest.raises(StationError, match=words) as caught:
        Printer(printer.where, tmp_path, 10.0, True).send(LABEL, {})
    assert caught.value.code == "printer-not-ready" and printer.said == b""


def test_a_printer_that_hangs_or_is_not_there_has_an_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(StationError) as caught:
            Printer(f"tcp://127.0.0.1:{port}", tmp_path, 0.3, True).send(LABEL, {})
        assert caught.value.code == "printer-hangs" and time.monotonic() - began < 5
        Printer(f"tcp://127.0.0.1:{port}", tmp_path, 0.3, False).send(LABEL, {})
    with pytest.raises(StationError) as caught:
        Printer(f"tcp://127.0.0.1:{port}", tmp_path, 0.3, True).send(LABEL, {})
    assert caught.value.code == "printer-failed"


def test_a_file_stays_in_its_folder(tmp_path: Path) -> None:
    Printer("file:labels/{device}.zpl", tmp_path, 1.0, True).send(LABEL, {"device": "../../ws/1"})
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.zpl")] == ["labels/.._.._ws_1.zpl"]


@pytest.mark.parametrize("where", ["tcp://", "http://x", "tcp://u@h:1", "tcp://h:99999", "tcp://h/x", "lp", "tcp://h:1?q"])
def test_what_is_no_printer(where: str) -> None:
    with pytest.raises(InputError) as caught:
        address(where)
    assert caught.value.code == "bad-printer"


def test_addresses() -> None:
    assert (address("tcp://zebra-1"), address("tcp://[::1]:6101")) == (("zebra-1", 9100), ("::1", 6101))


def test_a_command_gets_the_bytes_and_nothing_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWINROOT_LEDGER", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "TOKEN_PIN"):
        monkeypatch.setenv(name, "canary")
    script = "import os, sys, json; open('seen', 'wb').write(sys.stdin.buffer.read()); json.dump(dict(os.environ), open('env', 'w'))"
    command.run([sys.executable, "-c", script], LABEL, 20.0, {"MINE": "1"}, tmp_path)
    assert (tmp_path / "seen").read_bytes() == LABEL
    seen = (tmp_path / "env").read_text()
    assert "canary" not in seen and '"MINE": "1"' in seen and '"PATH"' in seen


def ended(pid: int, seconds: float = 10.0) -> bool:
    """Whether the process is at its end, or comes to it: one that was killed takes a moment to go."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def test_a_command_that_fails_hangs_or_is_not_there(tmp_path: Path) -> None:
    def code(*argv: str, seconds: float = 20.0) -> tuple[str, str]:
        with pytest.raises(StationError) as caught:
            command.run(argv, b"x" * 1_000_000, seconds, {}, tmp_path)
        return caught.value.code, caught.value.message

    assert code("no-such-program-here")[0] == "command-missing"
    failed = code(sys.executable, "-c", "import sys; print('x\\x1b[2Jno paper', file=sys.stderr); sys.exit(3)")
    assert failed[0] == "command-failed" and "code 3: x?[2Jno paper." in failed[1]
    if os.name == "nt":
        return
    # A shell whose child holds the streams, and ignores the request to end: both are gone.
    child = "import os, signal, time; signal.signal(15, signal.SIG_IGN); open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    began = time.monotonic()
    assert code("/bin/sh", "-c", f'{sys.executable} -c "{child}"; true', seconds=2.0)[0] == "command-hangs"
    assert time.monotonic() - began < 15
    pid = int((tmp_path / "pid").read_text())
    assert ended(pid)
