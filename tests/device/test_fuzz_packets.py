"""What the network says after, or beside, the handshake: NTP replies, MQTT packets, job documents, containers, by the thousand. One oracle:
an OSError of the package (it has `.kind`) or nothing; never another exception, never memory that is kept."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from provisioning.ota import signed_set
from tests.device import sets
from tests.device.jail import ROOT, Board
from tests.device.test_ota import Fleet, container, vendor
from tests.device.world import World

# A random source that is the same everywhere, and what an exception counts as.
HEAD = """
import gc, json, sys, twinroot
twinroot.core
seed = %d
def rand(n):
    global seed
    seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
    return (seed >> 8) %% n
def rbytes(n):
    return bytes([rand(256) for _ in range(n)])
out = {}
def tried(f, *a):
    try:
        f(*a)
        what = "ok"
    except OSError as e:
        what = getattr(e, "kind", None) or "without kind: %%r" %% (e,)
        str(e)
    except Exception as e:
        sys.print_exception(e)
        what = repr(e)
    out[what] = out.get(what, 0) + 1
"""

NTP = """
from twinroot import clock, ntp
FLOOR, CEILING = clock.now() - 1000, clock.now() + 1000000
sent = []
class Socket:
    AF_INET = SOCK_DGRAM = 0
    def socket(*a):
        return Socket()
    def getaddrinfo(h, p):
        return [] if rand(9) == 0 else [(0, 0, 0, "", (h, p))]
    def settimeout(self, s): pass
    def connect(self, a): pass
    def close(self): pass
    def send(self, b):
        self.b = b
    def recv(self, n):
        how = rand(12)
        if how == 0:
            raise OSError(110)
        r = bytearray(rbytes(48))
        if how < 10:
            r[0], r[1] = 0x24, 1 + rand(15)
            r[24:32] = self.b[40:48]
        if how < 6:
            t = FLOOR + (rand(4000) - 2000) * (1 << rand(31)) + 2208988800
            r[40:44] = (t & 0xFFFFFFFF).to_bytes(4, "big")
        return bytes(r[: rand(49)] if how == 9 else r)
ntp.usocket = Socket
put = []
def set_(t):
    put.append(t)
    if rand(3) == 0:
        raise OverflowError("timestamp out of range for platform time_t")
    return True
ntp.put = set_
for i in range(%d):
    ntp._kissed.clear()
    tried(ntp.sync, ["a", "b"], FLOOR, CEILING, {})
print(json.dumps([out, len(put), all([FLOOR <= t < CEILING for t in put])]))
"""

MQTT = """
BASE = %r
if BASE == "simple":
    from umqtt.simple import MQTTClient as base
else:
    base = twinroot.mini.MQTTClient
class Stream:
    def __init__(self, data):
        self.data, self.at = data, 0
    def read(self, n):
        if n < 0:
            raise ValueError("read to the end, which never comes")
        d = self.data[self.at : self.at + n]
        if n > 30000:
            raise MemoryError("memory allocation failed, allocating %%d bytes" %% n)
        self.at += len(d)
        return d
    def readinto(self, b):
        d = self.read(len(b))
        b[: len(d)] = d
        return len(d)
    def write(self, *a): pass
    def setblocking(self, f): pass
    def close(self): pass
class Wire:
    dead, block, limit = False, True, 0
class Link:
    route, root, ok = "ats", "Ats", False
    def __init__(self, data):
        self.sock, self.wire = Stream(data), Wire()
    def close(self):
        self.wire.dead = True
twinroot.core.connect = lambda *a: Link(b"\\x20\\2\\0\\0" + stream())
twinroot.core.proved = twinroot.core._failing = lambda *a: None
def packet():
    how = rand(8)
    if how == 0:
        return rbytes(1 + rand(6))
    kind = (0x30, 0x32, 0x34, 0x36, 0x40, 0x90, 0xD0, 0x20, 0x50, 0x62)[rand(10)]
    body = rbytes(rand(40))
    if kind & 0xF0 == 0x30 and rand(3):
        body = bytes((0, rand(12))) + body
    n = len(body) + (rand(7) - 3 if rand(4) == 0 else 0)
    size = bytes((n & 127,)) if rand(6) else (b"\\xff\\xff\\xff\\x7f", b"\\x80\\x80\\x80\\x80\\x80\\1", b"\\x80\\1", b"\\xff" * 9)[rand(4)]
    if kind == 0xD0:
        return b"\\xd0" + (b"\\0" if rand(4) else rbytes(1))
    return bytes((kind,)) + size + body
