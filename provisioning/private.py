"""Files that decide what runs on a device, in folders of the user's own: nobody else can write them, whatever the umask is, and what
somebody else could have written is not taken.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from provisioning import atomic_files

_FOLDER, _FILE = 0o700, 0o600
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def folder(path: Path) -> Path:
    """`path`, made with its parents where it is missing; one of the user's that others may write is taken from them. Raises OSError."""
    if not path.is_dir():
        path.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        path.chmod(_FOLDER)
    elif _is_exposed(path.stat()) and path.stat().st_uid == _me():
        path.chmod(_FOLDER)
    return path


def read(path: Path) -> bytes:
    """The content of `path`. Raises OSError, also where somebody else than the user could have written it."""
    with path.open("rb") as file:
        for found in (os.fstat(file.fileno()), path.parent.stat()):
            if _is_exposed(found):
                raise PermissionError(f"{path} can be written by others")
        return file.read()


def write(path: Path, content: bytes) -> None:
    """`content` as `path`, whole or not at all; two writers at once do no harm. Raises OSError."""
    folder(path.parent)
    atomic_files.replace(path, content, _FILE, durable=False)


def _me() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _is_exposed(found: os.stat_result) -> bool:
    """Whether somebody else than the user, or root, may have written this."""
    return os.name != "nt" and (bool(found.st_mode & _OTHERS_WRITE) or found.st_uid not in (_me(), 0))
