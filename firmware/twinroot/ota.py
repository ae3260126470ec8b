"""A new set over the air: signed by the vendor, streamed to flash, committed like one that came over the wire, on trial
like that, and rolled back like that. Who carries the bytes (an MQTT topic, a job document, a download) does not matter.

Container, all numbers big-endian:

    b"TWSET1\\n"  u16 length  signature  u32 length  manifest  contents of the files, in the manifest's order

The signature is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2) over magic and manifest. The manifest is JSON:

    {"product", "version", "expires": unix, "device": null or one id, "set": {...}, "files": [[name, size, sha256], ...]}

`set` replaces keys of the active set.json; identity, Wi-Fi and whatever else it does not name stay as they are. Names are those of the
set's files (roots, main.py), the package's path, /main.py for the program that runs main.py of the set in use, and "firmware".
A container with "same" brings a renewed certificate to one device: renewal.py.
"""

import gc

import uhashlib
import ujson
import uos
import ustruct

import twinroot

from . import clock, errors, guard, seal, sets, slots, stats

MAGIC = b"TWSET1\n"
_LIMIT = 8192  # bytes of manifest
_LONGEST = 1024  # bytes of signature
_INFO = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"  # DigestInfo of SHA-256
# A set may not bring: who this device is, and the table that a bench uses to redirect connections.
_OWN = ("device", "client_id", "cert", "chain", "key", "wifi", "lab", "files", "board", "chip", "product", "format", "image")

_HEAD = sets.ROOT + "head.new"  # of a container that is good, until it has a folder

_last = None  # the Update that may have a file open: littlefs wants one writer


JOB = "Make the job anew"
_AGAIN = "Offer it again"


def _no(what, then="Sign a higher version for it: twinroot sign"):
    """SetError for an update that is refused, with what its sender can do."""
    e = errors.make("set", what, None, None, "update refused")
    e.then = then
    return e


def verified(key, signature, *data):
    """True when `signature` is that of `key` ({"n": hex, "e": int}) over `data`, one after the other."""
    n = int(key["n"], 16)
    size = (len(key["n"]) + 1) // 2
    if len(signature) != size or size < 256:
        return False
    s = int.from_bytes(signature, "big")
    if s >= n:
        return False
    m = pow(s, key["e"], n).to_bytes(size, "big")
    h = uhashlib.sha256()
    for d in data:
        h.update(d)
    d = _INFO + h.digest()
    return m == b"\0\1" + b"\xff" * (size - len(d) - 3) + b"\0" + d


def refused():
    """The highest version that was rolled back."""
    old = stats.data().get("refused")  # where releases before guard.py kept it
    return max(guard.read()["refused"], old if isinstance(old, int) else 0)


def active():
    """Version of the active set, which is not in use while an older one stands in."""
    try:
        return sets.read(slots.active()).get("version", 0)
    except OSError:  # it cannot be read: an update is what it needs
        return 0


def newest():
    """The highest version that is not news: of the set in use, of the active one, of those that were rolled back."""
    return max(sets.read(twinroot.SET).get("version", 0), refused(), active())


