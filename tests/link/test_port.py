"""Names of ports: what is malformed is the input's fault, what is missing or taken is the station's, each in one plain sentence."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from provisioning.errors import InputError, StationError
from provisioning.link import holders, port
from provisioning.link.port import open_port

HOLD = "import sys; f = open(sys.argv[1], 'r+b', buffering=0); print('open', flush=True); sys.stdin.read()"


@pytest.mark.parametrize(
    "spec",
    [
        "rfc2217://",
        "rfc2217://127.0.0.1",
        "rfc2217://127.0.0.1:99999",
        "rfc2217://127.0.0.1:x",
        "rfc2217://127.0.0.1:4000?what",
        "socket://",
        "socket://[::1",
        "nothing://x",
        "mac:",
        "mac:xyz",
        "mac:24:0a:c4:00:00",
        "usb:",
        os.devnull,
    ],
)
def test_malformed(spec: str) -> None:
    with pytest.raises(InputError) as caught, open_port(spec):
        pass
    assert (caught.value.code, caught.value.exit_code) == ("bad-port", 2)
    assert spec in caught.value.message and "Errno" not in caught.value.message and "<=" not in caught.value.message


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("/dev/ttyUSB77", "There is no port /dev/ttyUSB77."),
        ("rfc2217://127.0.0.1:1", "Nothing listens at rfc2217://127.0.0.1:1."),
        ("socket://127.0.0.1:1", "Nothing listens at socket://127.0.0.1:1."),
    ],
)
def test_absent(spec: str, sentence: str) -> None:
    with pytest.raises(StationError) as caught, open_port(spec):
        pass
    assert (caught.value.code, caught.value.message) == ("port-not-found", sentence)


@pytest.mark.parametrize("spec", ["usb:0001", "mac:24:0a:c4:00:00:01", "mac:240AC4000001", "auto"])
def test_nothing_plugged_in(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "candidates", list)
    with pytest.raises(StationError) as caught, open_port(spec):
        pass
    assert caught.value.code == "no-board"
    assert "Plug the board in" in caught.value.hint and "--port" in caught.value.hint


@contextmanager
def holding(device: str) -> Iterator[int]:
    """Another process that has `device` open; its id."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, device], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"open"
        yield process.pid
    finally:
        process.communicate()


def test_all_holders_are_named_but_not_the_board() -> None:
    """The process with the master of a pseudo-terminal is the board; this one has it here, and a child of another as well."""
    master, slave = pty.openpty()
    device = os.ttyname(slave)
    board = subprocess.Popen(
        [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=(master, slave),
    )
    try:
        assert board.stdout is not None
        assert board.stdout.readline().strip() == b"up"
        with holding(device) as one, holding(device) as two:
            found = " ".join(holders.holders(device))
            assert f"(pid {one})" in found and f"(pid {two})" in found
            assert f"(pid {board.pid})" not in found and f"(pid {os.getpid()})" not in found
            error = port._why(device, OSError(16, "Device or resource busy"))
            assert error.code == "port-busy"
            assert f"(pid {one})" in error.message and f"(pid {two})" in error.message and error.message.endswith(f"use {device}.")
    finally:
        board.communicate()
        os.close(master)
        os.close(slave)
