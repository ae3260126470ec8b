"""What a board is. Sent to it when it is asked and run from RAM, as all of this folder; nothing of it stays there."""

import uos
import sys


def hello():
    """[version, mpy, machine, platform, unique id, list of mounts, bytes of a block, blocks free, whether we have a folder there]

    Counting free blocks walks the whole file system: only prepare() does it on a board that holds something of ours.
    """
    kind = uid = ""
    try:
        import umachine

        uid = umachine.unique_id().hex()
        import vfs

        kind = str(vfs.mount())
    except Exception:
        pass  # before MicroPython 1.25 there is no list of mounts
    i = sys.implementation
    beat()
    try:
        uos.stat("/trust")
        fs = [0, 0, 0, 0]
    except OSError:
        beat()
        fs = uos.statvfs("/")
    return [i[1], getattr(i, "_mpy", 0) & 255, getattr(i, "_machine", ""), sys.platform, uid, kind, fs[0], fs[3], not fs[0]]
