# mypy: ignore-errors
# ruff: noqa
# `sys` as on an ESP32: platform, implementation, standard output that sends CR LF, and its .buffer that does not.
import sys as _native
import io
from collections import namedtuple

from sys import *

modules = _native.modules
path = _native.path
argv = _native.argv
byteorder = "little"
maxsize = 0x7FFFFFFF
stdin = _native.stdin
exit = _native.exit
print_exception = _native.print_exception
version = _native.version
version_info = _native.version_info
platform = "esp32"


_wire = open(4, "wb")  # standard output without the translation of LF


class _Raw(io.IOBase):
    def write(self, buf):
        return _wire.write(buf)

    def ioctl(self, request, argument):
        return argument & 4 if request == 3 else 0


class _Cooked(_Raw):
    buffer = _Raw()

    def write(self, buf):
        return _native.stdout.write(buf)


stdout = stderr = _Cooked()


def setup(board):
    global implementation, platform
    i = _native.implementation
    implementation = namedtuple("implementation", ("name", "version", "_machine", "_mpy", "_build"))(
        i.name, i.version, board["machine"], i._mpy, board["build"]
    )
    platform = board["platform"]


# No setting of ps1 and ps2 through this module reaches the REPL; everything else of the unix build that an ESP32 lacks goes.
for _name in ("executable", "atexit", "exc_info"):
    globals().pop(_name, None)
__name__ = "sys"
