"""The application of a set, main.py in its folder. /main.py, which changes with no set, asks begin() which one to run, and failed() when
that ends in an exception (firmware/runner.py). A new one that ends so, or by its watchdog, _TRIES times in a row is rolled back with its
set; that it connects is trial.py's concern."""

import sys

import uos
from micropython import const
from utime import ticks_diff, ticks_ms

import twinroot

from . import sets

_TRIES = const(3)
_LASTED = const(3600000)  # ms of a start that was good, however it ended
_MAIN = "main.py"
_NOTE = "crashes"  # how many there were, and "." when there has been a start since


def _read(p):
    try:
        with open(p + _NOTE) as f:
            return f.read(9)
    except OSError:
        return ""


def _write(p, text):
    with open(p + _NOTE, "w") as f:
        f.write(text)


def _reset():
    try:
        from umachine import reset
    except ImportError:  # not on a chip
        return
    reset()


def _there(path):
    try:
        return uos.stat(path)
    except OSError:
        return None


def begin():
    """(path of the application, whether it is on trial, ticks of its start)"""
    n = twinroot.SET
    p = sets.path(n)
    if not _there(p + _MAIN):  # the set is of before there were applications in sets
        for m in sorted([int(d) for d in uos.listdir(sets.ROOT) if d.isdigit()], reverse=True):
            if m < n and _there(sets.path(m) + _MAIN):
                return sets.path(m) + _MAIN, False, 0
    new = not _there(p + twinroot.INFO.get("sum", "proven"))
    note = _read(p)
    if note or new:
        import umachine

        if getattr(umachine, "reset_cause", int)() == 3:  # WDT_RESET
            if _crashed(n) == _TRIES:
                _reset()
            note = _read(p)
        elif note[-1:] == "." and not new:  # it has connected, and the start after the crash did not end in another
            uos.remove(p + _NOTE)
            note = ""
        if note:
            new = True
            _write(p, note.rstrip(".") + ".")
    return p + _MAIN, new, ticks_ms()


def failed(e, begun):
    """The application has ended with `e`; `begun`: what begin() said."""
    path, new, at = begun
    n = int(path.split("/")[2])
    # What the package itself raises is about the connection.
    if path[-7:] == _MAIN and not hasattr(e, "kind"):
        from . import guard, seal, slots

        lasted = guard.proven(n) and ticks_diff(ticks_ms(), at) > _LASTED
        if slots.active() == n and (new and not lasted or not seal.whole(n)):
            sys.print_exception(e)
            if _crashed(n):
                _reset()
    raise e


def _crashed(n):
    """Count a crash of the set `n`, and roll it back with the last. How many there were; 0 when there is nothing to go back to."""
    from . import trial

    m = trial.before(n)
    if not m:
        return 0
    c = int(_read(sets.path(n)).rstrip(".") or "0") + 1
    _write(sets.path(n), str(c))
    if c >= _TRIES:
        trial.roll_back(n, m, True)
    return c


def turned(n):
    """The set in use is not `n` any more: a reset where that had another application."""
    from . import seal

    a = [seal.sha256(sets.path(m) + _MAIN) for m in (n, twinroot.SET)]
    if a[0] != a[1]:
        _reset()