def stream():
    return b"".join([packet() for _ in range(rand(4))])
def session():
    c = twinroot.session._kind(base)("t", "", 8883, None, None, 60)
    c.set_callback(None if rand(2) else lambda t, m: None)
    c.connect()
    what = rand(5)
    if what == 0:
        c.publish(b"t", b"m", qos=1)
    elif what == 1:
        c.subscribe("t", 1)
    elif what == 2:
        c.ping()
        c.wait_msg()
    for _ in range(4):
        c.wait_msg() if rand(2) else c.check_msg()
for i in range(%d):
    tried(session)
print(json.dumps(out))
"""

JOBS = """
twinroot.jobs
class Client:
    client_id = "t-1"
    said = []
    def set_callback(self, f): pass
    def subscribe(self, t, q=0): pass
    def publish(self, t, m, *a):
        assert len(m) < 1500
        self.said.append(m)
j = twinroot.jobs.Jobs(Client(), None)
def value(deep=0):
    k = rand(24 if deep < 4 else 7)
    if k == 0: return None
    if k == 1: return rand(1000) - 500
    if k == 2: return ["execution", "twinroot", "", "updates/#", "$aws/x", "A" * 300, "\\u4fe1"][rand(7)]
    if k == 3: return True
    if k == 4: return 1.5e300
    if k == 5: return [value(deep + 1) for _ in range(rand(4))]
    if k == 6: return rand(10) * 10 ** 40
    keys = (("execution", "timestamp"), ("jobId", "jobDocument", "status"), ("twinroot", "operation"))
    if deep == 3:
        keys = ("version", "file", "size", ("topic", "parts", "stream")[rand(3)])
        return {a: 2 + rand(9) if a in ("version", "file", "size") and rand(9) else ("s" if rand(3) else value(4)) for a in keys}
    keys = keys[deep]
    return {a: value(deep + 1) for a in keys if rand(5)}
def block():
    # Of a stream, bent: numbers that are none, base64 that ends anywhere, keys that are missing.
    m = b'{"f":%%d,"l":2048,"i":%%d,"p":"%%s"}' %% (2 + rand(9), rand(3), b"VFdTRVQxCg" * rand(20))
    i = rand(len(m))
    return m[:i] + rbytes(rand(4)) + m[i + rand(3) :]
def message():
    Client.said.clear()
    m = json.dumps(value()).encode()
    how = rand(6)
    if how == 0:
        m = m[: rand(len(m) + 1)]
    elif how == 1:
        m = rbytes(rand(60))
    topic = j.base + ("notify-next", "start-next/accepted")[rand(2)]
    if j.got and rand(3) == 0:
        topic = j.got.topics[rand(len(j.got.topics))]
        if rand(3):
            m = block()
    j.message(topic.encode() if rand(2) else topic, m)
    seen.add(type(j.got).__name__)
seen = set()
for i in range(%d):
    tried(message)
print(json.dumps([out, sorted(seen)]))
"""


def board(tmp_path: Path, **files: bytes) -> Board:
    world = World(tmp_path)
    one = world.build(1, "127.0.0.1:1", "127.0.0.1:1", vendor=signed_set.public_numbers(vendor().public))
    more = {f"/lib/umqtt/{n}.py": (ROOT / "provisioning/virtual/shims/umqtt" / f"{n}.py").read_bytes() for n in ("__init__", "simple")}
    return Board(tmp_path / "board", sets.board(1, one) | more | {f"/{n}": d for n, d in files.items()})


def test_ntp(tmp_path: Path) -> None:
    """Whatever is answered: the clock is set between floor and ceiling, or not at all."""
    out, put, within = board(tmp_path).run(HEAD % 1 + NTP % 2000).json
    assert set(out) == {"ok"} and put > 50 and within


@pytest.mark.parametrize("base", ["simple", "mini"])
def test_mqtt(tmp_path: Path, base: str) -> None:
    out = board(tmp_path).run(HEAD % 2 + MQTT % (base, 2000)).json
    assert set(out) <= {"ok", "network", "memory", "refused"}, out
    assert out["ok"] > 100 and out["network"] > 100 and out["memory"] > 5, out


def test_jobs(tmp_path: Path) -> None:
    out, seen = board(tmp_path).run(HEAD % 3 + JOBS % 6000).json
    assert set(out) == {"ok"}, out
    assert seen == ["NoneType", "Stream", "Topic"], "every carrier was begun"


CONTAINERS = """
from twinroot import ota
with open("/cases") as f:
    cases = json.load(f)
