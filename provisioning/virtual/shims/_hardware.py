# mypy: ignore-errors
# ruff: noqa
# The board's side of the control channel: what the interpreter cannot do itself it asks of the hardware process.
# The functions themselves are native, in interpreter/hooks.c: neither an interrupt nor a locked heap gets in their way.
import machine
import sys
import uctypes

_native = machine.mem8  # h_native of interpreter/hooks.c
readblocks, writeblocks, ioctl, _read, _request, partition, _extend = [_native(i) for i in range(7)]
_page = uctypes.bytearray_at(int(sys.argv[1]), 64)
_reply = bytearray(2304)

PROGRAM = 1
ERASE = 2
RESET = 3
BAUD = 4
RTC = 5
WATCHDOG = 6
SLEEP = 7
RESOLVE = 8
WIFI = 9
IDENTITY = 10
NVS_GET = 11
NVS_SET = 12
MEMORY = 13


def flash(op, address, size, data=None):
    """Programs or erases. OSError when the hardware refuses."""
    if _request(op, address, size, data, None) < 0:
        raise OSError(5)


def call(op, a=0, b=0, data=None, want=False):
    """Number that the hardware answered; with want=True the bytes that it answered. One native call: no interrupt splits it."""
    status = _request(op, a, b, data, _reply)
    if status < 0:
        raise OSError(-status)
    return bytes(memoryview(_reply)[:status]) if want else status


def flash_read(address, buf):
    if _read(address, buf) < 0:
        raise OSError(22)


def extend(name, module):
    """`import name` gives this module when no file of that name is found, as with those that MP_REGISTER_EXTENSIBLE_MODULE names."""
    if _extend(name, module) < 0:
        raise ImportError(name)


def release():
    """From here on a Control-C interrupts."""
    _page[4] = 0
