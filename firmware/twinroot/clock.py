"""Time before trust. The clock of a board starts in 2000; a handshake with it would call every certificate not yet
valid. The floor is a time that has certainly passed: it comes with the set and only rises with it. The ceiling lies 25 years above:
beyond it a clock, or a time server, is wrong, and builds of before 1.26 cannot reckon with times past 2068."""

import utime
from micropython import const

_SPAN = const(788400000)  # 25 years
EPOCH = 946684800 if utime.gmtime(0)[0] == 2000 else 0  # unix seconds of this build's second 0


def now():
    """Unix seconds."""
    return int(utime.time()) + EPOCH


def check(s, force=False):
    """ClockError when there is no plausible time and no server of the set `s` gives one. `force`: a server's dates
    disagree with the clock, so ask even if it is plausible. True when the clock was changed."""
    t = s.get("time", {})
    floor = t.get("floor", 0)
    top = floor + _SPAN
    moved = None
    if force or not floor <= now() < top:
        from . import ntp

        moved = ntp.sync(t.get("servers", ()), floor, top, s)
        if not floor <= now() < top:
            from . import errors

            raise errors.make("clock", "no time server answered")
    return moved
