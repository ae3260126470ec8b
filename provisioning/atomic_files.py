"""Files that appear whole or not at all: a reader, and a power cut, sees the old content or the new, never a part."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace(file: Path, content: bytes, mode: int | None = None, *, durable: bool = True) -> None:
    """Put `content` under the name `file`, with the permissions of the file that was there, `mode` (default 0o644) for a new one.

    `durable`: it is on the disk when this returns; else a power cut may take it back. Private until it is in place. Raises OSError.
    """
    if mode is None:
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
    temporary = _beside(file, content, durable)
    try:
        temporary.chmod(mode)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def create(file: Path, content: bytes, mode: int) -> None:
    """The same for a name that must be free: of two that create it one wins. Raises FileExistsError, OSError."""
    temporary = _beside(file, content, durable=True)
    try:
        temporary.chmod(mode)
        _publish(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def _beside(file: Path, content: bytes, durable: bool) -> Path:
    """A file in the same folder that holds `content`; mkstemp makes it 0600 and new, so a key is at no moment readable by others."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _publish(temporary: Path, file: Path) -> None:
    """Give `temporary` the name `file`, or FileExistsError."""
    if os.name == "nt":
        temporary.rename(file)  # fails where the name is taken
        return
    try:
        os.link(temporary, file)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as a USB stick's: the name is taken first, then the content put under it
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        temporary.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
