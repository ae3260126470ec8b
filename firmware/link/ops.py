"""What an update asks of the device: say what is there, plan a set, write it, check it, commit it, clear up.

Sent to the board when it is needed and run from RAM; nothing of it stays. Every transport uses these functions, so every transport
gives the same guarantees: a set is complete and read back before the one rename that makes it active.
"""

import gc
import json
import os
import sys
from binascii import hexlify
from hashlib import sha256

_TRUST = "/trust/"
_LIB = "/lib/twinroot/"
_SET = "/set.json"
_NEW = ".new"

chunk = bytearray(512)
window = memoryview(chunk)


def names(folder):
    """What a folder holds; nothing for what is no folder."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def size(path):
    """Bytes of a file, 0 for a folder, -1 when there is nothing."""
    try:
        return os.stat(path)[6]
    except OSError:
        return -1


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


def parsed(path):
    """A JSON object in a file, {} when it is missing or not whole."""
    try:
        d = json.loads(read(path))
        return d if isinstance(d, dict) else {}
    except ValueError:
        return {}


def home(n):
    return _TRUST + str(n)


def place(n, name):
    return name if name[0] == "/" else home(n) + "/" + name


def look():
    """Learn what is there: `sets` {number: set.json, {} when the set is not whole}, and `now`, the set in use.

    The set in use is the pointer's, or the newest whole one before it, or the newest of all: as the loader has it.
    """
    global sets, now
    sets = {}
    for name in names("/trust"):
        if name.isdigit():
            d = parsed(home(name) + _SET)
            sets[int(name)] = d if "files" in d else {}
    try:
        now = int(read(_TRUST + "active") or read(_TRUST + "active" + _NEW))
    except ValueError:
        now = 0
    if not sets.get(now):
        now = below(now) or below(1 << 30)


def below(n):
    """The whole set before set `n`, 0 when there is none."""
    return max([0] + [m for m in sets if m < n and sets[m]])


def kept(n):
    """The sets that stay: the active one, the one before it, the last one proven in a handshake, set `n`."""
    return [m for m in sets if m in (n, now, below(now), parsed(_TRUST + "health.json").get("proven"))]


def packages(numbers):
    return [sets[m].get("package") for m in numbers]


def hello():
    """[version, mpy, machine, platform, unique id, type of the file system, active set]"""
    look()
    kind = uid = ""
    try:
        import vfs

        kind = str([m for m in vfs.mount() if m[1] == "/"])
    except (ImportError, TypeError):
        pass  # before 1.25 there is no list of mounts
    try:
        import machine

        uid = hexlify(machine.unique_id()).decode()
    except (ImportError, AttributeError):
        pass
    i = sys.implementation
    mpy = getattr(i, "_mpy", getattr(i, "mpy", 0)) & 255
    return [i[1][:3], mpy, getattr(i, "_machine", "") or os.uname()[4], sys.platform, uid, kind, now]


def junk(n):
    """Everything of ours that no set refers to which stays."""
    keep = kept(n)
    found = [home(m) for m in sets if m not in keep]
    found += [_TRUST + name for name in names("/trust") if name.endswith(_NEW)]
    keep = packages(keep)
    for name in names("/lib/twinroot"):
        path = _LIB + name
        if name.endswith(_NEW) or (len(name) == 12 and "." not in name and name not in keep):
            found.append(path)
        elif "." not in name:
            found += [path + "/" + n for n in names(path) if n.endswith(_NEW)]
    return found


def remove(path):
    for name in names(path):
        remove(path + "/" + name)
    try:
        os.remove(path)
    except OSError:
        os.rmdir(path)


def tidy(n=0):
    for path in junk(n):
        remove(path)


def prepare(text, rest):
    """Plan the set whose set.json is `text`. `rest`: [[path, sha256] of the files that it does not name..., sizes of all files].

    Returns [number, indices that must be sent, indices that another set holds, whether set.json is there, blocks needed, blocks free
    after clearing up]. Writes nothing.
    """
    global plan
    sizes = rest.pop()
    new = json.loads(text)
    rest = [[name, sha] for name, sha in sorted(new["files"].items())] + rest
    number = max([0] + list(sets)) + 1
    same = False
    where = {}
    for n in sets:
        if n > now and not same:
            # Never committed, or rolled back: this one goes on where that one stopped, or uses it again.
            same = read(home(n) + _SET) == text
            if same or not sets[n]:
                number = n
        for name, sha in sets[n].get("files", {}).items():
            where[sha] = place(n, name)
    fresh = [home(number) + "/"]
    if new["package"] not in packages(kept(0)):
        fresh.append(_LIB + new["package"] + "/")
    send = []
    copy = []
    block = os.statvfs("/")[0]
    need = 6  # two pairs of metadata blocks, the pointer, its successor
    for i, f in enumerate(rest):
        f[0] = place(number, f[0])
        if digest(f[0]) != f[1]:
            need += sizes[i] // block + 1
            source = where.get(f[1])
            if source and digest(source) == f[1]:
                copy.append((source, i))
            else:
                send.append(i)
    free = os.statvfs("/")[3]
    for path in junk(number):
        for name in [""] + ["/" + name for name in names(path)]:
            free += size(path + name) // block + 1
    plan = number, text, rest, send, copy, fresh
    return [number, send, [c[1] for c in copy], same, need, free]


def folder(path):
    """Make the folder that holds `path`, and those on the way to it."""
    path = path[: path.rfind("/")]
    if path and size(path) < 0:
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


def begin():
    """Clear up what broken runs left, make the folders, copy what another set holds already."""
    tidy(plan[0])
    made = ""
    for i in plan[3] + [c[1] for c in plan[4]]:
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
    if hasattr(os, "sync"):
        os.sync()
    os.rename(path + _NEW, path)


def commit():
    """Read back what this session wrote, write set.json, switch to the set by one rename, clear up. Returns its number."""
    global now
    for i in plan[3] + [c[1] for c in plan[4]]:
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
