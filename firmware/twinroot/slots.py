"""Which set is active, its trial, and the step back to the one before. Loaded when a set that no handshake has proven fails, by the
self-test and by updates: not by a board that is well."""

import uos

import twinroot

from . import sets, stats

LIMIT = 3  # passes that may end in trust or set errors before a set that never connected is rolled back


def active():
    try:
        with open(sets.ROOT + "active") as f:
            return int(f.read())
    except (OSError, ValueError):
        return 0


def commit(n):
    sets.replace("active", str(n))


def previous(n, names=None):
    """Number of the newest readable set below `n`, 0 when there is none. `names`: what lies in /trust, when that is known."""
    for m in sorted([int(d) for d in names or uos.listdir(sets.ROOT) if d.isdigit() and int(d) < n], reverse=True):
        try:
            sets.read(m)
            return m
        except OSError:
            pass
    return 0


def rollback():
    """Make the set before the active one active. Its number, 0 when there is none."""
    n = previous(active())
    if n:
        commit(n)
        twinroot.load()
    return n


def trial(n, version):
    """Count a failed pass of the set `n`, which no handshake has proven yet. True when it has had its chances and the one before is
    active: its version is refused from then on. With no set before there is no trial."""
    if not previous(n):
        return False
    d = stats.data()
    t = d.get("trial")
    k = t[1] + 1 if t and t[0] == n else 1
    d["trial"] = [n, k]
    if k >= LIMIT:
        d["refused"] = max(version, d.get("refused", 0))
    stats.write()  # not counted among the day's writes: there are LIMIT of these for a set
    return k >= LIMIT and rollback() > 0
