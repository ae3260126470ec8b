"""Loader of the connection package: small and stable, it changes less often than what it loads.

The package proper is one file, /lib/twinroot/<package>, and the set of certificates named by /trust/active says which
<package> it was tested with. So the one rename that switches the set switches the code as well. When the active set,
or its package, is not what was committed or does not load, the newest older one that does is used, and NOTE says so.

A package begins with its index (docs/device.md, "The package in flash"); the first 12 hex digits of the SHA-256 of the index
are the package's name. A module is read once, when it is first needed, and proven by its hash in the index before it runs.
MicroPython imports only from file systems, so for that moment _Pack is mounted as one, in the file's place. Packages
of earlier releases are folders of modules, and are used as such. Frozen into firmware, or copied flat, there is no package: the modules
beside this file are used.
"""

import gc
import sys

import ujson
import uos
from uhashlib import sha256

SET = 0  # number of the set in use; 0: there is none
NOTE = None  # why the set in use is not the active one
INFO = None  # set.json of the set in use, parsed, without its table of hashes: nobody parses it a second time
_HOME = __path__
_packed = False  # the package in use is one file
_file = None  # that file, while it is open
_index = None
_bad = None  # what was wrong with a module that was loaded late
_low = False  # memory was short when a module was looked for
_file_stat = (0x8000,) * 10  # S_IFREG; import looks at nothing else
_order = []  # numbers: the set in use, then those to try after it
_full = OSError(12)  # made while there is memory for it
_first = 0  # the active set; the others are listed when it cannot be used


def _row(path):
    """What the index says of a module: its offset (3 bytes), its size (3), the beginning of its SHA-256 (8)."""
    global _low
    _low = True  # import takes any exception of stat(), MemoryError too, for a module that is not there
    path = b"\0" + path[1:].encode() + b"\0"
    i = _index.find(path)
    j = i + len(path)
    path = _index[j : j + 14]
    _low = False
    if i < 0:
        raise OSError(2)
    return path


class _Pack:
    """The open package as a file system: what MicroPython's import asks of one. The class itself is mounted."""

    def mount(*_):
        pass

    umount = mount

    def stat(path):
        _row(path)
        return _file_stat

    def open(path, _):
        global _bad
        r = _row(path)
        _file.seek(int.from_bytes(r[:3], "big"))
        d = _file.read(int.from_bytes(r[3:6], "big"))
        if sha256(d).digest()[:8] != r[6:]:
            _bad = OSError(5, __path__ + path)
            raise _bad
        from uio import BytesIO

        return BytesIO(d)


def _import(name):
    global _file, _index
    gc.collect()  # what stays is packed at the bottom of the heap: a TLS context needs 3 KB in one piece
    name = "twinroot." + name
    if name not in sys.modules:
        if not _packed or _file:
            __import__(name)
        else:
            f = open(__path__, "rb")
            uos.mount(_Pack, __path__)
            _file = f
            try:
                _index = f.read(int.from_bytes(f.read(2), "big"))
                if sha256(_index).digest()[:6].hex() != __path__[-12:]:
                    raise OSError(5, __path__)
                __import__(name)
            except ImportError:
                if _low:
                    raise MemoryError
                raise
            finally:
                uos.umount(_Pack)
                _file = _index = f.close()
    return sys.modules[name]


def _choose(e=None):
    """Use the first set of _order that can be read, not the one in use when `e` says what is wrong with it. Modules of that are forgotten.
    Too little memory says nothing about a set: the same one is tried next time."""
    global SET, INFO, NOTE, __path__, _packed, _bad, _order
    INFO = _packed = _bad = None
    for name in list(sys.modules):
        if name.startswith("twinroot."):
            del sys.modules[name]
            globals().pop(name[9:], None)
    while _order:
        try:
            if e:
                NOTE = NOTE or "set %d: %r" % (SET, e)
                _order.pop(0)
                if SET == _first:
                    # Sets numbered above the active one were never committed, or were rolled back: the last resort.
                    _order = sorted([int(d) for d in uos.listdir("/trust") if d.isdigit() and int(d) != SET], key=lambda n: (n > SET, -n))
                e = None
                continue
            SET = _order[0]
            with open("/trust/%d/set.json" % SET) as f:
                d = ujson.load(f)
            path = _HOME + "/" + d["package"]
            files = d.pop("files")
            _packed = path in files
            for name in files:
                if name.startswith(path + "/"):
                    # MicroPython can hang on a .mpy file that is cut short: files of a folder are proven here.
                    with open(name, "rb") as f:
                        if sha256(f.read()).digest().hex() != files[name]:
                            raise OSError(5, name)
            __path__ = path
            INFO = d
            return
        except Exception as x:  # whatever is wrong with this set, an older one may still connect
            gc.collect()
            if isinstance(x, MemoryError) and gc.mem_free() < 16384:  # with more it is the file: brackets without end
                raise x
            e = x
    __path__ = _HOME


def load(first=0):
    """Choose the set; at import, and after the active one has changed. `first`: this one, and not the active one."""
    global _order, _first, NOTE
    NOTE = None
    _first = 0
    try:
        with open("/trust/active") as f:
            _first = first or int(f.read(9))
    except (OSError, ValueError) as e:
        NOTE = "active: %r" % e
    _order = [_first]
    _choose()


def _need(*names):
    """The last of these modules, of the first set whose code loads."""
    while True:
        try:
            if _order and not INFO:
                _choose()
            if _bad:
                raise _bad
            for name in names:
                m = _import(name)
            return m
        except MemoryError:
            raise
        except Exception as e:
            if __path__ == _HOME:
                raise ImportError("no usable set: %s; run twinroot update" % (NOTE or e))
            _choose(e)


def _call(module, name, **options):
    try:
        return getattr(_need("core", module), name)(**options)
    except MemoryError:  # not even the module that would explain it fits
        raise _full


def connect(**options):
    return _call("core", "connect", **options)


def mqtt(**options):
    return _call("client", "mqtt", **options)


def health():
    return dict(_need("stats").report())


def selftest(connect=False):
    return _need("check").selftest(connect)


def __getattr__(name):
    """Error classes, and modules of the package, on first use. (`from . import x` asks here before it imports.)"""
    if name[0] == "_":
        raise AttributeError(name)
    if name[0] < "[":
        return _import("errors").named(name)
    return _need(name) if name == "core" else _import(name)


load()
