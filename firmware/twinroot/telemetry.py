"""What happened, small enough for a metered uplink: compact JSON of bounded length, for the application to publish."""

import ujson

import twinroot

from . import stats


def text(limit=300):
    """JSON of fewer than `limit` bytes: {"s": set, "p": proven set, "l": last route, "r": {route: [good, bad, last error,
    issuer wanted]}, "a": {root: connections it anchored}}. What does not fit is left out, issuers first."""
    d = stats.data()
    for cut in (40, 20, 0, -1):
        r = {}
        for name in d["routes"]:
            v = d["routes"][name]
            row = [v["good"], v["bad"]]
            if "err" in v:
                row.append(v["err"])
                if cut > 0 and "iss" in v:
                    row.append(v["iss"][:cut])
            r[str(name)[:20]] = row
        m = {"s": twinroot.SET, "p": d["proven"], "l": d["last"], "r": r}
        if cut >= 0:
            m["a"] = {str(n)[: cut or 12]: d["roots"][n]["good"] for n in d["roots"]}
        t = ujson.dumps(m, separators=(",", ":"))
        if len(t.encode()) < limit:
            return t
    return "{}"
