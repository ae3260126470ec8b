"""What has to outlive damage: the newest version that was rolled back, roots that are retired. It is kept in two files, each with a hash in
front, and apart from the counters of health.json. Loaded when a set is on trial or is updated, and when one that retires roots connects."""

import sys

import uhashlib
import ujson
from ubinascii import hexlify

import twinroot

from . import sets


def _digest(text):
    return str(hexlify(uhashlib.sha256(text).digest()[:8]), "ascii")


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


def retire(s):
    """The set in use, `s`, has connected: no older one may use the roots that it retires."""
    n = twinroot.SET
    g = read()
    g["retired"] = [x for x in g["retired"] if x[0] != n] + [[n, x] for x in s["retired"]]
    try:
        write(g)
    except OSError:  # a file system that cannot be written costs this, never the connection
        pass
    del twinroot.guard, sys.modules[__name__]  # for once in the life of a set
