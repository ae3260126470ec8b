"""Writes a planned set: folders, reading back, the commit. For every transport; runs after hello.py, before first.py or sets.py.

What prepare() there leaves in `plan`: number of the set, set.json, [[path, sha256] of each file], indices to send, [(source, index)] to
copy, folders that no set in use reads from, SHA-256 of set.json, whether set.json is
there already. In `sets` and `now`: the sets that are there, the one in use.
A hash of "@" in set.json is one that the board fills in, from what it reads back: the hash of set.json then vouches for all of them.
"""

import json
from hashlib import sha256

_TRUST = "/trust/"
_LIB = "/lib/twinroot/"
_SET = "/set.json"
_NEW = ".new"

chunk = bytearray(512)
window = memoryview(chunk)


def home(n):
    return _TRUST + str(n)


def place(n, name):
    return name if name[0] == "/" else home(n) + "/" + name


def digest(path):
    """SHA-256 of a file as lower-case hex, of nothing when it cannot be opened."""
    beat()
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
    return h.digest().hex()


def check(path, sha):
    if digest(path) != sha:
        raise OSError("hash " + path)


def folder(path):
    """Make the folder `path`, and those on the way to it."""
    try:
        os.mkdir(path)
    except OSError as e:
        if e.errno == 2:
            folder(path[: path.rfind("/")])
            os.mkdir(path)


def written():
    """Indices of the files that this session writes."""
    return list(plan[3]) + [c[1] for c in plan[4]]


def begin():
    """Clear up what broken runs left, make the folders, copy what another set holds already."""
    tidy(plan[0])
    for path in {home(plan[0])} | {plan[2][i][0][: plan[2][i][0].rfind("/")] for i in written()}:
        folder(path)
    for source, i in plan[4]:
        copy(source, i)


def write(path, data):
    """A small file as one step: written beside its place, read back, renamed."""
    with open(path + _NEW, "wb") as f:
        f.write(data)
    check(path + _NEW, sha256(data).digest().hex())
    os.rename(path + _NEW, path)


def commit():
    """Read back what this session wrote, write set.json, switch to the set by one rename, clear up. Returns its number."""
    global now
    text = plan[1]
    for i in written():
        path, sha = plan[2][i]
        if sha == "@":
            text = text.replace(b"@", digest(path).encode(), 1)
        else:
            check(path, sha)
    now = plan[0]
    if sha256(text).digest().hex() != plan[6]:
        raise OSError("hash " + home(now))
    if not plan[7]:
        write(home(now) + _SET, text)
        sets[now] = json.loads(text)
    write(_TRUST + "active", str(now).encode())
    tidy()
    return now
