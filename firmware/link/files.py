"""A file's content as lines of base64, and its hash: by a board's prompt, for a rescue. Any MicroPython has what they need."""

import ubinascii, uhashlib


def lines(path, offset, count, size):
    """Print up to `count` lines of `size` bytes each."""
    f = open(path, "rb")
    f.seek(offset)
    for _ in range(count):
        b = f.read(size)
        if not b:
            break
        print(ubinascii.b2a_base64(b).decode().strip())
    f.close()


def sha(path):
    """SHA-256 of a file as the board reads it from its flash."""
    h = uhashlib.sha256()
    b = bytearray(512)
    m = memoryview(b)
    f = open(path, "rb")
    n = 1
    while n:
        n = f.readinto(b)
        h.update(m[:n])
    f.close()
    return h.digest()
