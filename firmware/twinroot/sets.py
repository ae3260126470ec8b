"""The sets in `/trust`: what is in one, and how its files are replaced. Which is active, and its trial: slots.py."""

import uos

import twinroot

ROOT = "/trust/"


def path(n):
    return "%s%d/" % (ROOT, n)


def read(n):
    """The set.json of set `n`, without its table of hashes. SetError when it cannot be read, or names no route."""
    try:
        d = n == twinroot.SET and getattr(twinroot, "INFO", None)  # a loader of before has none
        if not d:
            from . import seal

            d = seal.parsed(n)[1]
            d.pop("files", None)
        d["routes"][0]["name"]
        return d
    except MemoryError:
        raise
    except Exception as e:
        from . import errors

        raise errors.make("set", e, None, None, "set %d" % n)


def replace(name, text):
    """Write a file of /trust as one step: a power cut leaves the old or the new one."""
    with open(ROOT + name + ".new", "w") as f:
        f.write(text)
    uos.rename(ROOT + name + ".new", ROOT + name)
