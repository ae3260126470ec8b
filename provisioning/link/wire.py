"""The line to a board as bytes with deadlines: every read and every write ends, and what passes is counted."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable
from typing import Any

from provisioning.errors import StationError
from provisioning.link import rates, resets
from provisioning.link.events import Event, Listener, silent
from provisioning.link.patience import TELL_EVERY, Pace


def _cause(error: Exception) -> str:
    """What a person can use of the system's word; pyserial's own texts are for programmers."""
    if "write timeout" in str(error).lower():
        return ": it takes no bytes any more"
    code = getattr(error, "errno", None)
    return {errno.ECONNRESET: ": the other end closed it", errno.EPIPE: ": the other end closed it"}.get(code, "") if code else ""


def lost(name: str, error: Exception) -> StationError:
    return StationError(
        "port-lost",
        f"The connection on {name} went away while it was in use{_cause(error)}.",
        "Check the cable, plug the board in again, and run the same command: it goes on where this one stopped.",
    )


def not_back(name: str) -> StationError:
    """The chip that is its own USB device stays away."""
    return StationError(
        "port-lost",
        f"The board's USB port {name} went away and did not come back.",
        "Check the cable. A boot.py that does not end keeps the port of an ESP32-S2 or S3 away: hold BOOT, press RESET, then "
        "`twinroot rescue --port PORT`.",
    )


# What a board says on a UART when it starts. A USB port that goes away with the reset loses it, and it is put in its place.
RETURNED = b"\r\nrst:0x (USB)\r\n"
Follow = Callable[[], "tuple[Any, str] | None"]


class RateRefused(StationError):
    """The adapter's driver does not set this rate; the line is as it was before."""


def _refuses_rate(error: Exception) -> bool:
    """EINVAL ("Invalid argument") on Linux and macOS; on Windows error 31 or 87, which pyserial puts into its text."""
    text = str(error)
    return getattr(error, "errno", None) == errno.EINVAL or "Invalid argument" in text or bool(re.search(r", (?:31|87)\)", text))


