"""A client of a board's control socket (control.py): one JSON line there, one back."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from provisioning.errors import StationError
from provisioning.virtual import error_reply

_ANSWER_TIMEOUT = 60.0  # s; a wait is asked for at most this long


class BoardGone(StationError):
    """The process of the virtual board is gone; what it said last may tell why."""


class Channel:
    """One connection to the socket `path`, tried for `timeout` seconds. Raises StationError when nobody answers there."""

    def __init__(self, path: Path, timeout: float = 0.0) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_ANSWER_TIMEOUT)
        try:
            self._connect(time.monotonic() + timeout)
        except OSError as error:
            self._socket.close()
            raise StationError(
                "virtual-not-running",
                f"No virtual board runs on the state folder {path.parent}",
                f"Start one with `twinroot virtual --state {path.parent}`.",
            ) from error

    def _connect(self, deadline: float) -> None:
        # Through a descriptor of the folder: the name of a socket has at most 107 bytes.
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            while True:
                try:
                    self._socket.connect(f"/proc/self/fd/{folder}/{self._path.name}")
                    return
                except (FileNotFoundError, ConnectionRefusedError):
                    if time.monotonic() >= deadline:
                        raise
                    time.sleep(0.01)
        finally:
            os.close(folder)

    def call(self, command: str, **arguments: Any) -> Any:
        """One command. Raises what the board refuses it with, and StationError when its process is gone."""
        try:
            self._socket.sendall(json.dumps({"do": command, **arguments}).encode() + b"\n")
            line = self._read_line()
        except OSError as error:
            raise BoardGone(
                "virtual-gone", f"The process of the virtual board on {self._path.parent} is gone", "Start it again."
            ) from error
        answer = json.loads(line)
        if not answer["ok"]:
            raise error_reply.raised_by(answer)
        return answer["result"]

    def _read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            more = self._socket.recv(1 << 20)
            if not more:
                raise ConnectionResetError
            line += more
        return line

    def close(self) -> None:
        self._socket.close()
