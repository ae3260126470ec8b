"""What marks a set as proven, once: an empty file beside its set.json, named after what that holds (guard.proven()). A handshake proves a
set, but not a device certificate that no server has accepted yet: one is refused in the handshake (TLS 1.2), after it (the client of
TLS 1.3 is ready first), or instead of a CONNACK, where a broker knows no such certificate. Loaded after a handshake of a set that is not
proven, and not for longer."""

import sys

import uos

import twinroot

from . import sets, stats


def owed(k, s):
    """After the handshake of the Link `k` by the set in use, `s`: that proves it, or True: the server has to accept the device first."""
    del twinroot.proof, sys.modules[__name__]
    n = twinroot.SET
    if _renewed(n, s):
        k.owes = n, s
        return True
    _mark(n, s)
    return False


def _renewed(n, s):
    """True when the device certificate of the set `n` is another than that of the set that has proven itself last."""
    m = stats.data()["proven"]
    if not m:  # or the counters are lost
        m = max([int(d) for d in uos.listdir(sets.ROOT) if d.isdigit() and int(d) < n] + [0])
        if not m:
            return False
    try:
        with open(sets.path(n) + s["cert"], "rb") as f, open(sets.path(m) + s["cert"], "rb") as g:
            a = 1
            while a:
                a = f.read(256)
                if a != g.read(256):
                    break
            else:
                return False
    except (OSError, KeyError):  # there is nothing to compare with
        return False
    try:
        uos.stat(sets.path(n) + s.get("sum", "proven"))  # the counters say otherwise
        return False
    except (OSError, TypeError):
        return True


def _mark(n, s):
    d = stats.data()
    d["proven"] = n
    d.pop("trial", None)
    if "retired" in s:
        twinroot.guard.retire(s)
    try:
        open(sets.path(n) + s.get("sum", "proven"), "w").close()
    except Exception:  # a file system that cannot be written, or a set.json that says odd things, costs this
        pass


def mark(k):
    """The server has accepted the device over the Link `k`."""
    del twinroot.proof, sys.modules[__name__]
    n, s = k.owes
    k.owes = None
    if stats.data()["proven"] != n == twinroot.SET:
        _mark(n, s)
        stats.write()
