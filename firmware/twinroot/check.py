"""selftest(): what is on this board, for `twinroot verify`: every file of the set hashed, and a connection if asked."""

import gc
import sys

import uhashlib
import ujson
from ubinascii import hexlify
from utime import ticks_diff, ticks_ms

import twinroot

from . import clock, errors, sets, slots, stats


def sha256(path, buf):
    """Lower-case hex SHA-256 of a file, read through `buf`; None when it cannot be read."""
    h = uhashlib.sha256()
    try:
        with open(path, "rb") as f:
            while True:
                n = f.readinto(buf)
                if not n:
                    return str(hexlify(h.digest()), "ascii")
                h.update(memoryview(buf)[:n])
    except OSError:
        return None


def bad(n, buf):
    """(paths whose hash differs or that are missing, hash of set.json) of the set `n`."""
    p = sets.path(n)
    with open(p + "set.json") as f:
        files = ujson.load(f)["files"]
    out = []
    for name in sorted(files):
        q = name if name[0] == "/" else p + name
        if sha256(q, buf) != files[name]:
            out.append(q)
    return out, sha256(p + "set.json", buf)


def _uid():
    try:
        from umachine import unique_id

        return str(hexlify(unique_id()), "ascii")
    except ImportError:
        return None


def selftest(connect=False):
    n = twinroot.SET
    d = {
        "ok": False,
        "set": n,
        "active": slots.active(),
        "previous": None,
        "proven": stats.data()["proven"] or None,
        "product": None,
        "device": None,
        "board": None,
        "version": None,
        "package": None,
        "set_sha256": None,
        "bad": [],
        "uid": _uid(),
        "mpy": getattr(sys.implementation, "_mpy", 0) & 0xFF,
        "mp": list(sys.implementation.version[:3]),
        "platform": sys.platform,
        "free": 0,
        "clock": clock.now(),
        "routes": [],
        "error": twinroot.NOTE,
    }
    try:
        s = sets.read(n)
        d["previous"] = slots.previous(n) or None
        for k in ("product", "device", "board", "version", "package"):
            d[k] = s.get(k)
        d["routes"] = [r["name"] for r in s["routes"]]
        d["lab"] = "lab" in s
        d["bad"], d["set_sha256"] = bad(n, bytearray(256))
        d["ok"] = not d["bad"] and not d["error"]
    except (OSError, ValueError, KeyError) as e:
        d["error"] = d["error"] or str(e)
    if connect:
        d["connect"] = _connect()
        d["ok"] = d["ok"] and d["connect"]["ok"]
        d["proven"] = stats.data()["proven"] or None
    gc.collect()
    d["free"] = gc.mem_free()
    return d


def _connect():
    from . import core

    t = ticks_ms()
    c = {"ok": False, "route": None, "root": None, "error": None, "kind": None}
    try:
        link = core.connect(wait=False)  # somebody asks, and waits for the answer
        link.close()
        c["ok"], c["route"], c["root"] = True, link.route, link.root
    except errors.TwinrootError as e:
        c["route"], c["kind"], c["error"] = e.route, e.kind, str(e)
    c["ms"] = ticks_diff(ticks_ms(), t)
    return c
