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
_IO = -5  # LFS_ERR_IO
_NO_SPACE = -28  # LFS_ERR_NOSPC
_ABSENT = (-2, -20)  # LFS_ERR_NOENT, LFS_ERR_NOTDIR
_FOLDER = 2  # LFS_TYPE_DIR
_VERSIONS = (0x0002_0000, 0x0002_0001)  # the oldest that mounts is the disk's own: a newer one would be raised by a write


class Flash(Protocol):
    """rom_flash.RomFlash, or the part of it that is needed here."""

    def read(self, address: int, size: int) -> bytes: ...
    def write(self, address: int, content: bytes) -> None: ...


class Blocks:
    """A partition behind littlefs-python's four callbacks. `fresh` is the block that is erased and filled now, in memory, until littlefs
    turns to another one or asks for everything to be in the flash.

    The library drops exceptions of a callback and goes on with whatever was in its buffer. So none leaves here: the first one is kept in
    `error`, from then on nothing reaches the flash, every block reads as zeros, which no check sum fits, and Files raises it.
    """

    def __init__(self, flash: Flash, offset: int) -> None:
        self._flash = flash
        self._offset = offset
        self._block = -1
        self._content = bytearray()
        self.error: Exception | None = None

    def read(self, _config: Any, block: int, offset: int, size: int) -> bytes:
        if block == self._block:
            return bytes(self._content[offset : offset + size])
        if self.error is None:
            try:
                return self._flash.read(self._offset + block * BLOCK + offset, size)
            except Exception as error:  # noqa: BLE001 - raised again by Files
                self.error = error
        return bytes(size)

    def erase(self, _config: Any, block: int) -> int:
        if failed := self.flush():
            return failed
        self._block = block
        self._content = bytearray(b"\xff" * BLOCK)
        return 0

    def prog(self, _config: Any, block: int, offset: int, data: bytes) -> int:
        if self.error is not None:
            return _IO
        if block != self._block:
            return _CORRUPT
        self._content[offset : offset + len(data)] = data
        return 0

    def sync(self, _config: Any) -> int:
        return self.flush()

    def flush(self) -> int:
        """What is in memory only goes to the flash; from then on the block is as untouchable as any. 0, or littlefs's error."""
        if self.error is None and self._block >= 0:
            block, self._block = self._block, -1
            try:
                self._flash.write(self._offset + block * BLOCK, bytes(self._content))
            except Exception as error:  # noqa: BLE001 - raised again by Files
                self.error = error
        return 0 if self.error is None else _IO

    @contextmanager
    def one_call(self) -> Iterator[None]:
        """One call of the library: everything it wrote is in the flash at its end, or what went wrong is raised."""
        from littlefs import LittleFSError

        try:
            yield
            self.flush()
        except LittleFSError as error:
            if self.error is not None:
                raise self.error from None
            if error.code != _NO_SPACE:
                raise
            raise BoardError(
                "flash-full", "The board's file system has no space for this.", "Write less, or write the board anew with `twinroot flash`."
            ) from error
        if self.error is not None:
            raise self.error


class Files:
    """The files of a mounted littlefs. Paths are absolute. Raises what the flash raised (rom_flash.py), and BoardError("flash-full")."""

    def __init__(self, filesystem: Any, blocks: Blocks) -> None:
        self._fs = filesystem
        self._blocks = blocks

    def exists(self, path: str) -> bool:
        from littlefs import LittleFSError

        with self._blocks.one_call():
            try:
                self._fs.stat(path)
            except LittleFSError as error:
                if error.code not in _ABSENT:
                    raise
                return False
        return True

    def walk(self) -> Iterator[tuple[str, bool, int]]:
        """(path, whether it is a folder, size in bytes) of everything, folders before what is in them."""
        yield from self._walk("/")

    def _walk(self, folder: str) -> Iterator[tuple[str, bool, int]]:
        with self._blocks.one_call():
            entries = list(self._fs.scandir(folder))
        for entry in entries:
            path = f"{folder.rstrip('/')}/{entry.name}"
            inside = entry.type == _FOLDER
            yield path, inside, 0 if inside else entry.size
            if inside:
                yield from self._walk(path)

    def read(self, path: str) -> bytes:
        from littlefs import lfs

        with self._blocks.one_call(), self._opened(path, "r") as (volume, file):
            content: bytes = lfs.file_read(volume, file, lfs.file_size(volume, file))
        return content

    @contextmanager
    def _opened(self, path: str, mode: str) -> Iterator[tuple[Any, Any]]:
        """The library's own handles. Closed once, whatever happens: its file objects close again what did not close well, and the C code
        ends the process for that."""
        from littlefs import lfs

        volume = self._fs.fs
        file = lfs.file_open(volume, path, mode)
        try:
            yield volume, file
        finally:
            lfs.file_close(volume, file)

    def rename(self, old: str, new: str) -> None:
        with self._blocks.one_call():
            self._fs.rename(old, new)

    def remove(self, path: str) -> None:
        with self._blocks.one_call():
            self._fs.remove(path)

    def write(self, path: str, content: bytes) -> None:
        """A new file, or another content in place of what is there."""
        from littlefs import lfs

        with self._blocks.one_call(), self._opened(path, "w") as (volume, file):
            lfs.file_write(volume, file, content)

    def make_folder(self, path: str) -> None:
        with self._blocks.one_call():
            self._fs.mkdir(path)


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
            if blocks.error is not None:
                raise blocks.error from None
            continue
        if blocks.error is not None:
            raise blocks.error
        return Files(filesystem, blocks)
    raise BoardError(
        "no-file-system",
        f"Partition '{partition.label}' holds no littlefs that can be read.",
        "There are no files to keep: write the board anew with `twinroot flash PRODUCT.yaml`.",
    )
