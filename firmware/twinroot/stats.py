"""Evidence: per route and per root, what happened; kept in /trust/health.json with bounded flash writes.

Counters wait in RAM. They are written together with something that matters (a set proven, a route changed, a board that
fails or has recovered), or when an hour has passed; never more than `_DAY` times a day. How often that was is in the file itself, so
that a board which resets all the time has no more. What a power cut can cost is an hour of counting, never the file."""

import ujson
from micropython import const
from utime import ticks_diff, ticks_ms

from . import sets

_HOUR = const(3600000)
_SIZE = const(4096)  # bytes of health.json; a product with ten routes needs 2,000
_DAY = const(48)  # writes; 100,000 erase cycles of one block last 5 years even if littlefs did not level wear

_d = None
_at = 0  # ticks of the last write


def data():
    """{"v", "proven": set, "last": route, "since": unix, "day": [number, writes], "routes": {name: {...}}, "roots": {...}}"""
    global _d, _at
    if _d is None:
        _at = ticks_ms()
        try:
            with open(sets.ROOT + "health.json") as f:
                t = f.read(_SIZE)
            d = t.count("[") < 9 and ujson.loads(t)  # brackets without end would fill the heap
            _check(d)
        except MemoryError:  # says nothing about the file
            raise
        except Exception:  # not there, or damaged: counted anew
            d = {"v": 1, "proven": 0, "last": None, "since": 0, "day": [0, 0], "routes": {}, "roots": {}}
        _d = d
    return _d


def _check(d):
    """An exception when `d` is not what is written here: whoever uses it later need not ask."""
    a, b = d.setdefault("day", [0, 0])
    a | d["proven"] | d["since"]
    if b < 0:
        raise ValueError
    (d["last"] or "") + ""
    for k in ("fails", "trial"):
        if len(d.get(k, "   ")) != 3:
            del d[k]
        elif k in d:
            a, b, c = d[k]
            a | b | c
    for r in d["routes"].values():
        r["good"] | r["bad"] | r.get("at", 0), r.get("err", "") + r.get("iss", "")
    for r in d["roots"].values():
        r["good"] | r.get("at", 0)


def _row(table, name):
    return data()[table].setdefault(name, {"good": 0, "bad": 0} if table == "routes" else {"good": 0})


def good(route, root, now):
    for r in _row("routes", route), _row("roots", root or "?"):
        r["good"] += 1
        r["at"] = now
    # A new day begins with a connection only: it proves the clock, which a reset or a time server's lie may have moved.
    if _d["day"][0] != now // 86400:
        _d["day"] = [now // 86400, 0]


def bad(route, kind, issuer):
    r = _row("routes", route)
    r["bad"] += 1
    r["err"] = kind
    if issuer:
        r["iss"] = issuer


def save(now=False):
    """Write if `now`, or if an hour has passed, and if today's writes are not used up."""
    w = data()["day"]
    if w[1] < _DAY and (now or not 0 <= ticks_diff(ticks_ms(), _at) < _HOUR):
        w[1] += 1
        write()


def write():
    """A file system that cannot be written (full, worn out), or too little memory, costs counters, never the connection."""
    global _at
    _at = ticks_ms()
    try:
        sets.replace("health.json", ujson.dumps(_d))
    except (OSError, MemoryError):
        pass


report = data  # for `twinroot.health()`
