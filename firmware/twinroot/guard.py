"""What has to outlive damage: which set has proven itself, the newest version that was rolled back, roots that are retired. It is kept
in two files, each with a hash in front, and apart from the counters of health.json. And what says that a set is as it was committed.
Loaded when a set proves itself, is on trial or is updated."""

import uhashlib
import ujson
from micropython import const
from ubinascii import hexlify

import twinroot

from . import sets, stats

_FILES = ("guard.0", "guard.1")
_SUM = b',"sum":"'  # ends set.json, with the hash of what is before it
_LONGEST = const(16384)  # bytes of set.json


def digest(data, n=16):
    """The first `n` hex digits of the SHA-256."""
    return str(hexlify(uhashlib.sha256(data).digest())[:n], "ascii")


def seal(text):
    """The bytes `text` of a set.json with their hash in it."""
    return text[:-1] + _SUM + digest(text[:-1]).encode() + b'"}'


def whole(n):
    """True when set.json of the set `n` and its own files are what was committed. (Its package: the loader.)"""
    p = sets.path(n)
    try:
        with open(p + "set.json", "rb") as f:
            t = f.read(_LONGEST)
        i = t.rfind(_SUM)
        if i > 0 and seal(t[:i] + b"}") != t:
            return False
        files = ujson.loads(t)["files"]
        for name in files:
            if name[0] != "/":
                with open(p + name, "rb") as f:
                    if digest(f.read(), 64) != files[name]:
                        return False
        sets.read(n)
        return True
    except MemoryError:
        raise
    except Exception:  # not there, not JSON, not a set
        return False


def read():
    """{"proven": number of a set, "refused": version, "retired": [[number of the set that says so, SHA-256 of the root], ...]}"""
    for name in _FILES:
        try:
            with open(sets.ROOT + name) as f:
                t = f.read(4000)
            if t[:16] == digest(t[16:]):
                return ujson.loads(t[16:])
        except (OSError, ValueError):
            pass
    old = stats.data().get("refused", 0)  # in health.json until these files came
    return {"proven": 0, "refused": old if isinstance(old, int) else 0, "retired": []}


def _write(g):
    t = ujson.dumps(g)
    for name in _FILES:
        sets.replace(name, digest(t) + t)


def refuse(version):
    """From now on no set of this version or an older one is taken."""
    g = read()
    g["refused"] = max(version, g["refused"])
    _write(g)


def proved(s):
    """The set in use, `s`, has connected. Once for a set, however often today was written. What it retires, no older one may use."""
    d = stats.data()
    n = d["proven"] = twinroot.SET
    t = d.get("trial")
    if t and t[0] <= n:
        del d["trial"]
    g = read()
    retired = [x for x in g["retired"] if x[0] != n] + [[n, x] for x in s.get("retired", ())]
    if g["proven"] != n or g["retired"] != retired:
        g["proven"] = n
        g["retired"] = retired
        try:
            _write(g)
        except OSError:  # a file system that cannot be written costs this, never the connection
            pass
    stats.write()
