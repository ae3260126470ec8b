"""What a board is. Sent to it when it is asked and run from RAM, as all of this folder; nothing of it stays there."""

import os
import sys

_TRUST = "/trust/"
_LIB = "/lib/twinroot/"
_SET = "/set.json"
_NEW = ".new"


def names(folder):
    """What a folder holds; nothing for what is no folder."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def home(n):
    return _TRUST + str(n)


def place(n, name):
    return name if name[0] == "/" else home(n) + "/" + name


def hello():
    """[version, mpy, machine, platform, unique id, list of mounts, bytes of a block, blocks free, whether anything of ours is there]"""
    kind = uid = ""
    try:
        import vfs

        kind = str(vfs.mount())
    except Exception:
        pass  # before 1.25 there is no list of mounts
    try:
        import machine

        uid = machine.unique_id().hex()
    except Exception:
        pass
    i = sys.implementation
    fs = os.statvfs("/")
    ours = names("/trust") + names("/lib/twinroot")
    return [i[1][:3], getattr(i, "_mpy", 0) & 255, getattr(i, "_machine", ""), sys.platform, uid, kind, fs[0], fs[3], len(ours)]
