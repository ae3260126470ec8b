# mypy: ignore-errors
# ruff: noqa
# The board's side of the control channel: what the interpreter cannot do itself it asks of the hardware process.
# One request is a 12-byte head (operation, a, b) and, where it has data, a second message; the answer is 8 bytes, and
# where it says so a second message of that many bytes. Numbers are repeated in interpreter/requests.py.
import sys
import _thread
import struct
import uctypes

_address = int(sys.argv[1])
_page = uctypes.bytearray_at(_address, 64)
_count = uctypes.struct(_address + 16, {"reads": 0 | uctypes.UINT64, "bytes": 8 | uctypes.UINT64})
_control = open(3, "r+b")
_flash = open(4, "rb")
_head = bytearray(12)
_answer = bytearray(8)
_lock = _thread.allocate_lock()

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


def call(op, a=0, b=0, data=None, want=False):
    """Number that the hardware answered; with want=True the bytes that it answered."""
    # A Control-C waits until the flash or the channel is at rest: on an ESP32 neither is Python either.
    _page[4] = 1
    try:
        _lock.acquire()
        struct.pack_into("<BBHII", _head, 0, op, 1 if data is not None else 0, 0, a, b)
        _control.write(_head)
        if data is not None:
            _control.write(data)
        _control.readinto(_answer)
        status, size = struct.unpack("<ii", _answer)
        if size:
            got = bytearray(size)
            _control.readinto(got)
        else:
            got = b""
    finally:
        _lock.release()
        _page[4] = 0
    if status < 0:
        raise OSError(-status)
    return bytes(got) if want else status


def flash_read(address, buf):
    _page[4] = 1
    _flash.seek(address)
    _flash.readinto(buf)
    _count.reads += 1
    _count.bytes += len(buf)
    _page[4] = 0


def release():
    """From here on a Control-C interrupts."""
    _page[4] = 0
