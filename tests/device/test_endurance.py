"""Ten thousand connects against a cloud that flaps, on the real interpreter with simulated time: heap, flash, memory of routes.

Only the TLS connection is replaced; policy, statistics, sets and the file system are those of the device."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.device.world import ATS, LEGACY, World

SIMULATE = """
import gc, json, random
import twinroot
from twinroot import clock, core, errors, failing, stats, tlslink, telemetry
random.seed(7)
class Time:
    ms = 0
def ticks_ms():
    return Time.ms & 0x3FFFFFFF
def sleep_ms(n):
    Time.ms += n
core.ticks_ms = failing.ticks_ms = stats.ticks_ms = ticks_ms
failing.ticks_add = lambda a, b: (a + b) & 0x3FFFFFFF
core.ticks_diff = failing.ticks_diff = stats.ticks_diff = lambda a, b: ((a - b + 0x20000000) & 0x3FFFFFFF) - 0x20000000
core.sleep_ms = failing.sleep_ms = sleep_ms
clock.now = lambda: 1800000000 + Time.ms // 1000
class Wire:
    dead, block = False, True
class Link:
    ok, wire, at = False, Wire, 0
    def __init__(self, route):
        self.route, self.root = route["name"], route["roots"][0]
    def close(self):
        core.proved(self)
handshakes = [0]
weather = {"ats": None, "legacy": None}
def open_(route, *rest):
    handshakes[0] += 1
    Time.ms += 400
    kind = weather[route["name"]]
    if kind:
        raise errors.make(kind, "simulated", route["name"], "Somebody Else's Root CA" if kind == "trust" else None)
    return Link(route)
tlslink.open = open_
KINDS = ("trust", "trust", "trust", "network", "network", "clock", "hostname", "memory")
clock.check = lambda s, force=False: None
start_ops = flash.ops
day_writes, worst_day, day = 0, 0, 0
saves = [0]
real = stats.sets.replace
def replace(name, text):
    saves[0] += 1
    real(name, text)
stats.sets.replace = replace
samples = []
longest = most = wrong = 0
good = {"ats": 0, "legacy": 0}
writes = {}
for n in range(%d):
    if random.getrandbits(4) == 0:
        for r in weather:
            weather[r] = random.choice(KINDS) if random.getrandbits(1) else None
    before = handshakes[0]
    at = Time.ms
    try:
        k = core.connect()
        good[k.route] += 1
        if weather[k.route]:
            wrong += 1
        Time.ms += random.randint(1, 240) * 1000
    except OSError:
        pass
    most = max(most, handshakes[0] - before)
    d = Time.ms // 86400000
    if d != day:
        worst_day = max(worst_day, saves[0] - day_writes)
        day, day_writes = d, saves[0]
    if n %% 500 == 0:
        gc.collect()
        samples.append(gc.mem_alloc())
text = telemetry.text()
print(json.dumps({"samples": samples, "saves": saves[0], "worst_day": worst_day, "days": Time.ms / 86400000, "good": good,
                  "handshakes": handshakes[0], "most": most, "wrong": wrong, "flash": flash.ops - start_ops,
                  "telemetry": text, "health": twinroot.health()}))
"""


@pytest.mark.parametrize("connects", [10_000])
def test_flapping_cloud(tmp_path: Path, connects: int) -> None:
    world = World(tmp_path)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        d = world.board(ats, legacy).run(SIMULATE % connects, timeout=110).json
    print({k: d[k] for k in d if k != "samples"}, d["samples"][:3], d["samples"][-3:])
    assert d["wrong"] == 0
    assert min(d["good"].values()) > 500, "both routes were used"
    assert d["most"] <= 5, "two handshakes for each route, and one more after the clock was asked"
    assert d["worst_day"] <= 48
    assert d["saves"] <= 48 * (d["days"] + 1)
    early, late = max(d["samples"][1:4]), max(d["samples"][-3:])
    assert late - early < 512, "no heap growth"
    assert len(d["telemetry"].encode()) < 300
