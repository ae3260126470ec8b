"""Firmware over the air, on a board whose partition table has two slots for it: a new one goes into the slot that does not run, and the
boot loader starts it once. Unless it is marked as good then, which the handshake that proves its set does, the next start is the old
one's (ESP-IDF, "OTA Updates": app rollback). Loaded by an update that brings firmware, and by sets that were committed with one: their
set.json has "image": [label of the slot, SHA-256 of the firmware, its bytes].

A set is used with its firmware. Where another one runs, the board is reset: inside connect(), before there is a link. A start that ends
in the old firmware is no evidence, power may have gone; it is tried _TRIES times, then the set is rolled back and its version refused. A
firmware under which no set connects for an hour steps back for an hour by itself: the set before is tried under the old one, and when
that connects, the new set has lost a comparison (trial.py)."""

import uhashlib
import ustruct
from esp32 import Partition
from micropython import const
from ubinascii import crc32
from utime import ticks_diff, ticks_ms

import twinroot

from . import clock, core, errors, guard, policy, sets, stats

_BLOCK = const(4096)  # bytes that the flash erases at once
_PIECE = const(512)  # and that are written or read at once
_TRIES = const(3)
_MAGIC = const(0xE9)  # of an image; bytes 12 and 13 say for which chip it is (ESP-IDF, esp_image_header_t)
_NEW = const(0)  # esp_ota_img_states_t
_PENDING = const(1)
_RECORD = "image"  # in /trust: what is being written, and where

_ready = None  # "image" of what commit() starts
_failing = None  # core's


def reset():
    """Put your own in its place where something has to be put in order first."""
    import umachine

    umachine.reset()


def _no(what, then="Offer it again"):
    from . import ota  # which is there: this is for what it writes

    return ota._no(what, then)


def _running():
    return Partition(Partition.RUNNING)


def _label(p):
    return p.info()[4]


def _next():
    """(partition, state) that otadata has the next start lead to: esp_ota_select_entry_t. None on a board without slots."""
    d = Partition.find(Partition.TYPE_DATA, 0)
    if not d:
        return None
    state = seq = 0
    b = bytearray(32)
    for i in range(2):
        d[0].readblocks(i, b)
        n, s, c = ustruct.unpack("<I20xII", b)
        if seq < n < 0xFFFFFFFF and s not in (3, 4) and c == crc32(b[:4], 0xFFFFFFFF):
            seq, state = n, s
    return Partition(Partition.BOOT), state


