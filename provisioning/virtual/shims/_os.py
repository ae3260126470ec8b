# mypy: ignore-errors
# ruff: noqa
# `os` as on an ESP32: no system(), no environment, but uname().
from uos import (
    VfsFat,
    VfsLfs2,
    chdir,
    getcwd,
    ilistdir,
    listdir,
    mkdir,
    mount,
    remove,
    rename,
    rmdir,
    sep,
    stat,
    statvfs,
    umount,
    unlink,
    urandom,
)
from collections import namedtuple as _namedtuple
import sys as _sys

_uname = _namedtuple("uname", ("sysname", "nodename", "release", "version", "machine"))


def uname():
    i = _sys.implementation
    release = "%d.%d.%d" % i.version[:3]
    if len(i.version) > 3 and i.version[3]:
        release += "-" + i.version[3]
    version = _sys.version.split("; ")[-1].replace("MicroPython ", "")
    return _uname(_sys.platform, _sys.platform, release, version, i._machine)


def dupterm(stream, index=0):
    if stream is not None:
        raise OSError(95)


def sync():
    pass
