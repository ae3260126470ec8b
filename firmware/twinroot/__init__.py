"""Loader of the connection package: small and stable, it changes less often than what it loads.

The package proper lies in `/lib/twinroot/<package>/`, and the set of certificates named by `/trust/active` says
which `<package>` it was tested with. So the one rename that switches the set switches the code as well. When the
active set or its package cannot be read, the newest older one that can be is used, and `NOTE` says so.

Frozen into firmware, or copied flat, there is no such folder: the modules beside this file are used.
"""

import hashlib
import json
import os
import sys
from binascii import hexlify

SET = 0  # number of the set in use; 0: there is none
NOTE = None  # why the set in use is not the active one
_HOME = __path__


def _package(n):
    """Folder of the package of set `n`. ValueError when a file in it is not what was committed: MicroPython can hang
    on a .mpy file that is cut short."""
    with open("/trust/%d/set.json" % n) as f:
        d = json.load(f)
    path = _HOME + "/" + d["package"]
    os.stat(path)
    buf = bytearray(128)
    for name in d["files"]:
        if name.startswith(path):
            h = hashlib.sha256()
            with open(name, "rb") as f:
                while True:
                    k = f.readinto(buf)
                    if not k:
                        break
                    h.update(buf if k == 128 else buf[:k])
            if str(hexlify(h.digest()), "ascii") != d["files"][name]:
                raise ValueError(name)
    return path


def _use(path):
    """Import the core from `path`; modules of an attempt that failed are forgotten."""
    global __path__
    __path__ = path
    for name in list(sys.modules):
        if name.startswith("twinroot."):
            del sys.modules[name]
    __import__("twinroot.core")


def load():
    """Choose the set and its package; called at import and after a rollback."""
    global SET, NOTE
    NOTE = None
    order = []
    try:
        order = sorted([int(d) for d in os.listdir("/trust") if d.isdigit()], reverse=True)
        with open("/trust/active") as f:
            n = int(f.read())
        # Sets numbered above the active one were never committed, or were rolled back: the last resort.
        order = [n] + [x for x in order if x < n] + [x for x in order if x > n]
    except (OSError, ValueError) as e:
        NOTE = "/trust/active: %r" % e
    for n in order:
        try:
            path = _package(n)
            SET = n
            return _use(path)
        except Exception as e:  # whatever is wrong with this set, an older one may still connect
            NOTE = NOTE or "set %d: %r" % (n, e)
    SET = order[0] if order else 0
    try:
        _use(_HOME)
    except ImportError:
        raise ImportError("no usable set: %s; write one: twinroot update" % NOTE)


def connect(**options):
    from . import core

    return core.connect(**options)


def mqtt(**options):
    from . import client

    return client.mqtt(**options)


def health():
    from . import stats

    return stats.report()


def selftest(connect=False):
    from . import check

    return check.selftest(connect)


def __getattr__(name):
    """Error classes, and modules of the package, on first use. (`from . import x` asks here before it imports.)"""
    if name[0] == "_":
        raise AttributeError(name)
    if name[0] < "[":
        from . import errors

        return errors.named(name)
    __import__("twinroot." + name)
    return sys.modules["twinroot." + name]


load()
