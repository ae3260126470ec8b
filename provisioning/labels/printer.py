"""The ways to a printer: a raw TCP port, a file, a command.

Port 9100 confirms nothing, so a Zebra printer is asked for its state (~HS, Programming Guide for ZPL II, "Host Status Return") before the
label and after it: an empty roll, an open head or a pause is an error here and not a label that nobody misses.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from provisioning import output_file
from provisioning.config.template import fill
from provisioning.errors import InputError, StationError
from provisioning.labels import command

PORT = 9100
_REPLY = re.compile(rb"\x02([^\x03]*)\x03")
# Of the first and second string of the answer to ~HS: index of a field that is 1 -> what is wrong.
_FIRST = {1: "is out of paper", 2: "is paused", 5: "has a full buffer", 9: "has lost its memory", 10: "is too cold", 11: "is too hot"}
_SECOND = {2: "has its head open", 3: "is out of ribbon"}


@dataclass(frozen=True)
class Printer:
    """Where a label goes. `where`: tcp://HOST:PORT, file:PATH with {fields}, or a command and its arguments. `folder`: of the product file.
    `asks`: whether a printer on TCP is asked for its state."""

    where: str | tuple[str, ...]
    folder: Path
    seconds: float
    asks: bool
    sources: tuple[Path, ...] = ()  # no label takes the place of what it is made from

    def send(self, label: bytes, fields: Mapping[str, str]) -> None:
        """Print. Raises StationError, within the time limit and a little more, and InputError where another file has the label's name."""
        if not isinstance(self.where, str):
            command.run(self.where, label, self.seconds, {}, self.folder)
        elif self.where.startswith("file:"):
            self._to_file(label, fields)
        else:
            self._over_tcp(label)

    def _to_file(self, label: bytes, fields: Mapping[str, str]) -> None:
        plain = {name: re.sub(r"[^A-Za-z0-9._-]", "_", text) for name, text in fields.items()}
        file = self.folder / fill(str(self.where).removeprefix("file:"), plain)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StationError("printer-failed", f"{file} cannot be written: {error.strerror}.", "Check the folder and the disk.") from None
        output_file.write(file, label, output_file.LABEL, self.sources)

    def _over_tcp(self, label: bytes) -> None:
        host, port = address(str(self.where))
        deadline = time.monotonic() + self.seconds
        try:
            with socket.create_connection((host, port), timeout=self.seconds) as line:
                if self.asks:
                    _check_state(line, deadline, host)
                line.settimeout(max(0.01, deadline - time.monotonic()))
                line.sendall(label)
                if self.asks:
                    _check_state(line, deadline, host)
                line.shutdown(socket.SHUT_WR)
        except TimeoutError:
            raise StationError(
                "printer-hangs",
                f"The printer {host}:{port} did not take the label within {self.seconds:g} s.",
                "Look at it, and at its network; `status: false` for one that does not answer ~HS.",
            ) from None
        except OSError as error:
            raise StationError(
                "printer-failed",
                f"The printer {host}:{port} cannot be reached: {error.strerror or error}.",
                "Is it on, and on the network?",
            ) from None


def _check_state(line: socket.socket, deadline: float, host: str) -> None:
    """Ask until the printer's three strings are there. Raises StationError for a printer that is not ready, TimeoutError, OSError."""
    line.sendall(b"~HS\r\n")
    said = b""
    while len(strings := _REPLY.findall(said)) < 3:
        line.settimeout(max(0.01, deadline - time.monotonic()))
        part = line.recv(1024)
        if not part or len(said) > 4096:
            raise ConnectionError("it does not answer ~HS")
        said += part
    for string, meanings in zip(strings, (_FIRST, _SECOND), strict=False):
        values = string.split(b",")
        wrong = [text for index, text in meanings.items() if index < len(values) and values[index].strip() == b"1"]
        if wrong:
            raise StationError("printer-not-ready", f"The printer {host} {' and '.join(wrong)}.", "Mend that; then `twinroot label retry`.")


def address(where: str) -> tuple[str, int]:
    """Host and port of tcp://HOST:PORT. Raises InputError."""
    try:
        parts = urlsplit(where)
        if parts.scheme != "tcp" or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.username is not None:
            raise ValueError
        return parts.hostname, parts.port or PORT
    except ValueError:
        raise InputError(
            "bad-printer", f"{where[:80]!r} is not a printer.", "Write tcp://HOST:9100, file:PATH, or a list: a command and its arguments."
        ) from None
