"""What happened, small enough for a metered uplink: compact JSON of bounded length, for the application to publish. By these reports a
fleet's owner knows when nobody needs a root any more: `twinroot migrate collect`."""

import sys

import uhashlib
import ujson

import twinroot

from . import sets, tlslink  # stats and clock are looked up there: after an update they are those of another package

_x = None  # newest version that was rolled back; it changes with a restart only


def _refused():
    global _x
    if _x is None:
        from . import guard

        _x = guard.read()["refused"]
        del twinroot.guard, sys.modules["twinroot.guard"]  # for once in the life of a start
    return _x


_c = None  # (set, beginning of the SHA-256 of its certificate)


def _certificate(s):
    global _c
    n = twinroot.SET
    if not _c or _c[0] != n:
        try:
            _c = n, uhashlib.sha256(tlslink.der(sets.path(n) + s["cert"])).digest()[:4].hex()
        except (OSError, KeyError, TypeError, ValueError):  # there is none
            _c = n, None
    return _c[1]


def text(limit=300):
    """JSON of fewer than `limit` bytes: {"t": unix, "v": version of the set, "s": set, "p": proven set, "x": version rolled back, "m":
    MicroPython, "c": first 8 hex digits of the SHA-256 of the device certificate in use, "o": routes of the set in order, "l": last route,
    "r": {route: [good, bad, last error, issuer wanted]}, "a": {root: connections it anchored}}. What does not fit is left out, issuers
    first; names are cut to 20 bytes, roots that would then be alike are left out."""
    d = twinroot.stats.data()
    s = getattr(twinroot, "INFO", None) or {}
    for cut in (40, 20, 0, -1):
        r = {}
        for name in d["routes"]:
            v = d["routes"][name]
            row = [v["good"], v["bad"]]
            if "err" in v:
                row.append(v["err"])
                if cut > 0 and "iss" in v:
                    row.append(v["iss"][:cut])
            k = str(name)[:20]
            r[k if k not in r else str(name)] = row
        m = {"t": twinroot.clock.now(), "s": twinroot.SET, "p": d["proven"], "l": d["last"], "r": r}
        m["v"] = s.get("version")
        m["m"] = "%d.%d.%d" % sys.implementation.version[:3]
        if _refused():
            m["x"] = _x
        c = _certificate(s)
        if c:
            m["c"] = c
        if cut >= 0:
            a = {str(n)[: cut or 20]: d["roots"][n]["good"] for n in d["roots"]}
            if len(a) == len(d["roots"]):  # two that are cut alike say nothing
                m["a"] = a
            m["o"] = ",".join([str(x["name"]) for x in s.get("routes", ())])
        t = ujson.dumps(m, separators=(",", ":"))
        if len(t.encode()) < limit:
            return t
    return "{}"


def shadow(client, thing=None):
    """Publish that as the state of the named shadow "twinroot", which AWS's fleet index reads. `thing`: when its name is not the
    client id. Call it after connecting, as often as the fleet's owner wants to know."""
    t = "$aws/things/%s/shadow/name/twinroot/update" % (thing or client.client_id)
    client.publish(t, '{"state":{"reported":%s}}' % text())
