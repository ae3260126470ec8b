"""What says that a set is as it was committed. Loaded after a failure, and by updates."""

import uhashlib
import ujson
from micropython import const

from . import sets

_SUM = b',"sum":"'  # ends set.json, with 16 hex digits of the SHA-256 of what is before it
_LONGEST = const(16384)  # bytes of set.json


def _digest(data):
    return uhashlib.sha256(data).digest().hex()


def seal(text):
    """The bytes `text` of a set.json with their hash in it."""
    return text[:-1] + _SUM + _digest(text[:-1])[:16].encode() + b'"}'


def parsed(n):
    """(text, content) of the set.json of the set `n`. An exception when it is none."""
    with open(sets.path(n) + "set.json", "rb") as f:
        if f.seek(0, 2) > _LONGEST:
            raise ValueError
        f.seek(0)
        t = f.read()  # with a number that many bytes would be laid out first
    if t.count(b"[") + t.count(b"{") > 500:  # brackets without end would fill the heap
        raise ValueError
    return t, ujson.loads(t)


def whole(n):
    """True when set.json of the set `n` and its own files are what was committed. (Its package: the loader.)"""
    try:
        t, d = parsed(n)
        p = sets.path(n)
        i = t.rfind(_SUM)
        if i > 0 and seal(t[:i] + b"}") != t:
            return False
        files = d["files"]
        for name in files:
            if name[0] != "/":
                with open(p + name, "rb") as f:
                    if _digest(f.read()) != files[name]:
                        return False
        sets.read(n)
        return True
    except MemoryError:
        raise
    except Exception:  # not there, not JSON, not a set
        return False
