"""What a transport asks of the device: say what is there, plan a set, check it, commit it, clear up.

Sent to the board at run time and run from RAM; nothing of it stays. Every transport uses these functions, so every
transport gives the same guarantees: a set is complete and read back before the one rename that makes it active.
Names that the host calls (KEEP in provisioning/link/agent.py) keep their names when the source is made small.
"""

import gc
import json
import os
import sys
from binascii import hexlify
from hashlib import sha256

_TRUST = "/trust/"
_LIB = "/lib/twinroot/"

chunk = bytearray(512)
window = memoryview(chunk)
plan = None  # [number, set.json as bytes, [[path, sha256, size]...], [indices to send], [[from, index]...], [paths to remove]]


def names(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


def is_dir(path):
    try:
        return os.stat(path)[0] & 0x4000
    except OSError:
        return 0


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def digest(path):
    """SHA-256 of a file as lower-case hex, "" when it cannot be opened."""
    try:
        f = open(path, "rb")
    except OSError:
        return ""
    h = sha256()
    with f:
        while True:
            n = f.readinto(chunk)
            if not n:
                return hexlify(h.digest()).decode()
            h.update(window[:n])


def parsed(data):
    try:
        value = json.loads(data)
        return value if isinstance(value, dict) else None
    except ValueError:
        return None


def manifest(number):
    """set.json of a set as a dict, None when it is missing or not whole."""
    value = parsed(read(_TRUST + "%d/set.json" % number))
    return value if value and "files" in value else None


def place(number, name):
    return name if name[0] == "/" else _TRUST + "%d/%s" % (number, name)


def numbers():
    return sorted(int(n) for n in names(_TRUST[:-1]) if n.isdigit())


def active():
    """The active set as the loader sees it: the pointer, or the newest whole set when the pointer is unreadable."""
    text = read(_TRUST + "active") or read(_TRUST + "active.new")
    if text.isdigit() and manifest(int(text)):
        return int(text)
    for n in reversed(numbers()):
        if manifest(n):
            return n
    return 0


def below(number):
    """The whole set before `number`, 0 when there is none."""
    for n in reversed(numbers()):
        if n < number and manifest(n):
            return n
    return 0


def hello():
    gc.collect()
    fs = os.statvfs("/")
    kind = ""
    try:
        import vfs

        kind = str([m for m in vfs.mount() if m[1] == "/"][0][0])
    except (ImportError, TypeError, IndexError):
        pass
    try:
        import machine

        uid = hexlify(machine.unique_id()).decode()
    except (ImportError, AttributeError):
        uid = ""
    i = sys.implementation
    return {
        "mp": list(i[1])[:3],
        "mpy": getattr(i, "_mpy", getattr(i, "mpy", 0)) & 255,
        "machine": getattr(i, "_machine", None) or os.uname()[4],
        "platform": sys.platform,
        "uid": uid,
        "free": gc.mem_free(),
        "fs": kind,
        "block": fs[0],
        "blocks": [fs[3], fs[2]],
        "active": active(),
        "sets": numbers(),
    }


def audit():
    """Hashes of the active set as they are in flash: {path: sha256} for every file that set.json names."""
    n = active()
    m = manifest(n)
    found = {_TRUST + "%d/set.json" % n: digest(_TRUST + "%d/set.json" % n)} if m else {}
    for name in m["files"] if m else ():
        found[place(n, name)] = digest(place(n, name))
    for name in names(_LIB[:-1]):
        if name.startswith("__init__."):
            found[_LIB + name] = digest(_LIB + name)
    return found


def junk(keep):
    """Paths of everything under /trust and /lib/twinroot that no set in `keep` refers to."""
    packages = [(manifest(n) or {}).get("package") for n in keep if n]
    found = [_TRUST + "%d" % n for n in numbers() if n not in keep]
    for name in names(_LIB[:-1]):
        path = _LIB + name
        if name.endswith(".new") or (is_dir(path) and len(name) == 12 and name not in packages):
            found.append(path)
        elif is_dir(path):
            found += [path + "/" + n for n in names(path) if n.endswith(".new")]
    return found


def remove(path):
    for name in names(path) if is_dir(path) else ():
        remove(path + "/" + name)
    if is_dir(path):
        os.rmdir(path)
    else:
        os.remove(path)


def kept():
    """The sets that stay: the active one, the one before it, the last one proven in a handshake."""
    a = active()
    return [a, below(a), (parsed(read(_TRUST + "health.json")) or {}).get("proven")]


def prepare(text, rest):
    """Plan the set whose set.json is `text`; `rest` is [[path, sha256] of files outside set.json..., sizes of all].

    Returns what the host needs to know before the first write: {"n": number, "send": indices of files that the board
    does not hold, "copy": indices of those that another set holds, "same": whether set.json is there already, "need": blocks to be used,
    "free": blocks free after clearing up}. Writes nothing.
    """
    global plan
    sizes = rest.pop()
    files = [[f, s] for f, s in sorted(json.loads(text)["files"].items())] + rest
    a = active()
    number = 0
    for n in reversed(numbers()):
        if n <= a:
            break
        if read(_TRUST + "%d/set.json" % n) == text or not manifest(n):
            number = n
            break
    if not number:
        number = max(numbers() + [0]) + 1
    where = {}
    for n in numbers():
        for f, s in (manifest(n) or {"files": {}})["files"].items():
            where.setdefault(s, place(n, f))
    send = []
    copy = []
    need = 6  # two metadata pairs and the pointer with its successor
    block = os.statvfs("/")[0]
    for i, f in enumerate(files):
        f[0] = place(number, f[0])
        f.append(sizes[i])
        if digest(f[0]) == f[1]:
            continue
        source = where.get(f[1])
        if source and digest(source) == f[1]:
            copy.append((source, i))
        else:
            send.append(i)
        need += sizes[i] // block + 1
    rubbish = junk(kept() + [number])
    free = os.statvfs("/")[3]
    for path in rubbish:
        for name in names(path) if is_dir(path) else ():
            free += os.stat(path + "/" + name)[6] // block + 1
    plan = [number, text, files, send, copy, rubbish]
    return {
        "n": number,
        "send": send,
        "copy": [c[1] for c in copy],
        "same": read(_TRUST + "%d/set.json" % number) == text,
        "need": need,
        "free": free,
    }


def folder(path):
    """Make the folders on the way to `path`."""
    parts = path.split("/")
    for i in range(2, len(parts)):
        d = "/".join(parts[:i])
        if not is_dir(d):
            os.mkdir(d)


def target(i):
    """Where file `i` is written first: beside its place when a set in use may read it, in place in the new set's folder."""
    path = plan[2][i][0]
    return path if path.startswith(_TRUST) else path + ".new"


def settle(i):
    """Read file `i` back, compare, and rename it to its place."""
    path, sha, _ = plan[2][i]
    t = target(i)
    if digest(t) != sha:
        raise OSError("hash " + path)
    if t != path:
        os.rename(t, path)


def begin():
    """Clear up what broken runs left, make the folders, copy what another set holds already."""
    for path in plan[5]:
        remove(path)
    folder(_TRUST + "%d/x" % plan[0])
    for i in plan[3] + [c[1] for c in plan[4]]:
        folder(plan[2][i][0])
    for source, i in plan[4]:
        with open(source, "rb") as f, open(target(i), "wb") as g:
            while True:
                n = f.readinto(chunk)
                if not n:
                    break
                g.write(window[:n])
        settle(i)


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)
    if read(path) != data:
        raise OSError("hash " + path)


def point(number):
    """The commit: one rename decides which set is active."""
    write(_TRUST + "active.new", b"%d" % number)
    if hasattr(os, "sync"):
        os.sync()
    os.rename(_TRUST + "active.new", _TRUST + "active")


def commit():
    """Read every file of the set back, write set.json, switch, clear up. Returns the number of the active set."""
    number, text, files = plan[:3]
    for path, sha, _ in files:
        if digest(path) != sha:
            raise OSError("hash " + path)
    path = _TRUST + "%d/set.json" % number
    if read(path) != text:
        write(path, text)
    if read(_TRUST + "active") != b"%d" % number:
        point(number)
    tidy()
    return number


def tidy():
    for path in junk(kept()):
        remove(path)
    return 0


def back():
    """Roll back: the whole set before the active one becomes active. Returns [from, to], to is 0 when there is none."""
    a = active()
    b = below(a)
    if b:
        for name, sha in manifest(b)["files"].items():
            if digest(place(b, name)) != sha:
                raise OSError("hash " + place(b, name))
        point(b)
    return [a, b]
