"""A raw REPL in a few lines, for the tests of the board itself: everything has a timeout."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import serial


class Repl:
    """Talks to the board over any pyserial URL or device."""

    def __init__(self, port: str, rate: int = 115200) -> None:
        self.port = serial.serial_for_url(port, rate, timeout=0.2)

    def close(self) -> None:
        self.port.close()

    def until(self, mark: bytes, timeout: float = 30.0) -> bytes:
        """Reads up to and with `mark`; AssertionError with what came instead when it does not come."""
        got = b""
        deadline = time.monotonic() + timeout
        while mark not in got:
            more = self.port.read(max(1, self.port.in_waiting))
            got += more
            if not more and time.monotonic() > deadline:
                raise AssertionError(f"{mark!r} did not come, but {got[-400:]!r}")
        return got

    def enter(self) -> None:
        """Interrupts whatever runs and enters the raw REPL."""
        self.port.write(b"\r\x03\x03")
        time.sleep(0.02)
        self.port.reset_input_buffer()
        self.port.write(b"\r\x01")
        self.until(b"raw REPL; CTRL-B to exit\r\n>")

    def run(self, code: str, timeout: float = 30.0) -> str:
        """Runs code in the raw REPL; its output. AssertionError when it raised."""
        self.port.write(code.encode() + b"\x04")
        answer = self.until(b"\x04>", timeout)
        head, output, error, _ = _parts(answer)
        assert head == b"OK", answer
        assert not error, error.decode()
        return output.decode("utf-8", "replace")

    def error(self, code: str, timeout: float = 30.0) -> str:
        """Runs code that is expected to raise; the traceback."""
        self.port.write(code.encode() + b"\x04")
        return _parts(self.until(b"\x04>", timeout))[2].decode()


def _parts(answer: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    body, error, rest = answer.split(b"\x04")
    return body[:2], body[2:], error, rest


def repl(port: str) -> Repl:
    """In the raw REPL."""
    link = Repl(port)
    link.enter()
    return link


class Lines:
    """A port on which a line is answered with a line."""

    def __init__(self, port: str) -> None:
        self._port = serial.serial_for_url(port, 115200, timeout=0.2)

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None:
        self._port.close()

    def write(self, text: str) -> None:
        self._port.write(text.encode())

    def until(self, mark: str, timeout: float = 20.0) -> str:
        """What comes up to the end of the line with `mark`."""
        got = b""
        deadline = time.monotonic() + timeout
        while b"\n" not in got.partition(mark.encode())[2]:
            got += self._port.read(max(1, self._port.in_waiting))
            assert time.monotonic() < deadline, f"{mark!r} did not come, but {got[-400:]!r}"
        return got.decode()

    def ask(self, line: str, mark: str) -> str:
        """The rest of the line that begins with `mark`, which comes after this line."""
        self.write(line + "\n")
        return self.until(mark).partition(mark)[2].splitlines()[0]

    def timed(self, step: Callable[[], object]) -> float:
        began = time.monotonic()
        step()
        return time.monotonic() - began


def gone(pid: int, within: float = 5.0) -> bool:
    """Whether the process ends in time."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False