class Update:
    """feed() it the container in pieces of any size; `done` when the new set is active. The number of the new set is
    `number`. Nothing is active before the last byte is written and checked.

    `wanted`: offset of the next byte that the board has not. It leaps over files that are on the board already, and over what an
    interrupted attempt has left; what comes before it is passed over. `want`: no other version is taken."""

    def __init__(self, want=None):
        global _last
        if _last:
            _last.close()
        _last = self
        self.want = want
        self.done = False
        self._clear()

    def _clear(self):
        self.wanted = self.pos = self.number = self.i = 0
        self.stop = self.size = 9  # bytes of the head, as far as is known; and up to where nothing is left out
        self.head = bytearray(9)
        self.rows = self.to = None
        self.resumed = False

    def close(self):
        """Leave it for now. What has come stays in flash, and another Update goes on from there."""
        if hasattr(self.to, "f"):
            self.to.f.close()
        self._clear()

    def resume(self):
        """Go on with the container that an interrupted attempt has begun, before any of it has come."""
        from . import incoming

        for n in seal.numbers():
            if self.rows is None and not self.done and not incoming.there(sets.path(n) + "set.json"):
                try:
                    with open(sets.path(n) + incoming.HEAD, "rb") as f:
                        self._feed(f.read(_LIMIT + _LONGEST + 13), 0)
                    self.resumed = True
                except MemoryError:
                    raise
                except Exception:  # there is none, or it is not what it was, or not wanted any more
                    self.close()

    def feed(self, data, at=None):
        """`at`: offset of `data` in the container, when it does not follow what was fed last. SetError when the update is refused,
        MemoryLow when there is no space for it: feed() it no more then."""
        try:
            if at is None:
                at = self.pos
            self.pos = at + len(data)
            self._feed(data, at)
        except Exception as e:
            n = self.number
            again = self.resumed
            try:
                self.close()
            except Exception:
                pass
            if isinstance(e, MemoryError):
                raise errors.make("memory", e, None, None, "update")
            if not isinstance(e, errors.TwinrootError):
                e = _no("flash full", "Free space on it") if 28 in e.args else _no(repr(e), _AGAIN)
            if n and e.kind == "set":  # what is there of it is of no use
                try:
                    tidy()
                except Exception:
                    pass
                if again:  # with the head of another container: the same version, signed anew
                    return
            raise e

    def _feed(self, data, at):
        mv = memoryview(data)
        end = at + len(mv)
        while at <= self.wanted < end and not self.done:
            d = mv[self.wanted - at :]
            if self.rows is None:
                d = d[: self.size - self.wanted]
                self.head[self.wanted : self.wanted + len(d)] = d
                self.wanted += len(d)
                if self.wanted == self.size and self._head():
                    self._begin()
                    self._next()
            else:
                d = d[: self.stop - self.wanted]
                self.to.write(d)
                self.wanted += len(d)
                if self.wanted == self.stop:
                    self._next()

    def _head(self):
        """True when the head is complete and good."""
        b = self.head
        n = 13 + ustruct.unpack_from("!H", b, 7)[0]
        m = 0
        if b[:7] != MAGIC:
            raise _no("not a signed set")
        if self.size > 9:
            m = ustruct.unpack_from("!I", b, n - 4)[0]
        if n > _LONGEST + 13 or m > _LIMIT:
            raise _no("too long")
        if self.size < n + m:
            self.stop = self.size = n + m
            self.head = bytearray(n + m)
            self.head[: len(b)] = b
            return False
        old = sets.read(twinroot.SET)
        mv = memoryview(b)
        key = old.get("vendor")
        if not key or not verified(key, mv[9 : n - 4], MAGIC, mv[n:]):
            raise _no("signature", "Sign it with its vendor's key")
        man = ujson.loads(mv[n:])
        self._check(man, old)
        self.man = n
        self.floor = old["time"]["floor"]
        self.digest = uhashlib.sha256(b).digest().hex()
        gc.collect()  # what is loaded now stays until the commit, and is packed at the bottom of the heap
        self.number = twinroot.incoming.begun(self.digest)
        if not self.number:
            with open(_HEAD, "wb") as f:
                f.write(b)
        self.code = "/lib/twinroot/" + man["set"]["package"]
        self.rows = man["files"]
        self.same = man.get("same", ())
        self.head = None
        return True

    def _check(self, man, old):
        from . import incoming

        v = man["version"]
        if man["product"] != old["product"] or man.get("device") not in (None, old["device"]):
            raise _no("for another product or device")
        if self.want not in (None, v):
            raise _no("version %d in a job for %d" % (v, self.want), JOB)
        if v <= newest():
            raise _no("version %d is not newer" % v)
        clock.check(old)
        if clock.now() >= man["expires"]:
            raise _no("expired")
        code = "/lib/twinroot/" + man["set"]["package"] + "/"
        names = [f[0] for f in man["files"]]
        mine = [old.get("key")]
        if not (man.get("device") and "same" in man):
            mine.append(old.get("cert"))
        elif names != [old.get("cert")]:
            raise _no("not a renewal")
        for name in names + [f[0] for f in man.get("same", ())]:
            own = "/" not in name and name.endswith(".pem") and name not in mine
            own = own or name == incoming.MAIN or name == incoming.FIRMWARE or name == "/main.py" and incoming.MAIN in names
            if ".." in name or not (own or (name + "/").startswith(code)):
                raise _no(name)

    def _begin(self):
        """Where it stopped, when some of it is there; in a new folder otherwise. The head is not in memory any more."""
        from . import incoming

        n = self.number
        tidy(n, self.code[14:])
        v = uos.statvfs("/")
        rows = self.rows + list(self.same)
        if not n and sum([f[1] for f in rows if f[0] != incoming.FIRMWARE and not incoming.there(f[0])]) > v[0] * v[3]:
            raise OSError(28)
        self.number = n or 1 + max(seal.numbers())
        p = sets.path(self.number)
        folders = [p[:-1], "/lib", "/lib/twinroot"]
        if [1 for f in self.rows if f[0].startswith(self.code + "/")]:  # a package for the loader of an earlier release
            folders.append(self.code)
        for d in folders:
            incoming.there(d) or uos.mkdir(d)
        if not n:
            uos.rename(_HEAD, p + incoming.HEAD)
        self.base = self.size
        if self.same:
            twinroot.renewal.take(self.same, p)
        self.known = incoming.known(self.rows)

    def _next(self):
        """To the next byte that has to come; to the commit where none has to."""
        from . import incoming

        while self.i < len(self.rows):
            name, size, digest = self.rows[self.i]
            t = self.to
            if not t:
                if name == incoming.FIRMWARE:
                    t = twinroot.image.Writer(size, digest)
                else:
                    p = name if name[0] == "/" else sets.path(self.number) + name
                    if p == "/main.py" and seal.sha256(p) != digest:
                        p = sets.path(self.number) + incoming.RUNNER
                    if seal.sha256(p) != digest:
                        old = twinroot.__path__ if p == self.code else None
                        t = incoming.File(p, size, digest, self.known.get(digest), old)
                self.to = t
            if t:
                n = t.need() if hasattr(t, "need") else size
                self.wanted = self.base + t.at
                if t.at < size:
                    self.stop = self.base + n
                    return
                self.to = None
                if t.finish() is False:
                    self.known.pop(digest, None)
                    self.code = None
                    continue
            self.base += size
            self.wanted = self.base
            self.i += 1
        self._commit(incoming)

    def _commit(self, incoming):
        """Identity is copied, set.json written last, then the application's turn, then the pointer."""
        p, q = sets.path(twinroot.SET), sets.path(self.number)
        incoming.carry(p, q, self.rows + list(self.same))
        files = {f[0]: f[2] for f in self.rows + list(self.same)}
        firmware = files.pop(incoming.FIRMWARE, None)
        files.pop("/main.py", None)
        self.rows = self.known = ()
        new = dict(sets.read(twinroot.SET))
        old = seal.parsed(twinroot.SET)[1]["files"]
        for k in ("cert", "key"):
            if k in new and new[k] not in files:
                files[new[k]] = old[new[k]]
                incoming.copy(p + new[k], q + new[k])
        if incoming.MAIN in old:
            files.setdefault(incoming.MAIN, old[incoming.MAIN])
        old = None
        if seal.sha256(q + incoming.HEAD) != self.digest:
            raise _no("head", _AGAIN)
        with open(q + incoming.HEAD, "rb") as f:
            f.seek(self.man)
            man = ujson.load(f)
        for k in man["set"]:
            if k not in _OWN:
                new[k] = man["set"][k]
        new["time"] = dict(new["time"])
        new["time"]["floor"] = max(new["time"]["floor"], self.floor)
        new["version"] = man["version"]
        new["files"] = files
        if self.same:
            twinroot.renewal.check(p + new["cert"], q + new["cert"], new)
        new.pop("sum", None)
        if firmware:
            new["image"] = twinroot.image.says()
        elif "image" in new and twinroot.image.running() != new["image"][0]:
            del new["image"]  # the set in use is not used with its firmware
        with open(q + "set.new", "w+b") as f:
            ujson.dump(new, f)
            seal.end(f)
        man = new = files = None
        uos.rename(q + "set.new", q + "set.json")
        if not seal.whole(self.number, True):
            raise _no("written wrongly", _AGAIN)
        if stats.data().pop("trial", None):  # of another set that had this number
            stats.save(True)
        incoming.take_over(p, q)
        if firmware:
            twinroot.image.commit()
        slots.commit(self.number)
        self.done = True
        uos.remove(q + incoming.HEAD)


