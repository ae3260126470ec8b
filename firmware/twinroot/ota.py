"""A new set over the air: signed by the vendor, streamed to flash, committed like one that came over the wire, on trial
like that, and rolled back like that. Who carries the bytes (an MQTT topic, a job document, a download) does not matter.

Container, all numbers big-endian:

    b"TWSET1\\n"  u16 length  signature  u32 length  manifest  contents of the files, in the manifest's order

The signature is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2) over magic and manifest. The manifest is JSON:

    {"product", "version", "expires": unix, "device": null or one id, "set": {...}, "files": [[name, size, sha256], ...]}

`set` replaces keys of the active set.json; identity, Wi-Fi and whatever else it does not name stay as they are.
"""

import uhashlib
import ujson
import uos
import ustruct

import twinroot

from . import check, clock, errors, guard, seal, sets, slots, stats

MAGIC = b"TWSET1\n"
_LIMIT = 8192  # bytes of manifest
_LONGEST = 1024  # bytes of signature
_INFO = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"  # DigestInfo of SHA-256
# A set may not bring: who this device is, and the table that a bench uses to redirect connections.
_OWN = ("device", "client_id", "cert", "chain", "key", "wifi", "lab", "files", "board", "chip", "product", "format")


def _no(what):
    return errors.make("set", what, None, None, "update refused")


def verified(key, signature, data):
    """True when `signature` is that of `key` ({"n": hex, "e": int}) over `data`."""
    n = int(key["n"], 16)
    size = (len(key["n"]) + 1) // 2
    if len(signature) != size or size < 256:
        return False
    s = int.from_bytes(signature, "big")
    if s >= n:
        return False
    m = pow(s, key["e"], n).to_bytes(size, "big")
    d = _INFO + uhashlib.sha256(data).digest()
    return m == b"\0\1" + b"\xff" * (size - len(d) - 3) + b"\0" + d


def refused():
    """The highest version that was rolled back."""
    old = stats.data().get("refused")  # where releases before guard.py kept it
    return max(guard.read()["refused"], old if isinstance(old, int) else 0)


def newest():
    """The highest version that is not news: of the set in use, of the active one, of those that were rolled back."""
    v = max(sets.read(twinroot.SET).get("version", 0), refused())
    try:
        return max(v, sets.read(slots.active()).get("version", 0))
    except OSError:  # the active one cannot be read: an update is what it needs
        return v


