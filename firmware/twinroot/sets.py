"""The sets in `/trust`: which is active, what is in it, and the step back to the one before."""

import json
import os

import twinroot

ROOT = "/trust/"


def path(n):
    return "%s%d/" % (ROOT, n)


def read(n):
    """The set.json of set `n`, without its table of hashes. SetError when it cannot be read."""
    try:
        with open(path(n) + "set.json") as f:
            d = json.load(f)
        d.pop("files", None)
        d["routes"][0]["roots"]
        return d
    except (OSError, ValueError, KeyError, IndexError, TypeError) as e:
        from . import errors

        raise errors.make("set", e, None, None, "set %d" % n)


def active():
    try:
        with open(ROOT + "active") as f:
            return int(f.read())
    except (OSError, ValueError):
        return 0


def replace(name, text):
    """Write a file of /trust as one step: a power cut leaves the old or the new one."""
    with open(ROOT + name + ".new", "w") as f:
        f.write(text)
    os.rename(ROOT + name + ".new", ROOT + name)


def commit(n):
    replace("active", str(n))


def previous(n):
    """Number of the newest readable set below `n`, 0 when there is none."""
    for m in sorted([int(d) for d in os.listdir(ROOT) if d.isdigit() and int(d) < n], reverse=True):
        try:
            read(m)
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
