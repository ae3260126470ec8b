# mypy: ignore-errors
# ruff: noqa
# `vfs` without VfsPosix: the host's files are not the board's.
from vfs import VfsFat, VfsLfs2, VfsRom, mount, umount