class Update:
    """feed() it the container in pieces of any size; `done` when the new set is active. The number of the new set is
    `number`. Nothing is active before the last byte is written and checked."""

    def __init__(self):
        self.buf = b""
        self.man = self.f = self.h = None
        self.done = False
        self.number = 0
        self.i = self.left = 0

    def feed(self, data):
        """SetError when the update is refused, MemoryLow when there is no space for it: feed() it no more then."""
        try:
            self._feed(data)
        except Exception as e:
            if self.f:
                self.f.close()
            self.buf = self.man = self.f = self.h = self.old = None
            if isinstance(e, errors.TwinrootError):
                raise e
            if isinstance(e, MemoryError):
                raise errors.make("memory", e, None, None, "update")
            raise _no(repr(e))

    def _feed(self, data):
        if self.man is None:
            self.buf += data
            data = self._head()
            if data is None:
                return
        mv = memoryview(data)
        while self.i < len(self.man["files"]):
            if not self.h:
                self._begin()
            k = min(self.left, len(mv))
            if self.f:
                self.f.write(mv[:k])
            self.h.update(mv[:k])
            self.left -= k
            mv = mv[k:]
            if self.left:
                return
            self._end()
        self._commit()

    def _head(self):
        """The rest after the head when that is complete and good, else None."""
        b = self.buf
        if b[: len(MAGIC)] != MAGIC[: len(b)]:
            raise _no("not a signed set")
        i = len(MAGIC)
        if len(b) < i + 2:
            return None
        n = ustruct.unpack_from("!H", b, i)[0]
        if n > _LONGEST:
            raise _no("too long")
        i += 2 + n
        if len(b) < i + 4:
            return None
        m = ustruct.unpack_from("!I", b, i)[0]
        if m > _LIMIT:
            raise _no("too long")
        i += 4
        if len(b) < i + m:
            return None
        self.old = sets.read(twinroot.SET)
        key = self.old.get("vendor")
        if not key or not verified(key, b[len(MAGIC) + 2 : i - 4], MAGIC + b[i : i + m]):
            raise _no("signature")
        self.man = ujson.loads(b[i : i + m])
        self.buf = b""
        self._check()
        return b[i + m :]

    def _check(self):
        man, old = self.man, self.old
        if man["product"] != old["product"] or man.get("device") not in (None, old["device"]):
            raise _no("for another product or device")
        if man["version"] <= newest():
            raise _no("version %d is not newer" % man["version"])
        clock.check(old)
        if clock.now() >= man["expires"]:
            raise _no("expired")
        code = "/lib/twinroot/" + man["set"]["package"] + "/"
        for name, _, _ in man["files"]:
            own = "/" not in name and name.endswith(".pem") and name not in (old.get("cert"), old.get("key"))
            if ".." in name or not (own or (name + "/").startswith(code)):
                raise _no(name)
        tidy()
        self.number = 1 + max([int(d) for d in uos.listdir(sets.ROOT) if d.isdigit()])
        folders = [sets.path(self.number)[:-1], "/lib", "/lib/twinroot"]
        if [1 for f in man["files"] if f[0].startswith(code)]:  # a package for the loader of an earlier release
            folders.append(code[:-1])
        for p in folders:
            try:
                uos.mkdir(p)
            except OSError:  # it is there
                pass

    def _begin(self):
        name, self.left, digest = self.man["files"][self.i]
        self.at = name if name[0] == "/" else sets.path(self.number) + name
        self.h = uhashlib.sha256()
        # A file of a package that is here already is not written again.
        if check.sha256(self.at, bytearray(128)) != digest:
            self.f = open(self.at + ".new", "wb")

    def _end(self):
        name, _, digest = self.man["files"][self.i]
        if self.f:
            self.f.close()
        if self.h.digest().hex() != digest:
            raise _no(name)
        if self.f:
            uos.rename(self.at + ".new", self.at)
        self.f = self.h = None
        self.i += 1

    def _commit(self):
        """Identity is copied, set.json written last, then the pointer."""
        p, q = sets.path(twinroot.SET), sets.path(self.number)
        with open(p + "set.json") as f:
            new = ujson.load(f)
        files = {name: digest for name, _, digest in self.man["files"]}
        for k in ("cert", "key"):
            if k in new:
                files[new[k]] = new["files"][new[k]]
                _copy(p + new[k], q + new[k])
        for k in self.man["set"]:
            if k not in _OWN:
                new[k] = self.man["set"][k]
        new["time"]["floor"] = max(new["time"]["floor"], self.old["time"]["floor"])
        new["version"] = self.man["version"]
        new["files"] = files
        new.pop("sum", None)
        with open(q + "set.new", "wb") as f:
            f.write(seal.seal(ujson.dumps(new).encode()))
        uos.rename(q + "set.new", q + "set.json")
        if check.bad(self.number)[0]:
            raise _no("written wrongly")
        if stats.data().pop("trial", None):  # of another set that had this number
            stats.save(True)
        slots.commit(self.number)
        self.done = True


def _copy(a, b):
    with open(a, "rb") as f, open(b, "wb") as g:
        while g.write(f.read(128)):
            pass


def _remove(path):
    try:
        for name in sorted(uos.listdir(path), key=lambda n: n != "set.json"):  # first what makes it a set
            uos.remove(path + "/" + name)
        uos.rmdir(path)
    except OSError:  # a package is a file
        uos.remove(path)


def tidy():
    """Remove sets and packages that nothing needs. Kept are, as for an update by cable (firmware/link/sets.py), the active set (or the
    newest one before it that can be read, or the newest of all), the one before it, the proven one; and the one in use."""
    before = slots.previous
    a = before(slots.active() + 1) or before(1 << 30)
    keep = [twinroot.SET, a, before(a), stats.data()["proven"]]
    packages = []
    for d in uos.listdir(sets.ROOT):
        if d.isdigit():
            try:
                if int(d) in keep:
                    packages.append(sets.read(int(d))["package"])
                    continue
            except (OSError, KeyError):  # damaged: nobody can go back to it
                pass
            _remove(sets.ROOT + d)
    home = "/lib/twinroot"
    for d in uos.listdir(home):
        if "." not in d and d not in packages:
            _remove(home + "/" + d)


class Topic:
    """Chunks from MQTT: subscribe to `topic`, hand each message to message(). A chunk is its offset in decimal, a colon,
    and bytes; a chunk that comes twice is ignored, one that is missing is asked for by `wanted`."""

    def __init__(self):
        self.update = Update()
        self.wanted = 0

    def message(self, payload):
        """True when the new set is active: connect again, and it proves itself or goes."""
        i = payload.find(b":")
        if i > 0 and payload[:i].isdigit() and int(payload[:i]) == self.wanted:
            data = payload[i + 1 :]
            self.update.feed(data)
            self.wanted += len(data)
        return self.update.done


def restart():
    """Use the set that is active now, with its package: before the next connect(), instead of a reset."""
    twinroot.core.close()
    twinroot.core.tlslink._kept = None
    twinroot.load()
