"""Back-off belongs to sessions: whatever a server, or a broker, does after the handshake, a device makes some 600 attempts a day; and
a session that has proven itself is worth a new one at once. A day is simulated on the real interpreter: time passes where it is waited
for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.device.world import ATS, LEGACY, World

DAY = """
import json, sys, utime as _t
class utime:  # the only time there is: who waits lets it pass
    ms = 5000
    gmtime = _t.gmtime
    def time():
        return 1800000000 + utime.ms // 1000
    def ticks_ms():
        return utime.ms & 0x3FFFFFFF
    def ticks_add(a, b):
        return (a + b) & 0x3FFFFFFF
    def ticks_diff(a, b):
        return ((a - b + 0x20000000) & 0x3FFFFFFF) - 0x20000000
    def sleep_ms(n):
        utime.ms += n
sys.modules["utime"] = utime
import twinroot
from twinroot import errors, tlslink
WHAT, APP, DAYS = %r, %r, %d
handshakes, gaps, begun = 0, [], 0
class Wire:
    def __init__(self):
        self.dead, self.block, self.limit, self.end = False, True, 0, None
class Stream:
    # What the broker does with the connection: `script` is what it answers, and where it resets.
    def __init__(self, wire):
        self.wire, self.out, self.left = wire, b"", None
        self.opened = utime.ms
    def gone(self):
        self.wire.dead = True
        raise OSError(104)
    def check(self):
        if self.wire.dead:
            self.gone()
    def write(self, b, n=-1):
        self.check()
        utime.ms += 20
        b = bytes(b[:n] if n >= 0 else b)
        k = b[0] & 0xF0
        if WHAT == "reset after handshake":
            self.gone()
        if k == 0x10:
            self.out += b"\\x20\\2\\0" + (b"\\5" if WHAT == "refused" else b"\\0")
        elif k == 0xC0:
            self.out += b"\\xd0\\0"
        elif len(b) == 2 and self.qos:  # a packet's number
            self.out += b"\\x40\\2" + b
        return len(b)
    qos = False
    def readinto(self, b):
        d = self.read(len(b))
        b[: len(d)] = d
        return len(d)
    def read(self, n):
        self.check()
        utime.ms += 20
        if not self.out:
            if WHAT == "silent after CONNACK":
                utime.ms += 90000
                self.wire.dead = True
                raise OSError(110)
            self.gone()
        d, self.out = self.out[:n], self.out[n:]
        self.told = getattr(self, "told", b"") + d
        if not self.out:
            self.maybe()
        return d
    def maybe(self):
        first = self.told[0] & 0xF0
        last = {0x20: "CONNACK", 0x40: "PUBACK", 0xD0: "PINGRESP"}
        for k in last:
            if WHAT == "reset after " + last[k] and bytes((k,)) in self.told[-4:]:
                self.wire.dead = True
        if WHAT == "reset after 10 s" and utime.ms - self.opened > 10000:
            self.wire.dead = True
    def setblocking(self, f): pass
    def close(self): pass
def open_(route, info, path, ms):
    global handshakes
    handshakes += 1
    utime.ms += 400
    if WHAT == "nobody listens" or WHAT == "mixed" and handshakes %% 5:
        raise errors.make("network", OSError(111), route["name"])
    w = Wire()
    s = Stream(w)
    s.qos = True
    return tlslink.Link(s, w, route["name"], "Ats")
class Sock:
    def close(self): pass
Wire.s = Sock()
tlslink.open = open_
day = 86400000
per_day = []
c = None
last = 0
while utime.ms < DAYS * day + 5000:
    if utime.ms // day != len(per_day):
        per_day.append(handshakes - last)
        last = handshakes
    try:
        if APP == "mqtt":
            if c is None:
                c = twinroot.mqtt(keepalive=60)
            else:
                c.connect(False)
            while True:
                c.ping()
                c.wait_msg()
                c.publish(b"t", b"m", qos=1)
                utime.ms += 5000
        else:
            link = twinroot.connect()
            link.sock.write(b"hello")
            while True:
                link.sock.read(1)
                utime.ms += 1000
    except OSError as e:
        assert APP == "stream" or e.kind
per_day.append(handshakes - last)
print(json.dumps([handshakes, per_day, flash.ops]))
"""
SERVERS = [
    *("reset after handshake", "reset after CONNACK", "reset after PUBACK", "reset after PINGRESP"),
    *("reset after 10 s", "refused", "silent after CONNACK", "nobody listens", "mixed"),
]


def day(tmp_path: Path, what: str, app: str, days: int = 2) -> Any:
    world = World(tmp_path)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        return world.board(ats, legacy).run(DAY % (what, app, days), timeout=100).json


@pytest.mark.parametrize("what", SERVERS)
def test_attempts_of_a_day(tmp_path: Path, what: str) -> None:
    handshakes, per_day, _ = day(tmp_path, what, "mqtt")
    print(what, handshakes, per_day)
    assert max(per_day) <= 620, "576 a day, and a burst on the first"
    assert handshakes > 300, "and it does not give up"


@pytest.mark.parametrize("what", ["reset after handshake", "nobody listens"])
def test_attempts_of_a_day_without_mqtt(tmp_path: Path, what: str) -> None:
    _, per_day, _ = day(tmp_path, what, "stream")
    assert max(per_day) <= 620