def _remove(path):
    try:
        for name in sorted(uos.listdir(path), key=lambda n: n != "set.json"):  # first what makes it a set
            uos.remove(path + "/" + name)
        uos.rmdir(path)
    except OSError:  # a package is a file
        uos.remove(path)


def tidy(n=0, package=""):
    """Remove sets and packages that nothing needs. Kept are, as for an update by cable (firmware/link/sets.py), the active set (or the
    newest one before it that can be read, or the newest of all), the one before it, the proven one; the one in use; and what has come of
    the set `n`, whose package this is."""
    before = slots.previous
    a = before(slots.active() + 1) or before(1 << 30)
    keep = [twinroot.SET, a, before(a), stats.data()["proven"]]
    packages = [package, package + ".new"]
    for d in uos.listdir(sets.ROOT):
        if d.isdigit() and int(d) != n:
            try:
                if int(d) in keep:
                    packages.append(sets.read(int(d))["package"])
                    continue
            except (OSError, KeyError):  # damaged: nobody can go back to it
                pass
            _remove(sets.ROOT + d)
    home = "/lib/twinroot"
    for d in uos.listdir(home):
        if ("." not in d or d.endswith(".new")) and d not in packages:
            _remove(home + "/" + d)


class Topic:
    """Chunks from MQTT: subscribe to `topic`, hand each message to message(). A chunk is its offset in decimal, a colon,
    and bytes; `wanted` is the offset to ask for. A chunk may begin before that, and one that begins behind it is passed over."""

    def __init__(self, update=None, topic=""):
        self.update = update or Update()
        self.topics = (topic,)
        if update and (not 0 < len(topic) < 253 or "#" in topic or "+" in topic):
            raise _no("no topic: " + topic[:40], JOB)

    @property
    def wanted(self):
        return self.update.wanted

    def ask(self):
        """(topic, text) that asks for the next chunk."""
        return self.topics[0] + "/get", str(self.wanted)

    def message(self, *a):
        """The payload comes last. True when the new set is active: connect again, and it proves itself or goes."""
        u = self.update
        n = u.wanted
        d = a[-1]
        i = d.find(b":")
        if 0 < i < 12 and d[:i].isdigit():
            u.feed(memoryview(d)[i + 1 :], int(d[:i]))
        return u.done or len(a) > 1 and u.wanted != n


def restart():
    """Use the set that is active now, with its package: before the next connect(), instead of a reset. A reset where it has another
    application, or firmware."""
    twinroot.core.close()
    twinroot.core.tlslink._kept = None
    n = twinroot.SET
    a = twinroot.app
    twinroot.load()
    a.turned(n)
