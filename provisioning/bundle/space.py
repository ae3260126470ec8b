"""Does a bundle fit the board's partition, with the sets that are kept beside it?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from provisioning.bundle.bundle import Bundle
from provisioning.config.document import wrong
from provisioning.config.product import Product
from provisioning.link.staying_sets import AT_ONCE

# littlefs: two blocks per folder (a metadata pair), two for the superblock; a tenth stays free, or each write moves others' blocks.
_BLOCKS_PER_FOLDER = 2
_FREE_PART = 10


def blocks(files: Mapping[str, bytes], block_size: int = 4096) -> int:
    """An upper bound of the littlefs blocks that `files` (absolute path -> content) take."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    return sum(-(-max(len(content), 1) // block_size) for content in files.values()) + _BLOCKS_PER_FOLDER * len(folders)


def check_space(product: Product, bundle: Bundle) -> None:
    """Raises InputError when the partition cannot hold the bundle and the sets beside it, and says by how much."""
    board = product.board
    size = board.littlefs.block_size
    whole = blocks(bundle.tree(), size)
    package = {path: content for path, content in bundle.lib.items() if path.endswith(f"/{bundle.package}")}
    one_set = blocks({**package, **{f"/trust/1/{name}": content for name, content in bundle.trust.items()}}, size)
    needed = (whole + (AT_ONCE - 1) * one_set) * size
    usable = board.partition.size // _FREE_PART * (_FREE_PART - 1)
    if needed > usable:
        raise wrong(
            "too-big",
            f"{product.document.mark(('board',))}: key 'board': device {bundle.device} needs {needed // 1024} KB"
            f" (with the {AT_ONCE - 1} sets kept beside it), and partition '{board.partition.name}' of {board.name}"
            f" has {usable // 1024} KB for it: {(needed - usable + 1023) // 1024} KB too much",
            "Make the app smaller, or use a board file with a bigger partition.",
        )
