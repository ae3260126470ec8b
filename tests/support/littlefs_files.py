"""The files in a littlefs image, read by the library itself."""

from __future__ import annotations

from provisioning.bundle.filesystem_image import _filesystem, _Flash
from provisioning.config.board_type import BoardType


def read_back(data: bytes, board: BoardType) -> dict[str, bytes]:
    """Absolute path -> content of every file in a partition's bytes. Raises littlefs.LittleFSError where there is no file system."""
    flash = _Flash(data, len(data), board.littlefs.block_size)
    filesystem = _filesystem(flash, board)
    filesystem.mount()
    files: dict[str, bytes] = {}
    for folder, _, names in filesystem.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with filesystem.open(path, "rb") as file:
                files[path] = file.read()
    return files
