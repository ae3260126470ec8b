"""What has to outlive damage: which set has proven itself, the newest version that was rolled back, roots that are retired. It is kept
in two files, each with a hash in front, and apart from the counters of health.json. Loaded when a set proves itself (and let go again),
is on trial or is updated."""

import sys

import uhashlib
import ujson
from ubinascii import hexlify

import twinroot

from . import sets, stats


def _digest(text):
    return str(hexlify(uhashlib.sha256(text).digest()[:8]), "ascii")


def read():
    """{"proven": number of a set, "refused": version, "retired": [[number of the set that says so, SHA-256 of the root], ...]}"""
    for i in "01":
        try:
            with open(sets.ROOT + "guard." + i) as f:
                t = f.read(4000)
            if t[:16] == _digest(t[16:]):
                return ujson.loads(t[16:])
        except (OSError, ValueError):
            pass
    return {"proven": 0, "refused": 0, "retired": []}


def write(g):
    t = ujson.dumps(g)
    t = _digest(t) + t
    for i in "01":
        sets.replace("guard." + i, t)


def proved(s):
    """The set in use, `s`, has connected. Once for a set, however often today was written. What it retires, no older one may use."""
    d = stats.data()
    n = d["proven"] = twinroot.SET
    if d.get("trial", (n + 1,))[0] <= n:
        del d["trial"]
    g = read()
    g["proven"] = n
    g["retired"] = [x for x in g["retired"] if x[0] != n] + [[n, x] for x in s.get("retired", ())]
    try:
        write(g)
    except OSError:  # a file system that cannot be written costs this, never the connection
        pass
    stats.write()
    del twinroot.guard, sys.modules[__name__]  # 2 KB, for once in the life of a set
