"""What is on the other end when it is not a MicroPython prompt: one code, one sentence, a next step, an end to every wait."""

from __future__ import annotations

import os
import pty
import socket
import threading
import time
import tty
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from provisioning.errors import BoardError, InputError, StationError
from provisioning.job.report import Report
from provisioning.job.rollback import rollback
from provisioning.link.board_messages import explain
from provisioning.link.port import open_port
from provisioning.link.repl import PROMPT, RawRepl

BOOT_LOOP = b"rst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\ninvalid header: 0xffffffff\r\ninvalid header: 0xffffffff\r\n"
SAYINGS = {
    "no-firmware": BOOT_LOOP,
    "rom-loader": b"rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\nwaiting for download\r\n",
    "esp-at": b"\r\nready\r\nAT version:2.4.0.0(s-4c6eb5e - ESP32)\r\n",
    "other-firmware": b"I (312) app: temperature 21.5 C, humidity 40 %, battery 3.91 V\r\n",
    "crash-loop": b"Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n",
    "repl-unreachable": b'Traceback (most recent call last):\r\n  File "main.py", line 3\r\nKeyboardInterrupt: \r\n',
    "garbled": b"\xfe\x80\x00\xf8\xe0\x1c\x86\xff" * 8,
    "board-silent": b"",
}


class Modem:
    """The other end of a pseudo-terminal that says nothing but ERROR and OK to the lines it gets, as AT firmware does."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def _answer(self) -> None:
        line = b""
        while True:
            try:
                line += os.read(self.master, 4096)
            except OSError:
                return
            *lines, line = line.split(b"\r\n")
            for one in lines:
                os.write(self.master, b"\r\nOK\r\n" if one == b"AT" else b"\r\nERROR\r\n")

    def close(self) -> None:
        os.close(self.slave)  # ends the read
        self._thread.join(5.0)
        os.close(self.master)


class Talker:
    """The other end of a pseudo-terminal that says the same thing over and over."""

    def __init__(self, saying: bytes) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        self._saying = saying
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        os.set_blocking(self.master, False)
        while not self._stop.wait(0.05):
            try:
                os.write(self.master, self._saying)
                os.read(self.master, 4096)
            except BlockingIOError:
                continue

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self.master)
        os.close(self.slave)


class Booting:
    """The other end of a pseudo-terminal that ends its boot loader's text, mounts slow flash, and then answers what it was sent."""

    def __init__(self, seconds: float) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        os.write(self.master, b"load:0x40080404,len:3180\r\nentry 0x400805c8\r\n")
        self._timer = threading.Timer(seconds, lambda: os.write(self.master, b"\r\n>>> \r\n" + PROMPT))
        self._timer.start()

    def close(self) -> None:
        self._timer.join()
        os.close(self.slave)
        os.close(self.master)


def test_the_last_words_of_a_boot_are_enough_to_wait_for_its_end() -> None:
    """The first ones were heard by the transfer that the reset broke off. It takes longer than all interrupts together."""
    other = Booting(7.0)
    try:
        with open_port(other.port) as wire:
            said = bytearray(wire.read(1.0))
            assert RawRepl(wire)._wait_for_boot(said)
    finally:
        other.close()


class Refused(NamedTuple):
    """How a try to get a prompt ended: its port, what was raised or reported, seconds."""

    port: str
    error: BoardError | Report
    seconds: float


def knocked(saying: bytes) -> Refused:
    other = Talker(saying)
    started = time.monotonic()
    try:
        with pytest.raises(BoardError) as caught, open_port(other.port) as wire:
            RawRepl(wire).enter(patience=3.0)
        return Refused(other.port, caught.value, time.monotonic() - started)
    finally:
        other.close()


def rolled_back(other: Modem | Talker) -> Refused:
    started = time.monotonic()
    try:
        return Refused(other.port, rollback(other.port), time.monotonic() - started)
    finally:
        other.close()


@pytest.fixture(scope="module")
def refused() -> Iterator[Mapping[str, Future[Refused]]]:
    """Each of these is waited for until patience ends: all at once."""
    with ThreadPoolExecutor(len(SAYINGS) + 2) as pool:
        ways = {name: pool.submit(knocked, saying) for name, saying in SAYINGS.items()}
        ways["a modem"] = pool.submit(lambda: rolled_back(Modem()))
        ways["a job"] = pool.submit(lambda: rolled_back(Talker(BOOT_LOOP)))
        yield ways


@pytest.mark.parametrize("code", SAYINGS)
def test_not_a_prompt(refused: Mapping[str, Future[Refused]], code: str) -> None:
    port, error, seconds = refused[code].result()
    assert error.code == code
    assert port in error.message
    assert error.message.endswith(".") and error.hint.endswith(".")
    assert seconds < 20


def test_a_modem_that_only_answers(refused: Mapping[str, Future[Refused]]) -> None:
    report = refused["a modem"].result().error
    assert isinstance(report, Report)
    assert (report.outcome, report.code, report.exit_code) == ("fail", "esp-at", 1), report.message


def test_a_job_reports_it(refused: Mapping[str, Future[Refused]]) -> None:
    report = refused["a job"].result().error
    assert isinstance(report, Report)
    assert (report.outcome, report.code, report.exit_code) == ("fail", "no-firmware", 1)
    assert "twinroot flash" in report.hint


def test_no_such_port(tmp_path: Path) -> None:
    report = rollback(str(tmp_path / "ttyUSB9"))
    assert (report.outcome, report.code, report.exit_code) == ("error", "port-not-found", 3)


def test_port_in_use_names_the_program() -> None:
    other = Talker(b"")
    try:
        with open_port(other.port), pytest.raises(StationError) as caught, open_port(other.port):
            pass
    finally:
        other.close()
    assert caught.value.code == "port-busy"


def test_no_port_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWINROOT_PORT", "ESPPORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError) as caught, open_port(None):
        pass
    assert caught.value.code == "no-port"


def test_port_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ESPPORT", str(tmp_path / "from-the-environment"))
    with pytest.raises(StationError) as caught, open_port(None):
        pass
    assert "from-the-environment" in caught.value.message


@pytest.mark.parametrize("url", ["nothing://x", "rfc2217://", "socket://127.0.0.1:1"])
def test_urls_that_lead_nowhere(url: str) -> None:
    with pytest.raises((InputError, StationError)) as caught, open_port(url):
        pass
    assert caught.value.hint


def test_a_socket_that_closes() -> None:
    """A port server that goes away in the middle: the station's fault, one sentence."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        report = rollback(f"socket://127.0.0.1:{server.getsockname()[1]}")
    assert (report.outcome, report.code, report.exit_code) == ("error", "port-lost", 3)


@pytest.mark.parametrize("word", ["DEEPSLEEP_RESET", "DSLEEP"])
def test_a_board_that_sleeps_is_known_by_the_word_of_each_chip(word: str) -> None:
    """The ROM of the ESP32, and those of later chips."""
    said = f"ets Jul 29 2019\r\nrst:0x5 ({word}),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n".encode()
    assert explain(said, "COM9").code == "asleep"