def _sha256(p, size, buf):
    h = uhashlib.sha256()
    mv = memoryview(buf)
    for at in range(0, size, _PIECE):
        p.readblocks(at // _BLOCK, buf, at % _BLOCK)
        h.update(mv[: size - at])
    return h.digest().hex()


class Writer:
    """A firmware of `size` bytes. `at`: how many of them are there already, from an attempt that was interrupted, or because it is what
    runs. SetError when this board cannot take it, before anything is written."""

    def __init__(self, size, digest):
        global _ready
        _ready = None
        run = _running()
        boot = _next()
        self.size = size
        self.digest = digest
        self.first = self.at = 0
        self.buf = bytearray(_PIECE)
        if boot and size <= run.info()[3] and _sha256(run, size, self.buf) == digest:
            self.to = run
            self.at = size
            return
        self.to = to = boot and run.get_next_update()
        if not to or _label(to) == _label(run):
            raise _no("this board has no second slot for firmware", "Sign one without firmware")
        if size > to.info()[3]:
            raise _no("firmware of %d bytes, and %s has %d" % (size, _label(to), to.info()[3]), "Sign one with smaller firmware")
        if _label(boot[0]) != _label(run) or boot[1] == _PENDING:
            raise _no("the firmware that was put in before has not proven itself", "Restart it, then offer it again")
        self.record = "%s %d %s" % (_label(to), size, digest)
        try:
            with open(sets.ROOT + _RECORD) as f:
                known = f.read(99) == self.record
        except OSError:
            known = False
        if known and not to.info()[5]:  # what is erased cannot be seen in an encrypted slot
            n = 0
            while n * _BLOCK < size and not self._erased(n):
                n += 1
            # Ahead of what was written one block is erased. The one before may be torn.
            self.first = max(n - 1, 0)
            self.at = self.first * _BLOCK

    def _erased(self, i):
        for at in range(0, _BLOCK, _PIECE):
            self.to.readblocks(i, self.buf, at)
            if min(self.buf) < 255:
                return False
        return True

    def write(self, mv):
        """The next bytes, any number of them, up to `size`."""
        while mv:
            i = self.at % _PIECE
            d = mv[: _PIECE - i]
            self.buf[i : i + len(d)] = d
            self.at += len(d)
            if not self.at % _PIECE or self.at == self.size:
                self._flush()
            mv = mv[len(d) :]

    def _flush(self):
        b = self.buf
        at = (self.at - 1) // _PIECE * _PIECE
        for i in range(self.at - at, _PIECE):
            b[i] = 255
        i = at // _BLOCK
        if not at:
            head = bytearray(14)
            _running().readblocks(0, head)
            if b[0] != _MAGIC or b[12:14] != head[12:]:
                raise _no("no firmware for this chip", "Sign one with firmware for it")
        try:
            if not at % _BLOCK:
                if i == self.first:
                    self.to.ioctl(6, i)
                if not i:
                    sets.replace(_RECORD, self.record)
                if (i + 1) * _BLOCK < self.to.info()[3]:
                    self.to.ioctl(6, i + 1)
            self.to.writeblocks(i, b, at % _BLOCK)
        except OSError as e:
            raise _no("firmware: %r" % e)

    def finish(self):
        """True when all of it reads back as it should; False when what was there before was not right, so that all has to come again."""
        global _ready
        good = self.at == self.size and _sha256(self.to, self.size, self.buf) == self.digest
        if good:
            _ready = [_label(self.to), self.digest, self.size]
            return True
        sets.replace(_RECORD, "")
        if not self.first:
            raise _no("firmware was written wrongly")
        return False


def says():
    """What set.json says of the firmware that was written last: "image"."""
    return _ready


def commit():
    """The next start is that of the firmware that was written last."""
    if _ready[0] != _label(_running()):
        try:
            Partition(_ready[0]).set_boot()
        except OSError as e:
            raise _no("firmware: %r" % e)
    sets.replace(_RECORD, "")


def running():
    """Label of the slot that runs."""
    return _label(_running())


def valid():
    """The firmware that runs stays: a handshake has proven the set that it came with."""
    b = _next()
    if b and _label(b[0]) == running():
        Partition.mark_app_valid_cancel_rollback()


def back():
    """The set in use has lost: firmware that has not proven itself goes with it."""
    b = _next()
    if b and b[1] == _PENDING and _label(b[0]) == running():
        reset()


def check(s):
    """The active set `s` is about to be used: with its firmware, or a reset."""
    n = twinroot.SET
    label = s["image"][0]
    boot = _next()
    if not boot:
        return
    there = _label(boot[0])
    if running() == label:
        if there == label and boot[1] == _PENDING:
            if guard.proven(n):
                valid()
            else:
                _watch()
    elif there == label and boot[1] == _NEW:
        reset()  # it has not been started yet
    else:
        _again(n, *s["image"])
    if not guard.proven(n):
        s.setdefault("retired", ())  # has core.py call guard.retire(), and that valid()
        d = stats.data()
        if d["proven"] == n:  # counters prove nothing
            d["proven"] = 0


def _noted(g, n):
    """What the guard says of the firmware of the set `n`: [n, starts that ended in the old one, time of the trial when it stepped back]."""
    i = g.get("image")
    return i if i and i[0] == n else [n, 0, None]


def _again(n, label, digest, size):
    """Another firmware than its own runs: the boot loader went back, or power went between the two commits."""
    from . import trial

    g = guard.read()
    i = _noted(g, n)
    if i[2] is not None:
        t = stats.data().get("trial")
        # It stepped back: its turn comes an hour after the set before has connected under the old one.
        if not t or t[0] != n or t[2] == i[2] or 0 <= clock.now() - t[2] < policy.RETURN_S:
            core.tlslink.open = _unusable
            return
        i[1:] = 0, None
    p = Partition(label)
    i[1] += 1
    if i[1] > _TRIES or _sha256(p, size, bytearray(_PIECE)) != digest:
        m = trial.before(n)
        if not m or guard.proven(n):  # no trial: it is used with what runs
            return
        trial.roll_back(n, m, True)
    else:
        g["image"] = i
        guard.write(g)
        try:
            p.set_boot()
        except OSError:  # the next start counts
            pass
    reset()


def _unusable(*_):
    raise errors.make("set", "its firmware found no connection", None, None, "set %d" % twinroot.SET)


def _watch():
    """Firmware that runs for the first time has an hour, from its first connect() on."""
    global _failing
    if not hasattr(twinroot, "_since"):
        twinroot._since = ticks_ms()  # the loader's module outlives those of the sets that are tried
    _failing = core._failing
    core._failing = _failed


def _failed():
    n = twinroot.SET
    t = stats.data().get("trial")
    if ticks_diff(ticks_ms(), twinroot._since) >= policy.RETURN_S * 1000:
        # Not when the set before has connected under this firmware: that is between the sets.
        if not t or t[0] != n or not 0 <= clock.now() - t[2] < 2 * policy.RETURN_S:
            g = guard.read()
            i = _noted(g, n)
            i[2] = t[2] if t and t[0] == n else 0
            g["image"] = i
            guard.write(g)
            reset()
    return _failing()
