"""Writes a planned set: folders, files, reading back, the commit. For every transport; runs after hello.py and a prepare().

What prepare() leaves in `plan`: number of the set, set.json, [[path, sha256] of each file], indices to send, (source, index) to copy,
folders that no set in use reads from. In `sets` and `now`: the sets that are there, and the one in use.
"""

import json
from binascii import hexlify
from hashlib import sha256

chunk = bytearray(512)
window = memoryview(chunk)


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def digest(path):
    """SHA-256 of a file as lower-case hex, of nothing when it cannot be opened."""
    h = sha256()
    try:
        with open(path, "rb") as f:
            while True:
                n = f.readinto(chunk)
                if not n:
                    break
                h.update(window[:n])
    except OSError:
        pass
    return hexlify(h.digest()).decode()


def folder(path):
    """Make the folder that holds `path`, and those on the way to it."""
    path = path[: path.rfind("/")]
    try:
        os.mkdir(path)
    except OSError as e:
        if e.errno == 2:
            folder(path)
            os.mkdir(path)


def target(i):
    """Where file `i` is written: in the folder of the new set or package, beside its place where a set in use may read it."""
    path = plan[2][i][0]
    return path if path[: path.rfind("/") + 1] in plan[5] else path + _NEW


def settle(i):
    """File `i` to its place, when it was written beside it and reads back as it should."""
    path, sha = plan[2][i]
    if target(i) != path:
        if digest(target(i)) != sha:
            raise OSError("hash " + path)
        os.rename(target(i), path)


def ours():
    """Indices of the files that this session writes."""
    return list(plan[3]) + [c[1] for c in plan[4]]


def begin():
    """Clear up what broken runs left, make the folders, copy what another set holds already."""
    tidy(plan[0])
    made = ""
    for i in ours():
        path = plan[2][i][0]
        if path[: path.rfind("/")] != made:
            folder(path)
            made = path[: path.rfind("/")]
    for source, i in plan[4]:
        with open(source, "rb") as f, open(target(i), "wb") as g:
            while True:
                n = f.readinto(chunk)
                if not n:
                    break
                g.write(window[:n])
        settle(i)


def write(path, data):
    """A small file as one step: written beside its place, read back, renamed."""
    with open(path + _NEW, "wb") as f:
        f.write(data)
    if read(path + _NEW) != data:
        raise OSError("hash " + path)
    os.rename(path + _NEW, path)


def commit():
    """Read back what this session wrote, write set.json, switch to the set by one rename, clear up. Returns its number."""
    global now
    for i in ours():
        path, sha = plan[2][i]
        if digest(path) != sha:
            raise OSError("hash " + path)
    now = plan[0]
    if not sets.get(now):
        write(home(now) + _SET, plan[1])
        sets[now] = json.loads(plan[1])
    write(_TRUST + "active", str(now).encode())
    tidy()
    return now