class Wire:
    """A pyserial-like object (read, write, in_waiting, baudrate, dtr, rts, close) with deadlines instead of timeouts.

    The wrapped port's own read timeout is the longest slice that one read may block (seconds, a few hundredths).
    """

    def __init__(self, serial: Any, name: str, baud: int = rates.HOME) -> None:
        self.serial = serial
        self.name = name
        self.home_baud = baud
        self.sent = 0
        self.received = 0
        self.turns = 0
        self.carried_at = baud  # the rate of the last transfer
        self.started = time.monotonic()
        self.pace = Pace()  # of the board at the other end
        self.events: Listener = silent
        self._announced = 0  # how often this silence was told
        self.has_lines = True  # until the port says that it has no control lines
        self._sending = False
        self._kept = b""  # arrived, but read by nobody yet
        self.follow: Follow | None = None  # opens the port of a chip that is its own USB device where that has come back
        self.returns = 0  # how often that was

    @property
    def native(self) -> bool:
        """Whether the chip is the USB device: rates mean nothing, and the port goes away with each reset."""
        return self.follow is not None

    @property
    def baud(self) -> int:
        return int(self.serial.baudrate)

    @baud.setter
    def baud(self, rate: int) -> None:
        if rate == self.baud:
            return
        before = self.baud
        try:
            self.serial.baudrate = rate
        except (OSError, ValueError) as error:
            if not (isinstance(error, ValueError) or _refuses_rate(error)):
                raise lost(self.name, error) from error
            self.serial.baudrate = before
            raise RateRefused(
                "rate-refused",
                f"The adapter on {self.name} does not take {rate} baud.",
                "Lower `baud: {max: …}` in the board file, or use another adapter.",
            ) from error

    def takes(self, rate: int) -> bool:
        """Set `rate`, where the adapter's driver has it."""
        try:
            self.baud = rate
        except RateRefused:
            return False
        return True

    def write(self, data: bytes) -> None:
        """Send `data`. Raises StationError when the port is gone or takes no bytes any more.

        What is written to a chip that has just taken its own port away is lost, as it is on a UART while a board starts.
        """
        if not self._sending:
            self._sending = True
            self.turns += 1
        try:
            self.serial.write(data)
        except OSError as error:  # pyserial's exceptions are OSErrors, its write timeout too
            self.gone(error)
        self.sent += len(data)

    def gone(self, error: Exception) -> None:
        """The port has gone away. Returns when it has come back, as that of a chip that was reset does; else raises StationError."""
        if self.follow is None or "write timeout" in str(error).lower():
            raise lost(self.name, error) from error
        self.serial.close()
        found = self.follow()
        if found is None:
            raise not_back(self.name) from error
        self.serial, name = found
        self.returns += 1
        self._kept = RETURNED
        self._sending = False
        text = f"The board's USB port went away and came back{'' if name == self.name else f' as {name}'}."
        self.events(Event("note", {"text": text}))
        self.name = name

    def read(self, seconds: float) -> bytes:
        """What has arrived: at least one byte, or b"" after `seconds`."""
        if self._kept:
            data, self._kept = self._kept, b""
            return data
        deadline = time.monotonic() + seconds
        while True:
            try:
                data = bytes(self.serial.read(max(1, self.serial.in_waiting)))
            except (OSError, TypeError) as error:  # pyserial turns a closed descriptor into TypeError
                self.gone(error)
                return self.read(0.0)
            if data:
                if self._sending:
                    self._sending = False
                    self.turns += 1
                self.received += len(data)
                return data
            if time.monotonic() >= deadline:
                return b""

    def glance(self, seconds: float) -> bytes:
        """What has arrived, b"" after `seconds`, which may be less than the port's own slice of a read."""
        deadline = time.monotonic() + seconds
        try:
            while not self._kept and not self.serial.in_waiting:
                if time.monotonic() >= deadline:
                    return b""
                time.sleep(0.001)
        except (OSError, TypeError) as error:
            self.gone(error)
        return self.read(0.0)

    def take(self, count: int, seconds: float) -> bytes:
        """Exactly `count` bytes, fewer when `seconds` pass without them. What came after them is kept for the next read."""
        data = bytearray()
        deadline = time.monotonic() + seconds
        while len(data) < count:
            more = self.read(max(0.0, deadline - time.monotonic()))
            if not more:
                break
            data += more
        self._kept = bytes(data[count:]) + self._kept
        return bytes(data[:count])

    def until(self, mark: bytes, seconds: float) -> bytes:
        """Everything up to and including `mark`; what arrived so far when `seconds` pass without it. The rest is kept."""
        data = bytearray()
        deadline = time.monotonic() + seconds
        while mark not in data:
            left = deadline - time.monotonic()
            more = self.read(max(0.0, left))
            if not more:
                return bytes(data)
            data += more
            if left < 0 and mark not in data:  # a board that never stops talking
                return bytes(data)
        end = data.index(mark) + len(mark)
        self._kept = bytes(data[end:]) + self._kept
        return bytes(data[:end])

    def unread(self, data: bytes) -> None:
        """Give back what was read too far."""
        self._kept = data + self._kept

    def discard(self, quiet: float = 0.02, at_most: float = 1.0) -> bytes:
        """Read until the line is silent for `quiet` seconds, or for `at_most` seconds when it never is."""
        data = bytearray()
        deadline = time.monotonic() + at_most
        while time.monotonic() < deadline:
            more = self.read(quiet)
            if not more:
                break
            data += more
        return bytes(data)

    def announce(self, quiet: float, limit: float) -> None:
        """Tell, every few seconds, that the board has given no sign of life for `quiet` seconds and is given up after `limit`."""
        times = int(quiet / TELL_EVERY)
        if times > self._announced:
            text = f"No sign of life from the board on {self.name} for {quiet:.0f} s; it is given up after {limit:.0f} s."
            self.events(Event("quiet", {"seconds": quiet, "limit": limit, "text": text}))
        self._announced = times

    def seconds(self) -> float:
        return time.monotonic() - self.started

    def counters(self) -> dict[str, Any]:
        """The report's `wire` field."""
        counts = {"sent": self.sent, "received": self.received, "turns": self.turns, "seconds": round(self.seconds(), 3)}
        return {**counts, "baud": self.carried_at}

    def reset_board(self) -> bool:
        """The board boots its firmware. False when the port has no control lines, as a pseudo-terminal, or they are not to be pulled."""
        self.has_lines = self.has_lines and self.pull(resets.RUN)
        return self.has_lines

    def pull(self, reset: resets.Reset) -> bool:
        """Reset the chip by the control lines; False when the port has none."""
        try:
            resets.pull(self.serial, reset)
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return False
            self.gone(error)  # a chip that is its own USB device goes away with the reset
        return True

    def close(self) -> None:
        self.serial.close()