with open("/data", "rb") as f:
    for size in cases:
        d = f.read(size)
        def feed():
            u = ota.Update()
            i = 0
            while i < len(d) and not u.done:
                n = 1 + rand((7, 300, 5000)[rand(3)])
                try:
                    u.feed(d[i : i + n])
                finally:
                    held = u.head
                i += n
            assert held is None or len(held) < 9300, len(held)
            assert not u.done or u.rows == ()
        tried(feed)
print(json.dumps([out, twinroot.slots.active()]))
"""


def values(r: random.Random) -> Any:
    return r.choice([None, -1, 0, 2, 10**30, "", "x", "../x", [], {}, [1], {"a": 1}, True, 1.5, "/lib/twinroot/x/y", "a" * 300])


def manifests(text: bytes, r: random.Random) -> bytes:
    """A manifest that the vendor has signed by mistake: values of other types, keys that are missing."""
    man = json.loads(text)
    for _ in range(r.randrange(1, 3)):
        where = r.choice([man, man["set"], *([man["files"]] if isinstance(man["files"], list) and man["files"] else [])])
        if isinstance(where, list):
            row = r.randrange(len(where))
            where[row] = r.choice([values(r), [values(r) for _ in range(r.randrange(5))]])
        elif isinstance(where, dict) and where:
            key = r.choice(list(where))
            if r.random() < 0.3:
                del where[key]
            else:
                where[key] = values(r)
        if not isinstance(man.get("set"), dict) or "files" not in man:
            break
    return json.dumps(man).encode()


def test_containers(tmp_path: Path) -> None:
    """Bent in every place, and bent before they were signed: refused, and no memory kept."""
    r = random.Random(4)
    with Fleet(tmp_path / "fleet") as fleet:
        without = {f"{m}.mpy": None for m in sets.compiled() if m not in ("core", "policy")}
        good = container(fleet.world.build(2, "127.0.0.1:1", "127.0.0.1:1", change=without), 2)
    size = struct.unpack("!H", good[7:9])[0]
    start = 13 + size
    end = start + struct.unpack("!I", good[9 + size : start])[0]
    cases = [b"TWSET1\n\xff\xff" + bytes(40000), b"TWSET1\n\x01\x00" + bytes(256) + b"\xff\xff\xff\xff" + bytes(30000)]
    for _ in range(110):
        at = r.choice([r.randrange(13), r.randrange(start), r.randrange(start, end), r.randrange(len(good))])
        bent = bytearray(good)
        bent[at : at + r.randrange(3)] = bytes(r.randrange(256) for _ in range(r.randrange(3)))
        if bytes(bent) != good and bent[:end] != good[:end]:
            cases.append(bytes(bent[: r.randrange(len(bent))] if r.random() < 0.2 else bent))
    for _ in range(90):
        text = manifests(good[start:end], r)
        if len(text) <= signed_set.MANIFEST_LIMIT:
            cases.append(signed_set.sign(text, [good[end:]], vendor(), signed_set.public_numbers(vendor().public)))
    cases = [c[: 15000 if c[7:9] == b"\xff\xff" else end + 100] for c in cases]  # what is wrong is in the head
    made = board(tmp_path, cases=json.dumps([len(c) for c in cases]).encode(), data=b"".join(cases))
    out, active = made.run(HEAD % 5 + CONTAINERS).json
    assert set(out) == {"ok", "set"}, out
    assert out["set"] > 120, out
    assert active in (1, 2), "what the vendor signed by mistake may become active: its trial is for that"
