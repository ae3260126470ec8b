"""Names of ports: what is malformed is the input's fault, what is missing or taken is the station's, each in one plain sentence."""

from __future__ import annotations

import errno
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serial.tools.list_ports_common import ListPortInfo

from provisioning import doctor
from provisioning.errors import InputError, StationError
from provisioning.link import adapters, holders
from provisioning.link.open_errors import why
from provisioning.link.port import open_port
from provisioning.link.port_names import resolve
from provisioning.link.wire import RateRefused, Wire

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
    monkeypatch.setattr(adapters, "candidates", lambda _more: [])
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
            error = why(device, OSError(16, "Device or resource busy"))
            assert error.code == "port-busy"
            assert f"(pid {one})" in error.message and f"(pid {two})" in error.message and error.message.endswith(f"use {device}.")
    finally:
        board.communicate()
        os.close(master)
        os.close(slave)


def _adapter(device: str, serial: str, location: str) -> ListPortInfo:
    found = ListPortInfo(device)
    found.vid, found.pid, found.serial_number, found.location, found.description = 0x10C4, 0xEA60, serial, location, "CP2102"
    return found


def test_two_adapters_with_one_serial_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """CP2102 leave the factory as 0001, all of them: never the first one, and the message says how to tell them apart."""
    plugged = [_adapter("/dev/ttyUSB0", "0001", "1-2.3"), _adapter("/dev/ttyUSB1", "0001", "1-2.4")]
    monkeypatch.setattr(adapters, "candidates", lambda _more: plugged)
    with pytest.raises(StationError) as caught:
        resolve("usb:0001")
    assert caught.value.code == "many-boards"
    assert "usbpath:1-2.3" in caught.value.message and "usbpath:1-2.4" in caught.value.message and "usbpath:" in caught.value.hint
    assert resolve("usbpath:1-2.4") == "/dev/ttyUSB1"
    with pytest.raises(StationError) as caught:
        resolve("usbpath:1-9")
    assert caught.value.code == "no-board"


def test_a_bridge_of_a_makers_own_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """`usb:` of a board file: what nobody else takes for a board is one for that product."""
    port = _adapter("/dev/ttyUSB0", "7", "1-2.3")
    port.vid, port.pid = 0x1234, 0xABCD
    monkeypatch.setattr(adapters, "plugged", lambda: [port])
    for spec in ("auto", "usb:7", "usbpath:1-2.3"):
        assert resolve(spec, frozenset({(0x1234, 0xABCD)})) == "/dev/ttyUSB0"
        with pytest.raises(StationError, match=r"No "):
            resolve(spec)


@pytest.mark.parametrize(("service", "word"), [("brltty", "Braille"), ("ModemManager", "modem")])
def test_services_that_take_ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, service: str, word: str) -> None:
    """port-busy and doctor say what such a service does and how it leaves a port alone."""
    (tmp_path / "77").mkdir()
    (tmp_path / "77" / "comm").write_text(f"{service}\n")
    monkeypatch.setattr(holders, "_PROC", tmp_path)
    assert holders.meddlers() == [service]
    monkeypatch.setattr(holders, "holders", lambda _device: [f"{service} (pid 77)"])
    error = why("/dev/ttyUSB0", OSError(errno.EBUSY, "busy"))
    assert error.code == "port-busy" and word in error.hint and "systemctl" in error.hint
    finding = doctor._services()
    assert not finding.ok and not finding.needed and service in finding.found and "systemctl" in finding.hint


class _Choosy:
    """A port whose driver knows some rates only, as a CP2102's or one on Windows."""

    def __init__(self, error: Exception) -> None:
        self._rate, self._error = 115200, error

    @property
    def baudrate(self) -> int:
        return self._rate

    @baudrate.setter
    def baudrate(self, rate: int) -> None:
        self._rate = rate  # pyserial, too, remembers what it could not set
        if rate > 921600:
            raise self._error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EINVAL, "Invalid argument"),
        OSError("Cannot configure port, something went wrong. Original message: PermissionError(13, 'not working', None, 31)"),
        ValueError("Failed to set custom baud rate (2000000): [Errno 22] Invalid argument"),
    ],
)
def test_a_rate_that_the_driver_refuses(error: Exception) -> None:
    wire = Wire(_Choosy(error), "/dev/ttyUSB0")
    with pytest.raises(RateRefused) as caught:
        wire.baud = 2000000
    assert caught.value.code == "rate-refused" and "2000000" in caught.value.message
    assert wire.baud == 115200 and not wire.takes(1500000) and wire.takes(460800)


def test_a_port_that_is_gone_is_no_refused_rate() -> None:
    class Gone(_Choosy):
        @property
        def baudrate(self) -> int:
            return 115200

        @baudrate.setter
        def baudrate(self, rate: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(StationError) as caught:
        Wire(Gone(OSError()), "/dev/ttyUSB0").baud = 460800
    assert caught.value.code == "port-lost"
