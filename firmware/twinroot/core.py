"""connect(): one pass over the routes of the active set, in the order that policy.py gives."""

import gc

import uos
from micropython import const
from utime import sleep_ms, ticks_add, ticks_diff, ticks_ms

import twinroot

from . import clock, policy, sets, stats, tlslink

_KEEP = const(10)  # failures in a row that are worth a flash write: after these the back-off grows no more
CONFIRM_MS = 1000  # between two handshakes that must agree

_set = None
_pol = policy.Policy(1)  # until a set has been read
_link = None
_next = None  # ticks before which no pass begins: the back-off after passes that failed
_stage = 0  # of what health.json was told since power-on: 0 nothing, 1 that this board fails, 2 that it is well again


def state():
    """(set, policy); read once."""
    global _set
    if _set is None:
        _pol.fails += 1  # until it has been read
        _set = sets.read(twinroot.SET)
        _pol.fails -= 1
        names = [r["name"] for r in _set["routes"]]
        h = stats.data()
        _pol.__init__(
            len(names),
            names.index(h["last"]) if h["last"] in names else 0,
            h["since"],
            _set.get("policy", {}).get("return", policy.RETURN_S),
        )
    return _set, _pol


def _resume():
    """After a reset that the board itself brought about, the back-off goes on where it was: a loop of resets is no way around it."""
    try:
        import umachine

        f = stats.data()["fails"]
        # Power-on: somebody is there and waits. Deep sleep: the application paces itself.
        if f[0] == twinroot.SET and umachine.reset_cause() not in (1, 4):
            _pol.fails = f[1]
            _wait()
    except Exception:  # no failures, or a build that does not tell why it starts
        pass


def _wait():
    global _next
    _next = ticks_add(ticks_ms(), int(1000 * _pol.wait(uos.urandom(1)[0] / 255)))


def pause():
    """Milliseconds until the next pass may begin."""
    global _next
    if _next is not None:
        ms = ticks_diff(_next, ticks_ms())
        # Ticks come round: after 6 days of a 32-bit board what is long past seems to come.
        if 0 < ms <= policy.CAP_S * 1000:
            return ms
        _next = None
    return 0


def due():
    """True when another than the preferred route is in use and it is time to try that again."""
    return _pol.last and _pol.due(clock.now())


def close():
    """End the session that is open."""
    global _link
    if _link:
        _link.close()
        _link = None


def connect(timeout=20, prefer=False, wait=True):
    """A verified Link over the best route. `timeout`: seconds for TCP, and again for the handshake. `prefer`: try the
    preferred route first, whatever worked last. `wait`: sleep first for as long as the passes that failed demand.
    Ends a session that is still open: memory holds only one."""
    close()
    while wait and pause():
        sleep_ms(min(pause(), 1000))
    try:
        return _pass(int(timeout * 1000), prefer)
    except (OSError, MemoryError) as e:
        if isinstance(e, MemoryError):  # not in a handshake: what has to be loaded or read does not fit
            gc.collect()
            from . import errors

            e = errors.make("memory", e)
            _pol.fails += 1
        if not hasattr(e, "kind") or not failed(e):  # without: a module of the package is damaged, and the loader knows it
            raise e
    return twinroot.core.connect(timeout, prefer, wait)  # of the set before it, and its package


def _pass(ms, prefer):
    global _link
    s, pol = state()
    asked = False
    i = pol.begin(-1 if prefer else clock.now())
    while True:
        route = s["routes"][i]
        try:
            clock.check(s)
            gc.collect()
            _link = tlslink.open(route, s, sets.path(twinroot.SET), ms)
        except OSError as e:
            if not hasattr(e, "kind"):
                raise
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
                sleep_ms(CONFIRM_MS + uos.urandom(1)[0])
            i = j
            continue
        now = clock.now()
        d = stats.data()
        stats.good(route["name"], _link.root, now)
        matters = pol.good(now)
        matters = well(False) or matters or d["last"] is None
        d["last"] = route["name"]
        d["since"] = pol.since
        d.pop("trial", None)
        if d["proven"] != twinroot.SET:
            d["proven"] = twinroot.SET
            stats.write()  # once for a set, however often today was written
        else:
            stats.save(matters)
        return _link


def well(broker):
    """What failed in a row is forgotten after a handshake; what a `broker` had refused, when it lets us in. True when that is worth a
    write."""
    global _stage
    d = stats.data()
    if d.get("fails", (0, 0, 2))[2] <= broker:
        del d["fails"]
        if _stage < 2:
            _stage = 2
            return True
    return False


def failed(e, broker=False):
    """After a pass that failed, or a refusal by the `broker`: back off. True when the set was on trial, has had its chances, and the one
    before is active."""
    global _set, _stage
    _wait()
    d = stats.data()
    d["fails"] = [twinroot.SET, _pol.fails, broker]
    if not _stage and _pol.fails <= _KEEP:
        _stage = 1
        stats.save(True)
    if e.kind in ("trust", "set") and d["proven"] != twinroot.SET:
        from . import slots

        if slots.trial(twinroot.SET, _set["version"] if _set else 0):
            _set = None
            return True
    return False


_resume()
