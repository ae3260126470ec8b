"""What an update over the air writes: each file beside its place, from the byte where an interrupted attempt stopped, and out of what is
on the board already where that is the same. Loaded with a container whose signature is good."""

import uhashlib
import uos

from . import seal, sets

HEAD = "head.new"  # in the folder of a set that is not complete: the head of its container
RUNNER = "runner"  # the same: what becomes /main.py with the commit
MAIN = "main.py"
_ROOT = "/" + MAIN

FIRMWARE = "firmware"  # the row of a manifest that is no file: image.Writer takes it, which has `at`, write() and finish() as File has


def begun(digest):
    """Number of the set that an interrupted attempt has begun for the container whose head has this SHA-256, 0 when there is none."""
    for n in seal.numbers():
        if seal.sha256(sets.path(n) + HEAD) == digest and not there(sets.path(n) + "set.json"):
            return n
    return 0


def there(path):
    try:
        return uos.stat(path)
    except OSError:
        return None


def known(rows):
    """Where on the board lie files of these contents: SHA-256 -> path. What a set.json says is looked for in its text, which takes less
    memory than its content does."""
    found = {}
    for n in seal.numbers():
        try:
            t = seal.text(n)
        except (OSError, ValueError):  # no set, or damaged
            continue
        for r in rows:
            i = t.find(r[2].encode())
            if i > 0:
                i = t.rfind(b'"', 0, i - 1)
                name = str(t[t.rfind(b'"', 0, i) + 1 : i], "utf-8")
                found[r[2]] = name if name[:1] == "/" else sets.path(n) + name
        t = None
    for r in rows:
        if r[0] == MAIN and r[2] not in found and seal.sha256(_ROOT) == r[2]:  # as the cable left it
            found[r[2]] = _ROOT
    return found


class File:
    """`at`: bytes of it that are there. `source`: a file that should be the same; `pack`: a package some of whose modules may be the same.
    Written through to flash whenever littlefs has filled a block (its SPEC.md, "CTZ skip-lists"), where that costs no block more: a power
    cut takes no more than one."""

    def __init__(self, path, size, digest, source=None, pack=None):
        self.path = path
        self.size = size
        self.digest = digest
        self.source = source
        self.pack = pack
        self.index = None
        self.h = uhashlib.sha256()
        self.at = self.n = self.row = 0
        self.block = self.edge = uos.statvfs("/")[0]
        self.f = open(path + ".new", "a+b")
        if self.f.seek(0, 2) > size:
            self.f.close()
            self.f = open(path + ".new", "w+b")
        self.f.seek(0)
        self._take(self.f, size, self._count)
        self.local = self.at  # not 0 when some of it did not come

    def _count(self, mv):
        self.h.update(mv)
        self.at += len(mv)

    def _take(self, f, left, to):
        b = memoryview(bytearray(256))
        while left > 0:
            n = f.readinto(b[:left])
            if not n:
                break
            left -= n
            to(b[:n])

    def write(self, mv):
        while mv:
            while self.edge <= self.at:
                self.n += 1
                n = self.n
                self.edge += self.block - 4
                while not n & 1:
                    n >>= 1
                    self.edge -= 4
            d = mv[: self.edge - self.at]
            self.f.write(d)
            self._count(d)
            if self.at == self.edge:
                self.f.flush()
            mv = mv[len(d) :]

    def _copy(self, path, offset, size):
        try:
            f = open(path, "rb")
        except OSError:
            return
        self.local = 1
        with f:
            f.seek(offset)
            self._take(f, size, self.write)

    def need(self):
        """Take what the board has; up to which byte the rest has to come."""
        if self.source:
            self._copy(self.source, self.at, self.size - self.at)
            self.source = None
        while self.pack:
            if self.index is None:
                if self.at < 2:
                    return 2
                self.f.seek(0)
                n = 2 + int.from_bytes(self.f.read(2), "big")
                if self.at < n:
                    return n
                self.index = self.f.read(n - 2)
                if uhashlib.sha256(self.index).digest()[:6].hex() != self.path[-12:]:
                    if not self.local:
                        raise ValueError(self.path)
                    break
            # Rows as the loader reads them, twinroot._row(): the next one whose module is not there.
            i = self.index.find(b"\0", self.row + 1) + 1
            r = self.index[i : i + 14]
            if i <= self.row or len(r) < 14:
                break
            begin = int.from_bytes(r[:3], "big")
            n = int.from_bytes(r[3:6], "big")
            if begin == self.at and n:
                try:
                    with open(self.pack, "rb") as f:
                        old = f.read(int.from_bytes(f.read(2), "big"))
                except OSError:  # a folder of modules
                    break
                name = self.index[self.row : i]
                j = old.find(name) + len(name)
                old = old[j : j + 14] if j >= len(name) else b""  # not held while it is copied
                if old[3:] == r[3:]:
                    self._copy(self.pack, int.from_bytes(old[:3], "big"), n)
            if begin + n > self.at:
                return min(begin + n, self.size)
            self.row = i + 14
        self.pack = None
        return self.size

    def finish(self):
        """Into its place. False when what was here was not right, so that all of it has to come."""
        self.f.close()
        if self.h.digest().hex() == self.digest:
            uos.rename(self.path + ".new", self.path)
            return True
        uos.remove(self.path + ".new")
        if not self.local:
            raise ValueError(self.path)
        return False


def copy(a, b):
    """File `b` from `a`, whole or not at all."""
    with open(a, "rb") as f, open(b + ".new", "wb") as g:
        while g.write(f.read(128)):
            pass
    uos.rename(b + ".new", b)


def carry(p, q, rows):
    """An application that the container does not bring is the one before."""
    if MAIN not in [r[0] for r in rows] and there(p + MAIN):
        copy(p + MAIN, q + MAIN)


def take_over(p, q):
    """Right before the commit of the set in folder `q`, where `p` is the one in use. /main.py runs what is in the folder of the set in use
    (app.py); before it comes to that, what has been /main.py goes to `p`."""
    if there(q + RUNNER):
        if there(_ROOT) and not there(p + MAIN):
            with open(_ROOT, "rb") as f:
                mine = f.read(10) == b"# twinroot"  # a runner of another release
            if not mine:
                copy(_ROOT, p + MAIN)
        uos.rename(q + RUNNER, _ROOT)
