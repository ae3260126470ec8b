"""Writes, reads back, commits. For every transport; runs after hello.py, before first.py or sets.py.

Those two plan a set in prepare(), which leaves: `text`, its set.json; `whole`, the SHA-256 of that; `files`, [[path, sha256] of each];
`missing`, the indices of those that the host must send.
"""

from uhashlib import sha256

_TRUST = "/trust/"
_LIB = "/lib/twinroot/"
_SET = "/set.json"
_NEW = ".new"

chunk = bytearray(512)
window = memoryview(chunk)


def home(n):
    return _TRUST + str(n)


def place(n, name):
    return name if name[0] == "/" else home(n) + "/" + name


def digest(path):
    """SHA-256 of a file as lower-case hex, of nothing when it cannot be opened."""
    beat()
    h = sha256()
    try:
        with open(path, "rb") as f:
            while True:
                n = f.readinto(chunk)
                if not n:
                    break
                beat()
                h.update(window[:n])
    except OSError:
        pass
    return h.digest().hex()


def check(path, sha):
    if digest(path) != sha:
        raise OSError("hash " + path)


def folder(path):
    """Make the folder `path`, and those on the way to it; nothing when it is there."""
    beat()
    try:
        uos.mkdir(path)
    except OSError as e:
        if e.errno == 2:
            folder(path[: path.rfind("/")])
            uos.mkdir(path)
        elif e.errno != 17:  # not there, and not to be made
            raise


def write(path, data):
    """A small file as one step: written beside its place, read back, renamed."""
    beat()
    with open(path + _NEW, "wb") as f:
        f.write(data)
    check(path + _NEW, sha256(data).digest().hex())
    uos.rename(path + _NEW, path)


def activate(n, there=False):
    """Set `n`, whose files are written and read back, becomes the active one by one rename. `there`: its set.json is there already."""
    if sha256(text).digest().hex() != whole:
        raise OSError("hash " + home(n))
    if not there:
        write(home(n) + _SET, text)
    write(_TRUST + "active", str(n).encode())
    return n
