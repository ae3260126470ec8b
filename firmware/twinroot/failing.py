"""What a board does that is not well: one error for whatever was raised, the next route, the back-off and its memory over resets.
Loaded with the first failure."""

import gc

import uos
from micropython import const
from utime import sleep_ms, ticks_add, ticks_diff, ticks_ms

import twinroot

from . import clock, core, errors, fallback, stats

_KEEP = const(10)  # failures in a row that are worth a flash write: after these the back-off grows no more

_told = False  # health.json was told, since this start, that this board fails
_spent = None  # ticks at which the attempts so far are paid for


def ours(e):
    """The package's error for whatever was raised."""
    if isinstance(e, errors.TwinrootError):
        return e
    if isinstance(e, MemoryError):  # not in a handshake: what has to be loaded or read does not fit
        gc.collect()
        return errors.make("memory", e)
    return errors.make("set", e, None, None, repr(e))


def route(e, s):
    """Next route of the pass after the attempt on one ended in `e`; raises it when there is none. `s`: the set."""
    e = ours(e)
    p = core._pol
    if e.route:
        stats.bad(e.route, e.kind, e.issuer)
        if e.kind == "clock" and not p.asked:
            p.asked = True
            if clock.check(s, True):
                return p.i
    i = p.i
    j = fallback.failed(p, e.kind)
    if j < 0:
        raise e
    if j == i:
        sleep_ms(core.CONFIRM_MS + uos.urandom(1)[0])
    return j


def failed(e, timeout):
    """After a pass that failed with `e`: back off. A Link when an older set stands in, else raises the package's error."""
    e = ours(e)
    p = core._pol
    p.fails += 1
    back_off()
    # Memory is the board's own affair; silence has to last as it has for a route, but for a set that has lost before.
    if e.kind != "memory" and (e.kind != "network" or p.any or fallback.silent(p) or "trial" in stats.data()):
        try:
            from . import trial

            k = trial.other(e, timeout)
            if k:
                return k
        except MemoryError:  # no space for a comparison
            pass
    raise e


def ended(link):
    """A session has ended that was not ended by us, or was it before it had proven itself."""
    if 0 <= ticks_diff(ticks_ms(), link.at) < fallback.EACH_S * 1000:
        back_off()
    else:  # it lasted
        core.proved(link)
        link.accepted()
    link.wire.dead = True


def refused():
    """The broker does not want this device, after a handshake that was good."""
    back_off()
    core._link = None


def _pause(p):
    return int(1000 * fallback.wait(p.fails, uos.urandom(1)[0] / 255, p.n))


def back_off():
    """No pass begins before `core._next`. Attempts have a budget, too: however often a server lets us in, and out again, there are
    BURST of them together and then one in EACH_S."""
    global _told, _spent
    p = core._pol
    now = ticks_ms()
    owed = 0 if _spent is None else ticks_diff(_spent, now)
    if not 0 < owed <= (fallback.BURST + 1) * fallback.EACH_S * 1000:  # long past: ticks come round
        owed = 0
    owed += fallback.EACH_S * 1000
    _spent = ticks_add(now, owed)
    ms = max(_pause(p), owed - fallback.BURST * fallback.EACH_S * 1000)
    core._next = ticks_add(now, ms)
    stats.data()["fails"] = [twinroot.SET, p.fails, p.quiet or 0]
    matters = not _told and p.fails <= _KEEP
    if matters:
        _told = core._kept = True
    stats.save(matters)


def resume():
    """After a reset that the board itself brought about, the back-off goes on where it was: a loop of resets is no way around it."""
    f = stats.data()["fails"]
    core._kept = True
    if f[0] == twinroot.SET:
        p = core._pol
        p.quiet = f[2] or None
        if core._own:
            p.fails = f[1]
            core._next = ticks_add(ticks_ms(), _pause(p))
