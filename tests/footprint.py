"""What the connection package costs on a device: .mpy bytes and GC heap, measured on the real interpreter.

    python -m tests.footprint                       prints the table; exit code 1 when a number has grown past its limit
    python -m tests.footprint --json                the numbers
    python -m tests.footprint --micropython FILE    another unix build beside it, a 32-bit one for instance

The interpreter is the 64-bit unix build, where a machine word, and so most of an object, is twice as large as on an ESP32. Heap is
given as measured. A 32-bit unix build has the ESP32's words; where its heap lies above 0x3fffffff, as a position-independent program's
does, select.poll() makes large integers of addresses, which an ESP32 does not: link it -no-pie, and set MALLOC_MMAP_THRESHOLD_ so that
malloc() stays below. TLS library: its buffers are outside the GC heap here as on the ESP32, its SSLContext and SSLSocket objects are in
it; "outside of TLS" leaves out these two, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.device import sets  # noqa: E402
from tests.device.broker import Broker  # noqa: E402
from tests.device.jail import MICROPYTHON, Board  # noqa: E402
from tests.device.test_jobs import Jobs, stream, topic  # noqa: E402
from tests.device.test_ota import Fleet, container  # noqa: E402
from tests.device.world import ATS, LEGACY, World  # noqa: E402

CORE = ("__init__", "core", "policy", "sets", "slots", "stats", "clock", "tlslink")
FAILURE = ("errors", "classify", "verify", "failing", "fallback")

# What may not be exceeded on the 64-bit build: 8, 9, 4 and 48 KB are promises of the package, the rest is today's number and a little
# more. Every module: 31,350 before an update over the air brought applications, went on after interruptions, left out what is on the board
# and read AWS IoT's streams; products without `updates:` carry none of it.
LIMITS = {
    "mpy_core": 8192,
    "mpy_failure": 5200,
    "mpy_total": 44900,
    "heap_import": 9 * 1024,
    "heap_core": 20900,
    "heap_set": 3000,
    "heap_connected": 22850,
    "heap_peak": 4096,
    "heap_second_link": 256,
    "heap_per_loop": 0,
    "smallest_heap": 48 * 1024,
    "smallest_heap_mqtt": 48 * 1024,
    "heap_topic": 11_500,
    "heap_stream": 12 * 1024,
    "heap_commit": 17_000,
    "smallest_heap_topic": 92 * 1024,
    "smallest_heap_stream": 100 * 1024,
}
MEANING = {
    "mpy_core": "loader, connect, policy, slots, health: .mpy bytes",
    "mpy_failure": "loaded with the first failure: .mpy bytes",
    "mpy_total": "every module, MQTT, self-test, updates, jobs, firmware included: .mpy bytes",
    "heap_import": "heap after `import twinroot`",
    "heap_core": "heap with the core's modules loaded",
    "heap_set": "of which the set's own data (routes, names, time servers)",
    "heap_connected": "heap with a connection open, outside of TLS",
    "heap_peak": "heap that connect() needs more at its peak, outside of TLS",
    "heap_second_link": "heap that a second, third, tenth connect adds",
    "heap_per_loop": "heap that publishing and pinging 200 times allocates, on either route",
    "smallest_heap": "smallest heap in which connect() works (steps of 2 KB)",
    "smallest_heap_mqtt": "smallest heap in which mqtt() connects, publishes with QoS 1 and connects again",
    "heap_topic": "heap that an update takes at its peak while it comes from a topic, beside connection and modules",
    "heap_stream": "the same from an AWS IoT stream",
    "heap_commit": "and for the moment of its commit",
    "smallest_heap_topic": "smallest heap in which an update over a topic comes, is committed, and connects (steps of 4 KB)",
    "smallest_heap_stream": "the same over a stream",
}

_MEASURE = """
import gc, json, time
def live():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()
start = live()
import twinroot
r = {"heap_import": live() - start}
twinroot.core
r["heap_core"] = live() - start
text = json.dumps(twinroot.INFO)
a = live()
c = json.loads(text)
r["heap_set"] = live() - a
c = text = None
import tls
a = live()
c = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
c.verify_mode = tls.CERT_NONE
c = c.wrap_socket(open("/trust/active", "rb"), do_handshake_on_connect=False)
library = live() - a
c = None
# The peak is sampled wherever connect() decodes a file, reads or writes the network, looks at a certificate or writes flash.
peak = a = live()
def sampled(f):
    def g(*arguments):
        global peak
        r = f(*arguments)
        peak = max(peak, live())
        return r
    return g
