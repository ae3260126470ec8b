"""Which set is active, and which one was before. Loaded by the self-test, by updates and by trials: not by a board that is well."""

import uos

from . import sets


def active():
    try:
        with open(sets.ROOT + "active") as f:
            return int(f.read(9))
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
        except (OSError, MemoryError):  # a set.json that does not fit was not written by us
            pass
    return 0
