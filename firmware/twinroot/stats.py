"""Evidence: per route and per root, what happened; kept in /trust/health.json with bounded flash writes.

Counters wait in RAM. They are written together with something that matters (a set proven, a route changed, a trial
failed), or when an hour has passed; never more than `_DAY` times in 24 hours of uptime. What a power cut can cost is
an hour of counting, never the file."""

import json
from time import ticks_diff, ticks_ms

from micropython import const

from . import sets

_HOUR = const(3600000)
_DAY = const(48)  # writes; 100,000 erase cycles of one block last 5 years even if littlefs did not level wear

_d = None
_at = 0  # ticks of the last write
_left = _DAY
_day = 0  # ticks at which the day began


def data():
    """{"v", "proven": set, "last": route, "since": unix, "routes": {name: {...}}, "roots": {name: {"good"}}}"""
    global _d, _at, _day
    if _d is None:
        _at = _day = ticks_ms()
        try:
            with open(sets.ROOT + "health.json") as f:
                _d = json.load(f)
            _d["routes"].items, _d["roots"].items, _d["proven"] + _d["since"], _d["last"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            _d = {"v": 1, "proven": 0, "last": None, "since": 0, "routes": {}, "roots": {}}
    return _d


def _row(table, name):
    return data()[table].setdefault(name, {"good": 0, "bad": 0} if table == "routes" else {"good": 0})


def good(route, root, now):
    r = _row("routes", route)
    r["good"] += 1
    r["at"] = now
    _row("roots", root or "?")["good"] += 1


def bad(route, kind, issuer):
    r = _row("routes", route)
    r["bad"] += 1
    r["err"] = kind
    if issuer:
        r["iss"] = issuer


def save(now=False):
    """Write if `now`, or if an hour has passed, and if today's writes are not used up. A file system that cannot be
    written (full, worn out) costs counters, never the connection."""
    global _at, _left, _day
    t = ticks_ms()
    if ticks_diff(t, _day) >= 24 * _HOUR or ticks_diff(t, _day) < 0:
        _day = t
        _left = _DAY
    if _left and (now or ticks_diff(t, _at) >= _HOUR):
        _left -= 1
        _at = t
        try:
            sets.replace("health.json", json.dumps(_d))
        except OSError:
            pass


def trial(n, version, limit):
    """Count a failed pass of the set `n`, which no handshake has proven yet. True when it has had `limit` of them: its
    version is refused from then on."""
    d = data()
    t = d.get("trial")
    k = t[1] + 1 if t and t[0] == n else 1
    d["trial"] = [n, k]
    if k >= limit:
        d["refused"] = version
    save(True)
    return k >= limit


def report():
    """What `twinroot.health()` answers."""
    return dict(data())
