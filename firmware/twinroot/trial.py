"""A set is judged by comparison. One that no handshake has proven, or whose files are damaged, fails; if the one before connects now,
the board is online by that, and tries again in an hour. When that has gone on for hours the one before is made active, and the
version is refused from then on. With no set before there is no trial."""

import sys

import uhashlib
from micropython import const

import twinroot

from . import clock, core, errors, guard, policy, seal, sets, slots, stats

_HOURS = const(4)  # comparisons, an hour or more apart, that a set has to lose; no portal lasts that long

_turned = None  # (set, the one before, its counters, its trial): from instead() to lost() or back()
_whole = None  # files of the set in use are what set.json says; looked at once


def _judged(e):
    """True when the set in use, which failed with `e`, may be left for the one before. The clock is the board's own affair, but for a
    floor that damage has raised above it."""
    global _whole
    n = twinroot.SET
    if getattr(e, "kind", None) != "clock" and not guard.proven(n):
        return True
    if _whole is None:
        _whole = seal.whole(n)
    return not _whole


def before(n):
    """The set to compare with: the newest whole one before that has proven itself, or the newest whole one."""
    for m in sorted(seal.numbers(), key=lambda m: (not guard.proven(m), -m)):
        if m < n and seal.whole(m):
            return m
    return 0


def other(e, timeout):
    """A Link by another set when that connects where the set in use failed with `e`, else None."""
    t = stats.data().get("trial")
    if t and t[0] != twinroot.SET:  # this one only stands in
        return None if getattr(e, "kind", None) == "clock" else again(timeout, False)
    k = instead(e, timeout)
    if k:
        lost()
    return k


def instead(e, timeout):
    """A Link by the set before, when the set in use failed with `e`, and there is one that connects; else None. lost() comes next, or
    back() when that one fails as well."""
    global _turned
    n = twinroot.SET
    m = _judged(e) and before(n)
    if not m:
        return None
    d = stats.data()
    _turned = n, m, d, d.get("trial")
    try:
        _use(m)
        if twinroot.SET != m:
            raise ValueError
        twinroot.NOTE = "set %d: %s" % (n, e)
        twinroot.stats._d = d
        strip(sets.read(m))
        return twinroot.core._pass(int(timeout * 1000), False)
    except Exception:
        return back()


def lost():
    """What instead() has turned to works where the newer set does not."""
    n, m, d, d["trial"] = _turned
    _count(n, m)


def back():
    """No comparison: what counts is why the newer set failed."""
    d, t = _turned[2:]
    if t:
        d["trial"] = t
    twinroot.load()
    twinroot.stats._d = d
    c = twinroot.core
    c._pol.fails, c._pol.quiet, c._next = core._pol.fails, core._pol.quiet, core._next


def _use(m):
    """Turn to the set `m`, whatever is active."""
    core.tlslink._kept = None  # memory holds one
    try:
        twinroot.load(m)
    except TypeError:  # the loader of the first release, which no update over the air replaces
        twinroot._order = [m]
        twinroot._next()


def _count(n, m):
    """The set `n` has lost a comparison with `m`."""
    d = stats.data()
    t = d["trial"]
    now = clock.now()
    ntp = sys.modules.get("twinroot.ntp")
    if not t or t[0] != n:
        d["trial"] = [n, 0, now]
    elif ntp and ntp.moved or now < t[2]:  # hours do not pass by a time server's word
        t[2] = now
        if ntp:
            ntp.moved = False
        stats.save(True)
        return
    elif now - t[2] < policy.RETURN_S:
        return
    else:
        t[1] += 1
        t[2] = now
        if t[1] >= _HOURS:
            roll_back(n, m, not guard.proven(n))
            twinroot.NOTE = None
            try:
                twinroot.app.turned(n)
            except Exception:  # the package of that set knows of no applications
                pass
            return
    stats.write()  # not counted among the day's writes: there are a handful of these for a set


def roll_back(n, m, refuse):
    """The set `m` is the active one again, and the version of `n`, where that is what was committed, is refused from now on."""
    d = stats.data()
    d.pop("trial", None)
    try:
        s = seal.parsed(n)[1]
        if refuse and seal.whole(n):  # not merely damaged: its version may be anything then
            g = guard.read()
            g["refused"] = max(s.get("version", 0), g["refused"])
            guard.write(g)
    except (OSError, ValueError):
        s = ()
    slots.commit(m)
    stats.write()  # not counted among the day's writes: there are a handful of these for a set
    if "image" in s:
        try:
            twinroot.image.back()
        except ImportError:  # the package of that set knows of no firmware: it goes with the next start
            pass


def again(timeout, prefer):
    """Turn to the set on trial, for which an older one stands in, and connect."""
    d = stats.data()
    core.tlslink._kept = None
    twinroot.load()
    twinroot.stats._d = d
    if twinroot.SET != d["trial"][0]:  # its code does not load any more
        del d["trial"]
    return twinroot.core.connect(timeout, prefer, False)


def strip(s):
    """Out of the set in use, `s`, which is older than the one that was committed: routes by roots that a newer set has retired. A man
    in the middle could choose such a set by keeping the newer one from its server."""
    n = twinroot.SET
    gone = [x[1] for x in guard.read()["retired"] if x[0] > n]
    a = slots.active()
    if a > n:
        try:
            gone += sets.read(a).get("retired", ())
        except OSError:  # it cannot be read: what it says went to the guard when it connected
            pass
    if not gone:
        return
    for r in s["routes"]:
        r["roots"] = [x for x in r["roots"] if _fingerprint(x) not in gone]
    s["routes"] = [r for r in s["routes"] if r["roots"]]
    if not s["routes"]:
        raise errors.make("set", "its roots are retired", None, None, "set %d" % n)


def _fingerprint(name):
    d = core.tlslink.der(sets.path(twinroot.SET) + name + ".pem", b"CERTIFICATE")
    return uhashlib.sha256(d).digest().hex()
