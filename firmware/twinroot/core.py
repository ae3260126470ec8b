"""connect(): one pass over the routes of the active set, in the order that policy.py gives."""

import gc
import os
from time import sleep_ms, ticks_add, ticks_diff, ticks_ms

from micropython import const

import twinroot

from . import clock, policy, sets, stats, tlslink

_TRIAL = const(3)  # passes that may end in trust or set errors before a set that never connected is rolled back
CONFIRM_MS = 1000  # between two handshakes that must agree

_set = None
_pol = None
_link = None
_next = None  # ticks before which no pass begins: the back-off after passes that failed


def state():
    """(set, policy); read once."""
    global _set, _pol
    if _set is None:
        _set = sets.read(twinroot.SET)
        names = [r["name"] for r in _set["routes"]]
        h = stats.data()
        _pol = policy.Policy(
            len(names),
            names.index(h["last"]) if h["last"] in names else 0,
            h["since"],
            _set.get("policy", {}).get("return", policy.RETURN_S),
        )
    return _set, _pol


def due():
    """True when another than the preferred route is in use and it is time to try that again."""
    return _pol is not None and _pol.last and _pol.due(clock.now())


def connect(timeout=20, prefer=False, wait=True):
    """A verified Link over the best route. `timeout`: seconds for TCP, and again for the handshake. `prefer`: try the
    preferred route first, whatever worked last. `wait`: sleep first for as long as the passes that failed demand.
    Ends a session that is still open: memory holds only one."""
    global _link
    if _link:
        _link.close()
        _link = None
    while wait and _next is not None:
        ms = ticks_diff(_next, ticks_ms())
        if ms <= 0:
            break
        sleep_ms(min(ms, 1000))
    try:
        return _pass(int(timeout * 1000), prefer)
    except OSError as e:
        if not failed(e):
            raise
    from . import core  # the set before it, and its package

    return core.connect(timeout, prefer, wait)


def _pass(ms, prefer):
    global _link
    s, pol = state()
    table = s.get("lab", {}).get("resolve")
    asked = False
    i = pol.begin(-1 if prefer else clock.now())
    while True:
        route = s["routes"][i]
        try:
            clock.check(s)
            gc.collect()
            _link = tlslink.open(route, table, sets.path(twinroot.SET), s.get("cert"), s.get("key"), ms)
        except OSError as e:
            if e.route:
                stats.bad(e.route, e.kind, e.issuer)
                if e.kind == "clock" and not asked:
                    asked = True
                    if clock.check(s, True):
                        continue
            j = pol.failed(e.kind)
            if j < 0:
                stats.save()
                raise
            if j == i:
                sleep_ms(CONFIRM_MS + os.urandom(1)[0])
            i = j
            continue
        now = clock.now()
        d = stats.data()
        stats.good(route["name"], _link.root, now)
        matters = pol.good(now) or d["last"] is None or d["proven"] != twinroot.SET
        d["last"] = route["name"]
        d["since"] = pol.since
        d["proven"] = twinroot.SET
        d.pop("trial", None)
        stats.save(matters)
        return _link


def failed(e):
    """After a pass that failed, or a refusal by the broker: back off. True when the set was on trial, has had its chances, and the one
    before is active."""
    global _set, _next
    if _pol:
        _next = ticks_add(ticks_ms(), int(1000 * _pol.wait(os.urandom(1)[0] / 255)))
    if e.kind in ("trust", "set") and stats.data()["proven"] != twinroot.SET and sets.previous(twinroot.SET):
        if stats.trial(twinroot.SET, _set["version"] if _set else 0, _TRIAL):
            _set = None
            return sets.rollback()
    return 0
