"""selftest(): what is on this board, for `twinroot verify`: every file of the set hashed, and a connection if asked."""

import gc
import sys

import uhashlib
import ujson
import uos
from utime import ticks_diff, ticks_ms

import twinroot

from . import clock, errors, sets, slots, stats

beat = None  # called between two reads of flash where a host waits: a sign of life for each


def sha256(path, buf):
    """Lower-case hex SHA-256 of a file, read through `buf`; None when it cannot be read."""
    h = uhashlib.sha256()
    try:
        with open(path, "rb") as f:
            while True:
                if beat:
                    beat()
                n = f.readinto(buf)
                if not n:
                    return h.digest().hex()
                h.update(memoryview(buf)[:n])
    except OSError:
        return None


def bad(n, want=""):
    """(paths whose hash differs or that are missing, hash of set.json) of the set `n`; (None, hash) of one that is not `want`."""
    p = sets.path(n)
    with open(p + "set.json", "rb") as f:
        files = f.read()
    sha = uhashlib.sha256(files).digest().hex()
    if not sha.startswith(want):
        return None, sha
    files = ujson.loads(files)["files"]
    gc.collect()
    try:
        buf = bytearray(4096)  # littlefs reads a whole block at once into that, else 128 bytes
    except MemoryError:
        buf = bytearray(256)
    out = []
    for name in sorted(files):
        q = name if name[0] == "/" else p + name
        if sha256(q, buf) != files[name]:
            out.append(q)
    return out, sha


def _uid():
    try:
        from umachine import unique_id

        return unique_id().hex()
    except ImportError:
        return None


def selftest(connect=False, want=""):
    """What the board holds. `want`: the beginning of the SHA-256 of set.json; of another set only that is read, and "bad" is None."""
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
        d["bad"], d["set_sha256"] = bad(n, want)
        s = sets.read(n)
        if d["bad"] is not None:
            d["trust"] = uos.listdir("/trust")
            d["previous"] = slots.previous(n, d["trust"]) or None
        for k in ("product", "device", "board", "version", "package"):
            d[k] = s.get(k)
        d["routes"] = [r["name"] for r in s["routes"]]
        d["lab"] = "lab" in s
        d["ok"] = d["bad"] == [] and not d["error"]
    except (OSError, ValueError, KeyError) as e:
        d["error"] = d["error"] or str(e)
    if connect:
        d["connect"] = _connect()
        d["ok"] = d["ok"] and d["connect"]["ok"]
        d["proven"] = stats.data()["proven"] or None
    gc.collect()
    d["free"] = gc.mem_free()
    return d


def held(want, paths):
    """For the host's question whether there is anything to do: [self-report, what lies in /lib/twinroot, hashes of `paths`] when set.json
    is `want`; else whose set it is."""
    global beat
    beat = print
    d = selftest(False, want)
    if d["bad"] is None:
        return d["device"]
    return [d, uos.listdir("/lib/twinroot"), [sha256(p, bytearray(512)) for p in paths]]


class _Hello:
    lw_topic = user = None
    keepalive = 60


def _ask(link):
    """The broker's answer to CONNECT, of a session that goes on (clean session 0): nothing that the application has subscribed is lost."""
    h = _Hello()
    h.client_id = sets.read(twinroot.SET)["client_id"]
    try:
        link.sock.write(twinroot.client.packet(h, False))
        r = link.sock.read(4)
        if r[0] != 0x20 or r[3]:
            raise errors.make("refused", "CONNACK %d" % r[3], link.route)
        link.accepted()
        link.sock.write(b"\xe0\0")
    except Exception as e:
        if not isinstance(e, errors.TwinrootError):
            e = errors.make("refused", "closed after CONNECT: %r" % e, link.route)
        link.wire.dead = True
        link.close()
        raise e


def _connect():
    from . import core

    t = ticks_ms()
    c = {"ok": False, "route": None, "root": None, "error": None, "kind": None}
    try:
        link = core.connect(wait=False)  # somebody asks, and waits for the answer
        c["route"], c["root"] = link.route, link.root
        if link.owes:  # a handshake does not say whether the device is wanted
            _ask(link)
        link.close()
        c["ok"] = True
    except errors.TwinrootError as e:
        c["route"], c["kind"], c["error"] = e.route, e.kind, str(e)
    c["ms"] = ticks_diff(ticks_ms(), t)
    return c
