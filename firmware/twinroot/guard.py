"""What has to outlive damage, apart from the counters of health.json: which sets have proven themselves, a mark in the folder of each; the
newest version that was rolled back, and roots that are retired, in two files with a hash each. Loaded when a set is on trial or is
updated, and when one that retires roots connects."""

import sys

import uhashlib
import ujson
import uos

import twinroot

from . import sets


def _digest(text):
    return uhashlib.sha256(text).digest()[:8].hex()


def read():
    """{"refused": version, "retired": [[number of the set that says so, SHA-256 of the root], ...]}"""
    for i in "01":
        try:
            with open(sets.ROOT + "guard." + i) as f:
                t = f.read(4000)
            if t[:16] == _digest(t[16:]):
                return ujson.loads(t[16:])
        except (OSError, ValueError):
            pass
    return {"refused": 0, "retired": []}


def write(g):
    t = ujson.dumps(g)
    t = _digest(t) + t
    for i in "01":
        sets.replace("guard." + i, t)


def proven(n):
    """True when the set `n` is proven: proof.py has put an empty file beside its set.json then, named after what that holds.
    littlefs vouches for names, not for what is in a file."""
    try:
        uos.stat(sets.path(n) + sets.read(n).get("sum", "proven"))
        return True
    except (OSError, TypeError):
        return False


def retire(s):
    """The set in use, `s`, has connected: no older one may use the roots that it retires."""
    n = twinroot.SET
    g = read()
    g.pop("image", None)
    g["retired"] = [x for x in g["retired"] if x[0] != n] + [[n, x] for x in s["retired"]]
    try:
        write(g)
    except OSError:  # a file system that cannot be written costs this, never the connection
        pass
    if "image" in s:
        twinroot.image.valid()
    del twinroot.guard, sys.modules[__name__]  # for once in the life of a set
