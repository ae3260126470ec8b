# mypy: ignore-errors
# ruff: noqa
# Runs in a real MicroPython whose host file system is gone (the first statement): the device code of an update against a flash in
# RAM whose power goes at a chosen operation, with the operation torn. One process tries thousands of states. The harness
# (power_cut.py) puts the inputs before this text: DEVICE (sources), SETS (payloads), PROGRAMS (SHA-256 of a set.json: what its application
# says), SEED, WORK (what to cut).
import vfs

vfs.umount("/")
import gc, io, json, os, random, sys
from hashlib import sha256

sys.path[:] = ["", "/lib"]
BLOCK = 4096
BLOCKS = 128


class Cut(BaseException):
    pass


class Flash:
    # NOR: programming clears bits, an erase sets them. `left` operations until the power goes, None for never.
    def __init__(self, data, left=None, tear=0):
        self.data = data
        self.left = left
        self.tear = tear
        self.operations = 0
        self.dead = False

    def readblocks(self, n, buf, off=0):
        at = n * BLOCK + off
        buf[:] = self.data[at : at + len(buf)]

    def goes(self):
        self.operations += 1
        if self.left is None:
            return False
        self.left -= 1
        return self.left < 0

    def writeblocks(self, n, buf, off=0):
        if self.dead:
            return
        at = n * BLOCK + off
        m = self.data
        if self.goes():
            # 0: nothing was done; 1: a part, one byte in it half done; 2: all was done, and nobody heard of it
            k = (0, len(buf) * (1 + self.operations % 7) // 8, len(buf))[self.tear % 3]
            m[at : at + k] = bytes(buf)[:k]
            if 0 < k < len(buf):
                m[at + k] &= buf[k] | (37 * self.operations & 255)
            self.dead = True
            raise Cut
        m[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        if op == 4:
            return BLOCKS
        if op == 5:
            return BLOCK
        if op == 6 and not self.dead:
            at = arg * BLOCK
            if self.goes():
                # 0: nothing; 1: bits came up here and there; 2: done
                if self.tear % 3 == 1:
                    for i in range(at, at + BLOCK):
                        self.data[i] |= (i * 2654435761 + self.operations) >> 7 & 255
                elif self.tear % 3 == 2:
                    self.data[at : at + BLOCK] = b"\xff" * BLOCK
                self.dead = True
                raise Cut
            self.data[at : at + BLOCK] = b"\xff" * BLOCK
        return 0


class Stream:
    # The bytes that would come out of the deflate stream; the line goes dead after `left` of them.
    def __init__(self, data, left=None):
        self.data = memoryview(data)
        self.at = 0
        self.left = left

    def _take(self, n):
        if self.left is not None and self.at + n > self.left:
            raise OSError(110)
        self.at += n
        return self.data[self.at - n : self.at]

    def read(self, n):
        return bytes(self._take(n))

    def readinto(self, buf):
        part = self._take(len(buf))
        buf[:] = part
        return len(buf)


def beat():
    pass


def number():
    return int.from_bytes(stream.read(3), "little")


def mounted(flash):
    vfs.mount(vfs.VfsLfs2(flash, readsize=32, progsize=32, lookahead=32), "/")
    os.chdir("/")


running = None


def booted(data, left=None, tear=0):
    # Power on: nothing of the run before is left but the flash. What it left open must not write any more.
    global running
    if running:
        running.dead = True
    try:
        vfs.umount("/")
    except OSError:
        pass
    for name in list(sys.modules):
        if name.startswith("twinroot"):
            del sys.modules[name]
    gc.collect()
    running = Flash(data, left, tear)
    mounted(running)
    return running


PARTS = {}
for name in DEVICE:
    PARTS[name] = compile(DEVICE[name], name, "exec")


def update(which, wire=None):
    # What a session of the streaming transport does on the device, with the same code.
    global stream
    payload = SETS[which]
    exec(PARTS["hello"], globals())
    ours = hello()[8]
    exec(PARTS["write"], globals())
    exec(PARTS["sets" if ours else "first"], globals())
    exec(PARTS["store"], globals())
    rest = [payload["sha"], payload["sizes"]] + payload["rest"]
    tails = {}
    if ours:
        answer = prepare(payload["text"], rest)
        if answer[4] > answer[5]:
            raise ValueError("no space: %d of %d" % (answer[4], answer[5]))
        for i, n, sha in answer[6]:
            if sha256(payload["contents"][i][:n]).digest().hex() == sha:
                tails[i] = payload["contents"][i][n:]
        send = begin()
    else:
        prepare(payload["blank"], rest)
        begin()
        send = range(len(payload["records"]))
    records = []
    for i in reversed(send):
        tail = tails.get(i)
        records.append(payload["records"][i] if tail is None else b"\0" + len(tail).to_bytes(3, "little") + tail)
    stream = Stream(b"".join(records), wire)
    return take(list(tails))


def report():
    # The oracle: the device's own self-report, by the connection package as it lies in flash. "" for a board without one.
    if "trust" not in os.listdir("/") or "active" not in os.listdir("/trust"):
        return ""
    import twinroot

    r = twinroot.selftest()
    if not r["ok"] or r["bad"] or r["set"] != r["active"]:
        raise ValueError("mix: %r" % r)
    program(r["set_sha256"])
    return r["set_sha256"]


def program(sha):
    # /main.py is run as MicroPython does it at power-on: it is the application of the set in use.
    ran = []
    if sha in PROGRAMS:
        execfile("/main.py", {"__name__": "__main__", "ran": ran})
        if ran != [PROGRAMS[sha]]:
            raise ValueError("mix: %r ran, not %r" % (ran, PROGRAMS[sha]))


def tree(path=""):
    # Everything in flash, for the message of a state that is lost.
    found = []
    for name, kind, *_ in os.ilistdir(path or "/"):
        found += tree(path + "/" + name) if kind == 0x4000 else [path + "/" + name]
    return found


def left_over():
    # What is there that no set refers to: unfinished sets, packages of none, files with names of the moment.
    used = set()
    found = []
    for name in os.listdir("/trust"):
        if name.isdigit():
            try:
                with open("/trust/%s/set.json" % name) as f:
                    used.add(json.load(f)["package"])
            except (OSError, ValueError):
                found.append(name)
    found += [name for name in os.listdir("/lib/twinroot") if "." not in name and name not in used]
    return found + [path for path in tree() if path.endswith(".new")]


def whole(data, allowed, what):
    booted(data)
    found = report()
    if found not in allowed:
        raise ValueError("%s: neither the old set nor the new one: %r" % (what, found))
    return found


def golden(base, which):
    # Operations that an undisturbed update takes.
    flash = booted(bytearray(base))
    update(which)
    return flash.operations


def recovered(data, which, allowed, what):
    booted(data)
    update(which)
    booted(data)
    if report() != SETS[which]["sha"]:
        raise ValueError("%s: the next update did not make it" % what)
    rest = left_over()
    if rest:
        raise ValueError("%s: left over %r" % (what, rest))


def attempt(data, which, left, tear, wire=None):
    # An update that is cut off. Operations done.
    flash = booted(data, left, tear)
    try:
        update(which, wire)
    except Cut:
        pass
    except OSError as e:
        # After the cut, closing a file finds a flash that takes nothing, and littlefs has its own words for that.
        if e.errno != 110 and not flash.dead:
            raise
    return flash.operations


def image(*which):
    data = bytearray(b"\xff" * (BLOCK * BLOCKS))
    try:
        vfs.umount("/")
    except OSError:
        pass
    flash = Flash(data)
    vfs.VfsLfs2.mkfs(flash, readsize=32, progsize=32, lookahead=32)
    mounted(flash)
    for w in which:
        booted(data)
        update(w)
    return data


def run():
    states = {"first": 0, "second": 0, "wire": 0}
    names = {"": "blank"}
    for k in SETS:
        names[SETS[k]["sha"]] = k
    seen = {}
    turn = images = 0
    for have, want in WORK["pairs"]:
        base = image(*have)
        old = SETS[have[-1]]["sha"] if have else ""
        allowed = (old, SETS[want]["sha"])
        total = golden(base, want)
        print(json.dumps({"pair": [have, want], "operations": total}))
        for left in range(WORK["offset"], total, WORK["step"]):
            for tear in range(3):
                data = bytearray(base)
                what = "%s->%s cut %d tear %d" % (have, want, left, tear)
                attempt(data, want, left, tear)
                got = names[whole(data, allowed, what)]
                seen[got] = seen.get(got, 0) + 1
                states["first"] += 1
                # A second cut, while the next run recovers: one place for each state, another one each time.
                turn += 1
                again = (turn * 7919 + SEED) % (total + 8)
                attempt(data, want, again, turn % 3)
                got = names[whole(data, allowed, what + " again %d" % again)]
                states["second"] += 1
                recovered(data, want, allowed, what)
        size = sum(len(r) for r in SETS[want]["records"])
        before = None
        for wire in range(WORK["offset"] * WORK["wire"] // WORK["step"], size, WORK["wire"]):
            data = bytearray(base)
            what = "%s->%s wire %d" % (have, want, wire)
            attempt(data, want, None, 0, wire)
            states["wire"] += 1
            if data == before:
                continue  # a byte that only the receiver's memory knew of: the flash is the last state's, which was judged
            before = bytes(data)
            images += 1
            whole(data, allowed, what)
            recovered(data, want, allowed, what)
    print(json.dumps({"states": states, "seen": seen, "images": images}))


try:
    run()
except BaseException:
    print(tree())
    raise
