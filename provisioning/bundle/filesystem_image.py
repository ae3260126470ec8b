"""A bundle as a littlefs image for the board's partition: what a blank board gets in one go, without a prompt and without a copy per file.

The parameters are those of MicroPython's VfsLfs2 (extmod/vfs_lfsx.c): 32-byte reads and writes, a cache of 128 bytes. The cache decides
which small files lie inside their folder's metadata: with a larger one MicroPython would read such files short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from provisioning.bundle.bundle import Bundle
from provisioning.config.board_type import BoardType
from provisioning.config.document import wrong

_READ_SIZE = 32
_CACHE_SIZE = 128
_DISK_VERSIONS = {"2.0": 0x0002_0000, "2.1": 0x0002_0001}


@dataclass(frozen=True)
class FilesystemImage:
    """`data`: the whole partition, 0xff where nothing was written. `used`: numbers of the blocks that must reach the flash, ascending.

    `used` holds the blocks that a reader of this file system looks at, which is more than those that were written: of a metadata pair
    littlefs writes one half, reads both, and believes the half with the higher revision. The other half must not keep what an older file
    system left there.
    """

    data: bytes = field(repr=False)
    used: tuple[int, ...]
    block_size: int

    def pieces(self, gap: int = 0, cut: int = 0) -> list[tuple[int, bytes]]:
        """(offset in the partition, content) of each run of used blocks; unused ones that part two runs are taken along up to `gap`.

        `cut`: bytes; a piece does not reach across a multiple of it. What lies in the blocks of no piece does not matter to littlefs.
        """
        size = self.block_size
        runs: list[tuple[int, int]] = []
        for block in self.used:
            within = not cut or (runs and block * size // cut == runs[-1][0] * size // cut)
            if runs and block - runs[-1][1] <= gap and within:
                runs[-1] = (runs[-1][0], block + 1)
            else:
                runs.append((block, block + 1))
        return [(first * size, self.data[first * size : end * size]) for first, end in runs]


class _Flash:
    """The partition in memory, behind littlefs-python's four callbacks; keeps the numbers of the blocks that were read or programmed."""

    def __init__(self, content: bytes | None, size: int, block_size: int) -> None:
        self.memory = bytearray(content) if content is not None else bytearray(b"\xff") * size
        self.used: set[int] = set()
        self._size = block_size
        self._erased = b"\xff" * block_size

    def read(self, _config: Any, block: int, offset: int, size: int) -> bytearray:
        self.used.add(block)
        start = block * self._size + offset
        return self.memory[start : start + size]

    def prog(self, _config: Any, block: int, offset: int, data: bytes) -> int:
        self.used.add(block)
        start = block * self._size + offset
        self.memory[start : start + len(data)] = data
        return 0

    def erase(self, _config: Any, block: int) -> int:
        start = block * self._size
        self.memory[start : start + self._size] = self._erased
        return 0

    def sync(self, _config: Any) -> int:
        return 0


def image(bundle: Bundle, board: BoardType, previous: Bundle | None = None) -> FilesystemImage:
    """The file system with `bundle` active; with `previous` that set lies before it, ready for a rollback.

    Deterministic. Raises InputError when the partition is too small.
    """
    files: dict[str, bytes] = {}
    if previous is not None:
        files.update(previous.tree(1))
    files.update(bundle.tree(1 if previous is None else 2))
    # The pointer is written last here, too: /trust/active of the older set must not keep its place in the order.
    files["/trust/active"] = files.pop("/trust/active")
    return _image(files, board)


def _image(files: dict[str, bytes], board: BoardType) -> FilesystemImage:
    from littlefs import LittleFSError

    size = board.littlefs.block_size
    flash = _Flash(None, board.partition.size, size)
    filesystem = _filesystem(flash, board)
    made: set[str] = set()
    try:
        filesystem.format()
        filesystem.mount()
        for path, content in files.items():
            _make_folders(filesystem, path, made)
            # Unbuffered: the file is written in one call anyway, and a buffer per file costs more than the write.
            with filesystem.open(path, "wb", buffering=0) as file:
                file.write(content)
        filesystem.unmount()
    except LittleFSError as error:
        total = sum(map(len, files.values()))
        raise wrong(
            "too-big",
            f"{total // 1024} KB in {len(files)} files do not fit partition '{board.partition.name}' of {board.name},"
            f" {board.partition.size // 1024} KB",
            "Make the app smaller, or use a board file with a bigger partition.",
        ) from error
    return FilesystemImage(bytes(flash.memory), tuple(sorted(flash.used)), size)


def _make_folders(filesystem: Any, path: str, made: set[str]) -> None:
    """Make the folders above `path` that are not in `made`."""
    end = path.find("/", 1)
    while end > 0:
        folder = path[:end]
        if folder not in made:
            made.add(folder)
            filesystem.mkdir(folder)
        end = path.find("/", end + 1)


def _filesystem(flash: _Flash, board: BoardType) -> Any:
    from littlefs import LittleFS

    size = board.littlefs.block_size
    return LittleFS(
        context=cast(Any, flash),  # the four callbacks are all it calls; its own class is slower
        mount=False,
        block_size=size,
        block_count=board.partition.size // size,
        read_size=_READ_SIZE,
        prog_size=_READ_SIZE,
        lookahead_size=_READ_SIZE,
        cache_size=_CACHE_SIZE,
        disk_version=_DISK_VERSIONS[board.littlefs.version],
    )
