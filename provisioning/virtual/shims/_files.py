# mypy: ignore-errors
# ruff: noqa
# Times of files in the epoch of `time.time()`, 2000, where the unix port says them in 1970's. In the flash they are as every port writes them.
from vfs import VfsFat, VfsLfs2
import _hardware

_EPOCH = 946684800  # 2000-01-01 in seconds since 1970


def _stat_of(native):
    def stat(self, path):
        found = native(self, path)
        return found[:7] + tuple(t - _EPOCH for t in found[7:])

    return stat


def setup():
    for kind in VfsFat, VfsLfs2:
        _hardware.change(kind, "stat", _stat_of(kind.stat))
