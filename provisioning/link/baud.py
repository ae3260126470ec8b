"""A faster line for the length of a transfer: raised on the board at run time, proved by an exchange of a block, always put back.

`machine.UART(0, baudrate=…)` changes the rate of an ESP32's REPL; the chip's own USB has no rate. The rate is raised by a program
that goes back by itself when the proof does not arrive, so neither end is ever left alone at a rate.
"""

from __future__ import annotations

import time

from provisioning.errors import BoardError
from provisioning.link.events import Event, Listener, silent
from provisioning.link.repl import RawRepl

# Every bit pattern that a wrong clock distorts first, none of the bytes that the REPL acts on.
PROOF = bytes((0x55, 0xAA, 0x0F, 0xF0, 0xFF, 0x80, 0x7F, 0x20)) * 8
_SETTLE = 0.005  # seconds the board waits with the new rate, so that the last byte leaves at the old one
_SOURCE = """import machine,sys,time,select
def u(b):
 time.sleep_ms(%d)
 try:machine.UART(0,baudrate=b)
 except OSError:0
p=select.poll();p.register(sys.stdin,1);i=sys.stdin.buffer;d=b''
print('+');u(%d)
while len(d)<64 and p.poll(150):d+=i.read(1)
if d==b'U\\xaa\\x0f\\xf0\\xff\\x80\\x7f '*8:print('=')
else:u(%d)"""

LADDER = (2000000, 1500000, 921600, 460800, 230400)


def leave(home: int) -> str:
    """The statement for the device that puts the rate back."""
    return f"import machine,time;time.sleep_ms(10);machine.UART(0,baudrate={home})"


def raise_baud(repl: RawRepl, rate: int, events: Listener = silent) -> bool:
    """Both ends to `rate`. False, with both ends at the old rate, when the block does not come through whole."""
    wire = repl.wire
    home = wire.home_baud
    try:
        repl.start(_SOURCE % (int(_SETTLE * 1000), rate, home))
        if b"+" not in wire.until(b"+\r\n", 2.0) and b"+" not in wire.until(b"\n", 0.2):
            return False
    except BoardError:
        return False
    wire.baud = rate
    time.sleep(_SETTLE * 2)
    wire.write(PROOF)
    answer = wire.until(b"\x04\x04>", 0.4)
    if answer.replace(b"\r", b"") == b"=\n\x04\x04>":
        events(Event("baud", {"baud": rate}))
        return True
    time.sleep(0.2)
    wire.baud = home
    wire.discard(0.05)
    repl.enter()
    return False


def lower_baud(repl: RawRepl) -> None:
    """Both ends back to the old rate, from a raw prompt at the raised one."""
    wire = repl.wire
    if wire.baud == wire.home_baud:
        return
    repl.start(leave(wire.home_baud))
    wire.baud = wire.home_baud
    wire.discard(0.05)
    repl.enter()
