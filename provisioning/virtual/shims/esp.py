# mypy: ignore-errors
# ruff: noqa
# `esp`: raw flash access and the debug output switch.
import _hardware

LOG_NONE, LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_VERBOSE = range(6)


def osdebug(uart, level=0):
    pass


def flash_size():
    import json

    return json.loads(_hardware.call(_hardware.IDENTITY, want=True))["flash_size"]


def flash_user_start():
    return 0x200000


def flash_read(offset, buf):
    _hardware.flash_read(offset, buf)


def flash_write(offset, buf):
    _hardware.call(_hardware.PROGRAM, offset, len(buf), buf)


def flash_erase(sector):
    _hardware.call(_hardware.ERASE, sector * 4096, 4096)
