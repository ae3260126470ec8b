"""The stand-in's state folder: made private, written atomically, used by one process at a time.

lock            held while a stand-in runs on this folder
running.json    what the running stand-in printed; removed when it stops
ports.json      the ports of the last run, taken again when they are free
authorities/    one PEM per test CA, certificate and key, 0600
roots/          the public roots and the client CA, for products to pin
served/         the chain and key that each scenario presents, 0600
devices/        client certificates that were asked for
account.sqlite  the account: things, jobs, shadows and the rest
account.env     what leads AWS's tools to it, for a shell
credentials     its access key pair, in the form of AWS's credentials file, 0600
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

from provisioning import atomic_files
from provisioning.errors import StationError

# sockaddr_un.sun_path has 104 bytes on macOS, 108 on Linux.
_LONGEST_SOCKET = 100
FOLDERS = ("authorities", "roots", "served", "devices")


def unwritable(path: Path, error: OSError) -> StationError:
    """The one sentence for every way in which the state folder cannot be used."""
    return StationError(
        "cloud-state",
        f"The cloud stand-in cannot use {path}: {error.strerror or error}.",
        "Name another folder with --state, or make this one writable.",
    )


def write(path: Path, content: bytes, mode: int = 0o644) -> Path:
    """Replace `path` by `content` in one step: a reader sees the old file or the new one; it is private until it has `mode`.

    Not synced to the disk: a test PKI that a power cut takes is made again.
    """
    try:
        atomic_files.replace(path, content, mode, durable=False)
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def socket_folder(state: Path, name: str) -> Path:
    """An empty private folder for a Unix socket: `name` in the state folder, or a temporary one where its path would be too long."""
    folder = state / name
    try:
        if len(os.fsencode(folder / "socket")) > _LONGEST_SOCKET:
            return Path(tempfile.mkdtemp(prefix="twinroot-cloud-"))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


class State:
    """A state folder, locked for this process. Raises StationError when it cannot be written or another stand-in runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._lock: IO[bytes] | None = None

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    @property
    def running(self) -> Path:
        return self.folder / "running.json"

    def open(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in FOLDERS:
                (self.folder / name).mkdir(exist_ok=True, mode=0o700)
            lock = (self.folder / "lock").open("ab")
        except OSError as error:
            raise unwritable(self.folder, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise StationError(
                "cloud-running",
                f"Another cloud stand-in is running on {self.folder}.",
                "Stop it, or name another folder with --state.",
            ) from error
        self._lock = lock

    def close(self) -> None:
        if self._lock is None:
            return
        with contextlib.suppress(FileNotFoundError):
            self.running.unlink()
        self._lock.close()
        self._lock = None
