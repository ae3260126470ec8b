"""A file system as a flash holds it, made and read without the host tools and without MicroPython: littlefs-python alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from littlefs import LittleFS

BLOCK = 4096
_DISK_VERSION = 0x0002_0000  # what MicroPython writes


def made(tree: Mapping[str, bytes], blocks: int) -> bytes:
    """The image of `tree` (absolute path -> content), `blocks` of BLOCK bytes."""
    return _put(LittleFS(block_size=BLOCK, block_count=blocks, disk_version=_DISK_VERSION), tree)


def added(image: bytes, tree: Mapping[str, bytes]) -> bytes:
    """The same image with more files, or other contents."""
    return _put(_mounted(image), tree)


def files(image: bytes) -> dict[str, bytes]:
    """Absolute path -> content of every file."""
    fs = _mounted(image)
    found: dict[str, bytes] = {}
    for folder, _, names in fs.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with fs.open(path, "rb") as file:
                found[path] = file.read()
    return found


def _mounted(image: bytes) -> LittleFS:
    fs = LittleFS(block_size=BLOCK, block_count=len(image) // BLOCK, mount=False)
    fs.context.buffer = bytearray(image)
    fs.mount()
    return fs


def _put(fs: LittleFS, tree: Mapping[str, bytes]) -> bytes:
    for path, data in tree.items():
        fs.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
        with fs.open(path, "wb") as file:
            file.write(data)
    return bytes(fs.context.buffer)
