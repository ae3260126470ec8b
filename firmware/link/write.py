"""Writes, reads back, commits. For every transport; runs after hello.py, before first.py or sets.py.

Those two plan a set in prepare(), which leaves: `text`, its set.json; `whole`, the SHA-256 of that; `files`, [[path, sha256] of each];
`missing`, the indices of those that the host must send; `got`, {index: sha256} of those that were written and read back.
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
    """SHA-256 of a file as lower-case hex, of nothing when it cannot be opened. `length` is its bytes then."""
    global length
    beat()
    length = 0
    h = sha256()
    try:
        with open(path, "rb") as f:
            while True:
                n = f.readinto(chunk)
                if not n:
                    break
                beat()
                h.update(window[:n])
                length += n
    except OSError:
        pass
    return h.digest().hex()


def check(path, sha):
    if digest(path) != sha:
        raise OSError("hash " + path)


def proved(f, path, sha):
    """What `f`, open for writing and reading, has on flash is read back, and `f` closed. Its SHA-256; `sha` is what it must be, or "@".

    By the open file: its path has been found once, and each time costs tens of flash reads.
    """
    beat()
    f.flush()
    f.seek(0)
    h = sha256()
    while True:
        n = f.readinto(chunk)
        if not n:
            break
        beat()
        h.update(window[:n])
    f.close()
    h = h.digest().hex()
    if sha not in ("@", h):
        raise OSError("hash " + path)
    return h


def put(path, data):
    """A small file, written and read back."""
    beat()
    f = open(path, "w+b")
    f.write(data)
    proved(f, path, sha256(data).digest().hex())


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


def point(n):
    """The pointer to set `n` beside its place; only its rename is left to be done. Early, since the folder of a set is found faster when
    it is the younger entry."""
    put(_TRUST + "active" + _NEW, str(n).encode())


def activate(n, there=False):
    """Set `n`, whose files are written and read back, becomes the active one by one rename. `there`: its set.json is there already."""
    if sha256(text).digest().hex() != whole:
        raise OSError("hash " + home(n))
    if not there:
        put(home(n) + _SET, text)  # in its place at once: until it is whole it is empty, and no set
    return switch(n)


def switch(n):
    """The commit: one rename."""
    uos.rename(_TRUST + "active" + _NEW, _TRUST + "active")
    return n
