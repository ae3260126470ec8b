"""The device's end of the streaming transport (docs/frame-format.md): frames in, one deflate stream out of them, code out of that.

The host sends this by raw paste, and everything else through it: more code, then the files, all in one deflate stream.
Messages are Python literals.
RAM: one frame, and the deflate window: 16 KB where there is room, else 4 KB. What it is sent in imports uio and deflate.
"""

import sys
from ubinascii import crc32
from uselect import poll

import micropython

stdin = sys.stdin.buffer
stdout = sys.stdout.buffer
poller = poll()
poller.register(sys.stdin, 1)
frame = bytearray(128)
body = memoryview(frame)
one = bytearray(1)
at = 0  # next payload byte in frame
end = 0  # end of the payload in frame
expected = 0  # sequence number of the next frame
bad = 0  # times that nothing good came since the last good frame: damage, or a quarter of a second of silence
count = 0  # number of the last message
last = b""  # last message, for a host that asks again


def heard(ms):
    """Whether a byte came within `ms`; it is in `one`. A read that waits for more than one byte never ends when the host dies."""
    n = 0
    for _ in poller.ipoll(ms):
        n = stdin.readinto(one)
    return n


def mark(kind):
    """A word about frames: 6, taken; 21, send again; and which one is expected."""
    stdout.write(bytes((kind, expected, expected ^ 255)))


def receive():
    """Next frame into `frame`. It is acknowledged when it has left the receive ring, before anything is done with it.

    Whoever waits here says so, again and again: the host sends nothing twice before it has heard that.
    """
    global at, end, expected, bad
    while bad < 16:
        if heard(250):
            n = one[0]
            if n == 3:
                raise KeyboardInterrupt
            if n == 2:
                stdout.write(last)
            if n < 4 or n == 13:
                continue
            if n < 124:
                frame[0] = n
                i = 1
                while i < n + 5 and heard(250):
                    frame[i] = one[0]
                    i += 1
                if i == n + 5 and crc32(body[: n + 2]) & 0xFFFFFF == int.from_bytes(body[n + 2 : n + 5], "little"):
                    n = expected - frame[1] & 255
                    if not n:
                        at = 2
                        end = frame[0] + 2
                        expected = expected + 1 & 255
                        bad = 0
                    if n < 9:  # expected, or here before: its acknowledgement was lost
                        mark(6)
                        if n:
                            continue
                        return
            while heard(20):
                pass
        bad += 1
        mark(21)
    raise OSError(110)


class Source(uio.IOBase):
    """What DeflateIO reads from, one byte a call."""

    def readinto(self, b):
        global at
        if at == end:
            receive()
        b[0] = frame[at]
        at += 1
        return 1


def say(value):
    global last, count
    value = repr(value).encode()
    count = count + 1 & 255
    last = bytes((2, count)) + len(value).to_bytes(2, "little") + value
    last += crc32(last).to_bytes(4, "little")
    stdout.write(last)


def beat():
    """One byte that says: at work with flash, and not reading. Before and between all that may take long."""
    stdout.write(b"\x16")


def number():
    return int.from_bytes(stream.read(3), "little")


try:
    micropython.kbd_intr(-1)
    gc.collect()
    n = 14 if gc.mem_free() > 99999 else 12
    stream = deflate.DeflateIO(Source(), deflate.RAW, n)
    say(n)
    while True:
        n = number()
        if not n:
            break
        try:
            exec(stream.read(n))
        except Exception as e:
            say([repr(e)])
            raise
finally:
    leave()  # what the host still sends may hold a control-C, which must not end this
    micropython.kbd_intr(3)
