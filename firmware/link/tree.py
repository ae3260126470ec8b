"""All files of a board by their content, and the removal of some: how tests bring a board into the state that it had before them."""

import sys, uhashlib, uos

if sys.platform != "esp32":  # on a computer's MicroPython the root folder is the computer's
    raise RuntimeError("this is not an ESP32 but " + sys.platform)


def look(folder):
    """Print a tuple a line for what is below `folder` ("" is the root): path, size or -1 for a folder, half of the SHA-256."""
    for e in uos.ilistdir(folder or "/"):
        path = folder + "/" + e[0]
        if path == "/rom":
            continue
        if e[1] & 0x4000:
            print((path, -1, b""))
            look(path)
            continue
        h = uhashlib.sha256()
        b = bytearray(512)
        m = memoryview(b)
        size = 0
        with open(path, "rb") as f:
            n = f.readinto(b)
            while n:
                size += n
                h.update(m[:n])
                n = f.readinto(b)
        print((path, size, h.digest()[:16]))


def remove(path):
    """A file, or a folder with all below it; what is not there is not missed."""
    try:
        kind = uos.stat(path)[0]
    except OSError:
        return
    if kind & 0x4000:
        for e in uos.listdir(path):
            remove(path + "/" + e)
        uos.rmdir(path)
    else:
        uos.remove(path)
