"""The device's end of the streaming transport (docs/frame-format.md): frames in, one deflate stream out of them, files.

Runs after ops.py in the same name space. RAM: one frame, the deflate window (2**WBITS), a 512-byte chunk.
"""

import io
from binascii import b2a_base64, crc32
from select import poll

import deflate

stdin = sys.stdin.buffer
stdout = sys.stdout.buffer
poller = poll()
poller.register(sys.stdin, 1)

frame = bytearray(128)
body = memoryview(frame)
at = 0  # next payload byte in frame
end = 0  # end of payload in frame
expected = 0  # sequence number of the next frame
count = 0  # number of the last message
last = b""  # last message, for a host that asks again


def answer(mark):
    stdout.write(bytes((mark, expected, expected ^ 255)))


def quiet():
    while poller.poll(20):
        stdin.readinto(body[:1])


def receive():
    """Next frame into `frame`; acknowledges it as soon as it is out of the receive ring, before anything is written."""
    global at, end, expected
    while True:
        if not poller.poll(WAIT):
            raise OSError(110)
        stdin.readinto(body[:1])
        n = frame[0]
        if n == 3:
            raise KeyboardInterrupt
        if n == 2:
            stdout.write(last)
        if n < 4:
            continue
        if n > 123:
            quiet()
            answer(0x15)
            continue
        stdin.readinto(body[1 : n + 5])
        c = crc32(body[: n + 2]) & 0xFFFFFF
        if c != frame[n + 2] | frame[n + 3] << 8 | frame[n + 4] << 16:
            quiet()
            answer(0x15)
        elif frame[1] == expected:
            expected = expected + 1 & 255
            at = 2
            end = n + 2
            answer(6)
            return
        else:
            # One that was here before (its acknowledgement got lost), or one that comes after a lost one.
            answer(6 if (expected - frame[1] & 255) < 8 else 0x15)


class Source(io.IOBase):
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
    text = json.dumps(value).encode()
    count = count + 1 & 255
    head = bytes((2, count, len(text) & 255, len(text) >> 8))
    c = crc32(text, crc32(head))
    last = head + text + bytes((c & 255, c >> 8 & 255, c >> 16 & 255))
    stdout.write(last)


def number():
    b = unpacked.read(3)
    return b[0] | b[1] << 8 | b[2] << 16


def store(i):
    """One file out of the stream: a record of label length, label, 3 bytes of length, content (docs/frame-format.md)."""
    label = unpacked.read(unpacked.read(1)[0])
    left = number()
    with open(target(i), "wb") as f:
        if label:
            f.write(b"-----BEGIN " + label + b"-----\n")
        while left:
            n = unpacked.readinto(window[: min(left, 48 if label else 512)])
            f.write(b2a_base64(window[:n]) if label else window[:n])
            left -= n
        if label:
            f.write(b"-----END " + label + b"-----\n")
    settle(i)


def take():
    begin()
    for i in plan[3]:
        store(i)
    return commit()


def serve():
    """Answer commands until the host says goodbye, falls silent, or interrupts."""
    global unpacked
    unpacked = deflate.DeflateIO(Source(), deflate.RAW, WBITS)
    say(hello())
    while True:
        c = unpacked.read(1)
        try:
            if c == b"P":
                text = unpacked.read(number())
                say(prepare(text, json.loads(unpacked.read(number()))))
            elif c == b"D":
                say(take())
            elif c == b"A":
                say(audit())
            elif c == b"T":
                say(tidy())
            elif c == b"B":
                say(back())
            else:
                say(0)
                return
        except Exception as e:
            say([str(e)])
            raise


try:
    micropython.kbd_intr(-1)
    serve()
finally:
    micropython.kbd_intr(3)
    LEAVE()
