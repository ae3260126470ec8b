"""What a board's flash holds after years in the field: littlefs metadata whose revisions are far above those of a new file system."""

from __future__ import annotations

from provisioning.bundle.filesystem_image import _filesystem, _Flash
from provisioning.config.board_type import BoardType


def worn_metadata(board: BoardType) -> list[bytes]:
    """Valid metadata blocks of a file system that was written to for a long time: their revisions are far above those of a new one."""
    flash = _Flash(None, board.partition.size, 4096)
    old = _filesystem(flash, board)
    old.format()
    old.mount()
    folders = ["/trust", "/lib", "/trust/1", "/lib/twinroot"]
    for folder in folders:
        old.mkdir(folder)
        with old.open(f"{folder}/a", "wb") as file:
            file.write(b"from the board's former life")
        for _ in range(600):
            old.rename(f"{folder}/a", f"{folder}/b")
            old.rename(f"{folder}/b", f"{folder}/a")
    old.unmount()
    blocks = [bytes(flash.memory[at : at + 4096]) for at in range(0, len(flash.memory), 4096)]
    found = [block for block in blocks if 4 < int.from_bytes(block[:4], "little") < 10_000]
    assert len(found) >= len(folders)
    return found


def worn_partition(board: BoardType, turn: int = 0) -> bytes:
    """A whole partition of such blocks, each of them in turn; another `turn`, another block at each place."""
    stale = worn_metadata(board)
    return b"".join(stale[(block + turn) % len(stale)] for block in range(board.partition.size // 4096))
