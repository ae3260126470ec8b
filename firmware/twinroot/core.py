"""connect(): one pass over the routes of the active set, in the order that policy.py gives. What a board that is well never needs is
in failing.py."""

from utime import sleep_ms, ticks_diff, ticks_ms

import twinroot

from . import clock, policy, sets, stats, tlslink

CONFIRM_MS = 1000  # between two handshakes that must agree

_FULL = OSError(12)  # made while there is memory for it
_set = None
_pol = policy.Policy(1)  # until a set has been read
_link = None
_next = None  # ticks before which no pass begins: the back-off after passes that failed
_own = False  # this start was of the board's own making: a session that has not proven itself is written down
_kept = False  # health.json tells of failures


def state():
    """(set, policy); read once."""
    global _set
    if _set is None:
        s = sets.read(twinroot.SET)
        if twinroot.NOTE:  # an older one than was committed
            twinroot.trial.strip(s)
        elif "image" in s:
            twinroot.image.check(s)
        r = s["routes"]
        names = [x["name"] for x in r]
        h = stats.data()
        p = s.get("policy", {})
        _pol.__init__(
            len(r),
            names.index(h["last"]) if h["last"] in names else 0,
            h["since"],
            p.get("return", policy.RETURN_S),
            bytes([x["standing"] for x in r if "standing" in x]),
            p.get("silence", "upward"),
        )
        _set = s
    return _set, _pol


def pause():
    """Milliseconds until the next pass may begin."""
    global _next
    if _next is not None:
        ms = ticks_diff(_next, ticks_ms())
        # Ticks come round: after 6 days of a 32-bit board what is long past seems to come.
        if 0 < ms <= 200000:  # fallback.CAP_S
            return ms
        _next = None
    return 0


def _failing():
    try:
        return twinroot.failing
    except MemoryError:  # not even what would explain it fits
        raise _FULL


def _trial():
    """True when an older set stands in for one on trial, and that may be tried again."""
    t = stats.data().get("trial")
    return t and t[0] != twinroot.SET and not 0 <= clock.now() - t[2] < policy.RETURN_S


def due():
    """True when something better than what is in use may be tried: the preferred route, or the set that is on trial."""
    return _pol.due(clock.now()) or _trial()


def close():
    """End the session that is open."""
    global _link
    if _link:
        _link.close()
        _link = None


def proved(link):
    """The session of `link` has done what sessions are for, or we ended it: failures before it are forgiven."""
    global _next, _own, _kept
    if link is _link:
        link.ok = True
        _pol.fails = 0
        _next = None
        _own = False
        if stats.data().pop("fails", None) and _kept:
            _kept = False
            stats.save(True)


def connect(timeout=20, prefer=False, wait=True):
    """A verified Link over the best route. `timeout`: seconds for TCP, and again for the handshake. `prefer`: try the
    preferred route first, whatever worked last. `wait`: sleep first for as long as what failed demands.
    Ends a session that is still open: memory holds only one."""
    try:
        k = _link
        if k:
            if k.wire.dead or not (k.ok or k.wire.block):
                _failing().ended(k)
            k = close()  # nothing of it is held while the next one is opened
        while wait and pause():
            sleep_ms(250)
        if _trial():
            return twinroot.trial.again(timeout, prefer)
        return _pass(int(timeout * 1000), prefer)
    except Exception as e:
        return _failing().failed(e, timeout)


def _pass(ms, prefer):
    global _link, _kept
    s, pol = state()
    n = twinroot.SET
    p = sets.path(n)
    i = pol.begin(clock.now(), prefer)
    while True:
        try:
            clock.check(s)
            _link = k = tlslink.open(s["routes"][i], s, p, ms)
            break
        except OSError as e:
            i = _failing().route(e, s)
    now = clock.now()
    d = stats.data()
    stats.good(k.route, k.root, now)
    matters = pol.good(now) or d["last"] is None
    d["last"] = k.route
    d["since"] = pol.since
    if _own or "fails" in d:
        d["fails"] = [n, pol.fails, 0]
        if _own and pol.fails <= 10:
            matters = _kept = True
    if d["proven"] == n or twinroot.proof.owed(k, s):
        stats.save(matters)
    else:
        stats.write()  # once for a set, however often today was written
    return k


try:
    import umachine

    # Power-on: somebody is there and waits. Deep sleep: the application paces itself.
    _own = umachine.reset_cause() not in (1, 4)
except Exception:  # a build that does not tell why it starts
    pass
if "fails" in stats.data():
    _failing().resume()
