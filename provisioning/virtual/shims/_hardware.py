# mypy: ignore-errors
# ruff: noqa
# The board's side of the control channel: what the interpreter cannot do itself it asks of the hardware process.
# The functions themselves are native, in interpreter/hooks.c: neither an interrupt nor a locked heap gets in their way.
import umachine as machine
import sys
import uctypes

_native = machine.mem8  # h_native of interpreter/hooks.c
readblocks, writeblocks, ioctl, _read, _request, partition, put, contents, hide, irq = [_native(i) for i in range(10)]
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
SLOTS = 14


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


_held = []  # what built-in modules have only by address, which the garbage collector does not follow


def fill(module, shim):
    """The built-in `module` has from now on what the shim has, without the names that begin with an underscore."""
    public = {name: value for name, value in shim.__dict__.items() if name[0] != "_"}
    public["__name__"] = module.__name__
    _held.append((public, shim))
    contents(module, public)


def change(owner, name, value):
    """A name of a built-in module or type has this value from now on."""
    _held.append(value)
    put(owner, name, value)


def release():
    """From here on a Control-C interrupts."""
    _page[4] = 0