t = twinroot.tlslink
kept = t.Wire._io, t.a2b_base64, t.uhashlib, twinroot.sets.replace
class Hash:
    sha256 = sampled(t.uhashlib.sha256)
t.Wire._io, t.a2b_base64, twinroot.sets.replace = sampled(kept[0]), sampled(kept[1]), sampled(kept[3])
t.uhashlib = Hash
a = peak = live()
link = twinroot.connect()
r["heap_peak"] = peak - a - library
t.Wire._io, t.a2b_base64, t.uhashlib, twinroot.sets.replace = kept
sampled = kept = t = None
a = live()
r["heap_connected"] = a - start - library
for i in range(10):
    link = twinroot.connect()
r["heap_second_link"] = max(0, live() - a)
link.close()
link = None
client = twinroot.mqtt()
def turn():
    client.check_msg()  # nothing
    client.publish(b"t", b"x")
    client.ping()
    client.wait_msg()  # the answer to the ping
turn()
gc.collect()
gc.disable()
a = gc.mem_alloc()
for i in range(200):
    turn()
r["heap_per_loop"] = gc.mem_alloc() - a
gc.enable()
twinroot.core._pol.last, twinroot.core._pol.since = 1, twinroot.clock.now()  # as on the other route: each ping thinks of going home
gc.collect()
gc.disable()
client.asked = t = time.ticks_ms()
a = gc.mem_alloc()
for i in range(200):
    turn()
assert time.ticks_diff(time.ticks_ms(), t) < 10000
r["heap_per_loop"] += gc.mem_alloc() - a
print(json.dumps(r))
"""

_SMALL = {
    "smallest_heap": """
import twinroot
link = twinroot.connect()
link.sock.write(b"\\xc0\\0")
assert link.sock.read(2) == b"\\xd0\\0"
print("works")
""",
    "smallest_heap_mqtt": """
import twinroot
c = twinroot.mqtt()
c.publish("t", b"x", qos=1)
c.connect(False)
c.publish("t", b"x", qos=1)
print("works")
""",
}


# Live heap, collected first, around whatever in an update holds something: `coming` and `commit`, bytes above `listening`.
WATCH = """
import gc
from twinroot import errors, guard, incoming, jobs, ota, seal, slots, streams
coming = commit = 0
begun = False
def watch(where, name):
    f = getattr(where, name)
    def g(*a):
        global coming, commit, begun
        if name == "_commit":
            begun = True
        gc.collect()
        top = gc.mem_alloc()
        r = f(*a)
        gc.collect()
        top = max(top, gc.mem_alloc()) - listening
        if begun:
            commit = max(commit, top)
        else:
            coming = max(coming, top)
        return r
    setattr(where, name, g)
for where, name in ((ota, "verified"), (ota, "tidy"), (ota.Update, "_feed"), (ota.Update, "_commit"), (incoming, "begun"),
                    (incoming, "known"), (incoming, "copy"), (incoming.File, "need"), (incoming.File, "write"), (seal, "parsed"),
                    (seal, "sha256"), (seal, "whole"), (ota.Topic, "message"), (streams.Stream, "message")):
    watch(where, name)
gc.collect()
listening = gc.mem_alloc()
"""
# Listening for a job with every module of an update loaded.
_UPDATE = f"""
import json, twinroot
c = twinroot.mqtt()
j = twinroot.jobs.Jobs(c)
{WATCH}
while not j.done:
    c.wait_msg()
print(json.dumps([coming, commit]))
"""
_WHOLE_UPDATE = """
import twinroot
ended = []
def listen():
    c = twinroot.mqtt()
    j = twinroot.jobs.Jobs(c, lambda t, m: ended.append(t))
    while not ended and not j.done:
        c.wait_msg()
