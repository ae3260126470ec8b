# mypy: ignore-errors
# ruff: noqa
# The block device of the file system: the partition "vfs" (littlefs), or "ffat" (FAT) with 512-byte blocks.
from esp32 import Partition

bdev = Partition.find(Partition.TYPE_DATA, label="vfs")
if not bdev:
    bdev = Partition.find(Partition.TYPE_DATA, label="ffat", block_size=512)
bdev = bdev[0] if bdev else None
