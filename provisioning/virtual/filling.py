"""A full file system on demand: one file takes what is left of the board's littlefs.

The littlefs library stays out of the hardware process, whose memory every interpreter would carry: this file is both the board's
side and, as `python -m provisioning.virtual.filling`, the process that has the library. Partition in and out through its pipes.
"""

from __future__ import annotations

import subprocess
import sys

from provisioning.errors import InputError, StationError
from provisioning.virtual import partition
from provisioning.virtual.circuit import Circuit

FILE = "full.bin"
_BLOCK = 4096
_NO_SPACE = -28  # LFS_ERR_NOSPC
_DISK_VERSION = 0x00020000  # every MicroPython with littlefs 2 reads it
_TIMEOUT = 60.0  # s; 14 MB take about two
_NO_LITTLEFS = 4


def fill(board: Circuit, free: int) -> None:
    """Leaves `free` bytes, rounded to blocks of 4096. A running board is reset. Raises InputError where there is no littlefs."""
    _change(board, str(free))


def clear(board: Circuit) -> None:
    """Takes the file away again."""
    _change(board, "clear")


def _change(board: Circuit, what: str) -> None:
    where = _files(board)
    running = board.powered
    if running:
        # A mounted file system must not change under MicroPython.
        board.hold_in_reset()
    try:
        command = [sys.executable, "-m", "provisioning.virtual.filling", what]
        done = subprocess.run(command, input=board.flash.peek(where.offset, where.size), capture_output=True, timeout=_TIMEOUT, check=False)
        if done.returncode == _NO_LITTLEFS:
            raise InputError("fault", "The board's file system is neither littlefs nor blank", "Write one first, or erase the partition.")
        if done.returncode or len(done.stdout) != where.size:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise StationError("virtual-fill", f"The file system could not be filled: {said[-1] if said else 'no answer'}", "Report it.")
        board.flash.load(done.stdout, where.offset)
    except subprocess.TimeoutExpired as error:
        raise StationError("virtual-fill", f"Filling took longer than {_TIMEOUT:g} s", "The computer is too busy: try again.") from error
    finally:
        if running:
            board.restart("pin")


def _files(board: Circuit) -> partition.PartitionEntry:
    try:
        rows = partition.decode(board.flash.peek(partition.TABLE_OFFSET, partition.TABLE_SIZE))
    except ValueError:
        rows = ()
    found = next((row for row in rows if row.label == "vfs"), None)
    if found is None:
        raise InputError("fault", "The board's flash has no partition `vfs` to fill", "Write a firmware with one first.")
    return found


def filled(image: bytes, free: int | None) -> bytes:
    """The littlefs in `image` with FILE taking all but `free` bytes of it; without FILE when `free` is None. LittleFSError when
    `image` is neither a littlefs nor blank."""
    from littlefs import LittleFS, LittleFSError
    from littlefs.context import UserContext

    def opened(content: bytes, version: int) -> tuple[LittleFS, UserContext]:
        context = UserContext(len(content))
        context.buffer = bytearray(content)
        fs = LittleFS(
            context,
            mount=False,
            disk_version=version,
            block_size=_BLOCK,
            block_count=len(content) // _BLOCK,
            read_size=32,
            prog_size=32,
            cache_size=_BLOCK,
        )
        if not content.strip(b"\xff"):
            fs.format()
        fs.mount()
        return fs, context

    # A newer library would raise the version on the disk when it writes: the oldest that mounts is the disk's own.
    try:
        version = _DISK_VERSION
        fs, context = opened(image, version)
    except LittleFSError:
        version = 0  # the library's own, the newest
        fs, context = opened(image, version)
    if FILE in fs.listdir("/"):
        fs.remove(FILE)
    if free is None:
        return bytes(context.buffer)
    empty = bytes(context.buffer)
    blocks = max(0, fs.block_count - fs.used_block_count - free // _BLOCK)
    # A file needs some blocks more than its content: what fits is found from above.
    while blocks > 0:
        fs, context = opened(empty, version)
        try:
            with fs.open(FILE, "wb") as file:
                # Two bytes less in each block on average are littlefs's own pointers.
                file.write(bytes([0xA5]) * (blocks * (_BLOCK - 8)))
            return bytes(context.buffer)
        except LittleFSError as error:
            if error.code != _NO_SPACE:
                raise
        blocks -= 1
    return empty


def main() -> int:
    from littlefs import LittleFSError

    what = sys.argv[1]
    try:
        sys.stdout.buffer.write(filled(sys.stdin.buffer.read(), None if what == "clear" else int(what)))
    except LittleFSError:
        return _NO_LITTLEFS
    return 0


if __name__ == "__main__":
    sys.exit(main())