listen()
twinroot.ota.restart()
listen()
print("works", twinroot.SET)
"""
_CARRIERS = {"topic": topic, "stream": stream}
_LITTLE = 20_000  # bytes that come; no number depends on how many
_MUCH = 500_000
_BLOCKS = 512  # of flash: 2 MB


def updates(folder: Path, interpreter: Path, brief: bool) -> dict[str, int]:
    """Of updates over the air. `brief`: few bytes come, and of the smallest heaps it is only asked whether they are below their limits."""
    out: dict[str, int] = {"heap_commit": 0}
    with Fleet(folder) as fleet:
        jobs = Jobs(fleet)
        jobs.cloud.piece = 2048

        def run(script: str, carrier: str, size: int, heap: str) -> str:
            files = fleet.world.build(2, fleet.ats.address, fleet.legacy.address, change={"extra.mpy": random.Random(7).randbytes(size)})
            jobs.cloud.status.clear()
            jobs.cloud.jobs = {"j1": _CARRIERS[carrier](container(files, 2), jobs.cloud)}
            board = Board(fleet.folder, jobs.tree(), _BLOCKS)
            board.interpreter = interpreter
            return board.run(script, heap=heap, timeout=300).out.strip()

        for name in _CARRIERS:
            coming, commit = json.loads(run(_UPDATE, name, _LITTLE if brief else _MUCH, "2M"))
            out[f"heap_{name}"] = coming
            out["heap_commit"] = max(out["heap_commit"], commit)

            def works(heap: str, name: str = name) -> bool:
                return run(_WHOLE_UPDATE, name, _LITTLE, heap) == "works 2"

            limit = LIMITS[key := f"smallest_heap_{name}"]
            out[key] = (limit if works(f"{limit // 1024}K") else sys.maxsize) if brief else smallest(works, limit, 4)
    return out


def smallest(works: Callable[[str], bool], limit: int, step: int = 2) -> int:
    """Bytes of the smallest heap in which `works("…K")`, a huge number when it does not in 4 KB more than `limit` bytes: steps of `step` KB
    down to the first in which it does not."""
    found = sys.maxsize
    for size in range(limit // 1024 + 4, 15, -step):
        if not works(f"{size}K"):
            break
        found = size * 1024
    return found


def measure(folder: Path, interpreter: Path = MICROPYTHON, brief: bool = False) -> dict[str, int]:
    """All numbers of LIMITS; `brief`: as updates() has it."""
    mpy = {name: len(data) for name, data in sets.compiled().items()}
    out: dict[str, int] = {
        "mpy_core": sum(mpy[n] for n in CORE),
        "mpy_failure": sum(mpy[n] for n in FAILURE),
        "mpy_total": sum(mpy.values()),
    }
    world, broker = World(folder), Broker(echo=False)
    with (
        world.server(ATS, world.ats, broker.behaviour(world.context(ATS, world.ats))) as ats,
        world.server(LEGACY, world.legacy) as legacy,
    ):
        board = world.board(ats, legacy)
        board.interpreter = interpreter
        out |= board.run(_MEASURE).json
        for name, script in _SMALL.items():
            out[name] = smallest(lambda heap, script=script: board.run(script, heap=heap).out.strip() == "works", LIMITS[name])
    return out | updates(folder / "updates", interpreter, brief)


def table(numbers: dict[str, int], other: dict[str, int] | None = None) -> str:
    """For the README; `other`: measured on another interpreter, a column of its own."""
    lines = ["| | bytes | limit |", "| --- | ---: | ---: |"]
    lines += [f"| {MEANING[k]} | {numbers[k]:,} | {LIMITS[k]:,} |" for k in LIMITS]
    if other:
        lines = ["| | bytes | limit | other build |", "| --- | ---: | ---: | ---: |"]
        lines += [f"| {MEANING[k]} | {numbers[k]:,} | {LIMITS[k]:,} | {other[k]:,} |" for k in LIMITS]
    modules = ", ".join(f"{name} {len(data):,}" for name, data in sets.compiled().items())
    return "\n".join([*lines, "", f".mpy by module: {modules}"])


def exceeded(numbers: dict[str, int]) -> list[str]:
    return [f"{MEANING[k]}: {numbers[k]:,} bytes, limit {LIMITS[k]:,}" for k in LIMITS if numbers[k] > LIMITS[k]]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.footprint")
    parser.add_argument("--json", action="store_true", help="the numbers")
    parser.add_argument("--micropython", type=Path, metavar="FILE", help="another unix build of MicroPython, measured beside the usual one")
    asked = parser.parse_args(arguments)
    other: dict[str, int] | None = None
    with tempfile.TemporaryDirectory() as folder:
        numbers = measure(Path(folder, "own"))
        if asked.micropython:
            other = measure(Path(folder, "other"), asked.micropython.resolve())
    print(json.dumps(numbers | ({"other": other} if other else {})) if asked.json else table(numbers, other))
    for sentence in exceeded(numbers):
        print(f"Too large: {sentence}", file=sys.stderr)
    return bool(exceeded(numbers))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
