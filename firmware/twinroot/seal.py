"""What says that a set is as it was committed. Loaded after a failure, and by updates."""

import uhashlib
import ujson
import uos
from micropython import const

from . import sets

_SUM = b',"sum":"'  # ends set.json, with 16 hex digits of the SHA-256 of what is before it
_LONGEST = const(16384)  # bytes of set.json


def _tail(head):
    """What follows all but the last byte of a set.json."""
    return _SUM + uhashlib.sha256(head).digest().hex()[:16].encode() + b'"}'


def end(f):
    """Put their hash behind the bytes of a set.json in `f`, which is open for writing and reading."""
    n = f.seek(0, 2) - 1
    f.seek(0)
    t = f.read(n)
    f.seek(n)
    f.write(_tail(t))


def numbers():
    """Of the sets, and of what has been begun as one."""
    return [int(d) for d in uos.listdir(sets.ROOT) if d.isdigit()]


def sha256(path):
    """Lower-case hex SHA-256 of a file; None when it cannot be read."""
    h = uhashlib.sha256()
    b = bytearray(256)
    try:
        with open(path, "rb") as f:
            while True:
                n = f.readinto(b)
                if not n:
                    return h.digest().hex()
                h.update(memoryview(b)[:n])
    except OSError:
        return None


def text(n):
    """The set.json of the set `n`. An exception when there is none that could be one."""
    with open(sets.path(n) + "set.json", "rb") as f:
        n = f.seek(0, 2)
        if n > _LONGEST:
            raise ValueError
        f.seek(0)
        t = f.read(n)  # without a number it would be laid out twice
    if t.count(b"[") + t.count(b"{") > 500:  # brackets without end would fill the heap
        raise ValueError
    return t


def parsed(n):
    """(text, content) of the set.json of the set `n`. An exception when it is none."""
    t = text(n)
    return t, ujson.loads(t)


def whole(n, package=False):
    """True when set.json of the set `n` and its own files are what was committed; its `package` is the loader's concern otherwise."""
    try:
        t, d = parsed(n)
        p = sets.path(n)
        i = t.rfind(_SUM)
        if i > 0 and _tail(memoryview(t)[:i]) != t[i:]:
            return False
        files = d["files"]
        t = d = None
        for name in files:
            if name[0] != "/" or package:
                if sha256(name if name[0] == "/" else p + name) != files[name]:
                    return False
        files = None  # set.json is read once more
        sets.read(n)
        return True
    except MemoryError:
        raise
    except Exception:  # not there, not JSON, not a set
        return False
