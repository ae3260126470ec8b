"""The board's littlefs while the chip waits in its ROM loader: blocks are read when they are looked at, and written so that power may go.

A block is written by erasing it first, so a block that littlefs believes in must never be the one that is written. It writes metadata in
pairs: an append to the half that counts is refused here as a bad block would refuse it, whereupon littlefs writes the whole folder into
the other half, with a higher revision. Until that half is complete, check sum and all, the old one counts. Blocks reach the flash in
littlefs's own order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

from provisioning.errors import BoardError
from provisioning.flash.partition import Partition

BLOCK = 4096  # bytes, as MicroPython's ESP32 port has it
# What MicroPython mounts with (extmod/vfs_lfsx.c). With a larger cache littlefs would keep files inside a folder's metadata that
# MicroPython then reads short.
_READ_SIZE = 32
_CACHE_SIZE = 128
_CORRUPT = -84  # LFS_ERR_CORRUPT
_NO_SPACE = -28  # LFS_ERR_NOSPC
_VERSIONS = (0x0002_0000, 0x0002_0001)  # the oldest that mounts is the disk's own: a newer one would be raised by a write


class Flash(Protocol):
    """rom_flash.RomFlash, or the part of it that is needed here."""

    def read(self, address: int, size: int) -> bytes: ...
    def write(self, address: int, content: bytes) -> None: ...


class Blocks:
    """A partition behind littlefs-python's four callbacks. `fresh` is the block that is erased and filled now, in memory, until littlefs
    turns to another one or asks for everything to be in the flash."""

    def __init__(self, flash: Flash, offset: int) -> None:
        self._flash = flash
        self._offset = offset
        self._block = -1
        self._content = bytearray()

    def read(self, _config: Any, block: int, offset: int, size: int) -> bytes:
        if block == self._block:
            return bytes(self._content[offset : offset + size])
        return self._flash.read(self._offset + block * BLOCK + offset, size)

    def erase(self, _config: Any, block: int) -> int:
        self.flush()
        self._block = block
        self._content = bytearray(b"\xff" * BLOCK)
        return 0

    def prog(self, _config: Any, block: int, offset: int, data: bytes) -> int:
        if block != self._block:
            return _CORRUPT
        self._content[offset : offset + len(data)] = data
        return 0

    def sync(self, _config: Any) -> int:
        self.flush()
        return 0

    def flush(self) -> None:
        """What is in memory only goes to the flash; from then on the block is as untouchable as any."""
        if self._block >= 0:
            block, self._block = self._block, -1
            self._flash.write(self._offset + block * BLOCK, bytes(self._content))


class Files:
    """The files of a mounted littlefs. Paths are absolute."""

    def __init__(self, filesystem: Any, blocks: Blocks) -> None:
        self._fs = filesystem
        self._blocks = blocks

    def exists(self, path: str) -> bool:
        from littlefs import LittleFSError

        try:
            self._fs.stat(path)
        except LittleFSError:
            return False
        return True

    def walk(self) -> Iterator[tuple[str, bool, int]]:
        """(path, whether it is a folder, size in bytes) of everything, folders before what is in them."""
        yield from self._walk("/")

    def _walk(self, folder: str) -> Iterator[tuple[str, bool, int]]:
        for entry in self._fs.scandir(folder):
            path = f"{folder.rstrip('/')}/{entry.name}"
            inside = entry.type == 2  # LFS_TYPE_DIR
            yield path, inside, 0 if inside else entry.size
            if inside:
                yield from self._walk(path)

    def read(self, path: str) -> bytes:
        with self._fs.open(path, "rb") as file:
            content: bytes = file.read()
        return content

    def rename(self, old: str, new: str) -> None:
        with _room():
            self._fs.rename(old, new)
        self._blocks.flush()

    def remove(self, path: str) -> None:
        self._fs.remove(path)
        self._blocks.flush()

    def write(self, path: str, content: bytes) -> None:
        """A new file, or another content in place of what is there."""
        # Unbuffered: the file is written in one call anyway.
        with _room(), self._fs.open(path, "wb", buffering=0) as file:
            file.write(content)
        self._blocks.flush()

    def make_folder(self, path: str) -> None:
        with _room():
            self._fs.mkdir(path)
        self._blocks.flush()


@contextmanager
def _room() -> Iterator[None]:
    from littlefs import LittleFSError

    try:
        yield
    except LittleFSError as error:
        if error.code != _NO_SPACE:
            raise
        raise BoardError(
            "flash-full", "The board's file system has no room for this.", "Write less, or write the board anew with `twinroot flash`."
        ) from error


def mount(flash: Flash, partition: Partition) -> Files:
    """The littlefs in `partition`. Raises BoardError where there is none that can be read."""
    from littlefs import LittleFS, LittleFSError

    for version in _VERSIONS:
        blocks = Blocks(flash, partition.offset)
        filesystem = LittleFS(
            context=cast(Any, blocks),  # the four callbacks are all it calls
            mount=False,
            block_size=BLOCK,
            block_count=partition.size // BLOCK,
            block_cycles=-1,  # never move a folder only because its block was written often
            read_size=_READ_SIZE,
            prog_size=_READ_SIZE,
            lookahead_size=_READ_SIZE,
            cache_size=_CACHE_SIZE,
            disk_version=version,
        )
        try:
            filesystem.mount()
        except LittleFSError:
            continue
        return Files(filesystem, blocks)
    raise BoardError(
        "no-file-system",
        f"Partition '{partition.label}' holds no littlefs that can be read.",
        "There are no files to keep: write the board anew with `twinroot flash PRODUCT.yaml`.",
    )
