# mypy: ignore-errors
# ruff: noqa
# The loader of the first form, as boards in the field have it: packages are folders of modules. Tests only.
"""Loader of the connection package: small and stable, it changes less often than what it loads.

The package proper lies in /lib/twinroot/<package>/, and the set of certificates named by /trust/active says which
<package> it was tested with. So the one rename that switches the set switches the code as well. When the active set,
or its package, is not what was committed or does not load, the newest older one that does is used, and NOTE says so.

Frozen into firmware, or copied flat, there is no such folder: the modules beside this file are used.
"""

import gc
import hashlib
import json
import os
import sys
from binascii import hexlify

SET = 0  # number of the set in use; 0: there is none
NOTE = None  # why the set in use is not the active one
INFO = None  # set.json of the set in use, parsed, without its table of hashes: nobody parses it a second time
_HOME = __path__
_order = []  # sets to try after the one in use


def _package(n):
    """Folder of the package of set `n`. ValueError when a file in it is not what was committed: MicroPython can hang
    on a .mpy file that is cut short."""
    global INFO
    INFO = None
    with open("/trust/%d/set.json" % n) as f:
        d = json.load(f)
    path = _HOME + "/" + d["package"]
    files = d.pop("files")
    for name in files:
        if name.startswith(path):
            with open(name, "rb") as f:
                if hexlify(hashlib.sha256(f.read()).digest()).decode() != files[name]:
                    raise ValueError(name)
    INFO = d
    return path


def _next():
    """Turn to the next set whose package is whole; modules of the one before are forgotten."""
    global SET, NOTE, __path__
    for name in list(sys.modules):
        if name.startswith("twinroot."):
            del sys.modules[name]
            globals().pop(name[9:], None)
    while _order:
        SET = _order.pop(0)
        try:
            __path__ = _package(SET)
            return
        except Exception as e:  # whatever is wrong with this set, an older one may still connect
            NOTE = NOTE or "set %d: %r" % (SET, e)
    __path__ = _HOME


def load():
    """Choose the set; at import, and after the active one has changed."""
    global _order, NOTE, SET
    NOTE = None
    SET = 0
    try:
        _order = sorted([int(d) for d in os.listdir("/trust") if d.isdigit()], reverse=True)
        with open("/trust/active") as f:
            n = int(f.read())
        # Sets numbered above the active one were never committed, or were rolled back: the last resort.
        _order = [n] + [x for x in _order if x < n] + [x for x in _order if x > n]
    except (OSError, ValueError) as e:
        NOTE = "active: %r" % e
    _next()


def _core():
    """The module core, of the first set whose code loads."""
    global NOTE
    while True:
        try:
            return _import("core")
        except MemoryError:  # says nothing about the code
            raise
        except Exception as e:
            if __path__ == _HOME:
                raise ImportError("no usable set: %s; run twinroot update" % (NOTE or e))
            NOTE = NOTE or "set %d: %r" % (SET, e)
            _next()


def _import(name):
    gc.collect()  # what stays is packed at the bottom of the heap: a TLS context needs 3 KB in one piece
    name = "twinroot." + name
    __import__(name)
    return sys.modules[name]


def _call(module, name, **options):
    try:
        _core()
        return getattr(_import(module), name)(**options)
    except MemoryError:  # not even the module that would explain it fits
        raise OSError(12, "out of memory")


def connect(**options):
    return _call("core", "connect", **options)


def mqtt(**options):
    return _call("client", "mqtt", **options)


def health():
    return _import("stats").report()


def selftest(connect=False):
    return _call("check", "selftest", connect=connect)


def __getattr__(name):
    """Error classes, and modules of the package, on first use. (`from . import x` asks here before it imports.)"""
    if name[0] == "_":
        raise AttributeError(name)
    if name[0] < "[":
        return _import("errors").named(name)
    return _core() if name == "core" else _import(name)


load()
