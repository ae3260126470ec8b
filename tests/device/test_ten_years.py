"""Ten years of a device, on the virtual board with an accelerated clock: real handshakes, with certificates of the day. Every 60 days the
servers renew theirs, under other chains (RSA, ECC, new intermediates, cross-signs); the legacy endpoint is switched off in the third year;
two sets come over the air and exchange roots, the second of which the servers need in the ninth; Wi-Fi goes for seconds or days; the board
restarts all the time. Never unreachable for longer than the outage and five minutes; flash writes within budget; heap flat. A restart
forgets the package and loads it again, here in the same interpreter: what it leaves behind would add up."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from provisioning.ota import signed_set
from tests.device import sets
from tests.device.behaviours import at_once
from tests.device.server import Server, context, echo
from tests.device.test_ota import vendor
from tests.device.virtual import Virtual
from tests.device.world import ATS, LEGACY
from tests.support import pki

BEGIN = dt.datetime(2026, 12, 1, tzinfo=pki.UTC)
EPOCH = 60  # days between renewals
UNTIL = dt.datetime(2060, 1, 1, tzinfo=pki.UTC)
LEGACY_ENDS, FIRST_SET, ROOT_B, SECOND_SET, ROOT_C = (365 * y // EPOCH for y in (3, 4, 5, 8, 9))  # epochs

# 60 days: restarts at random, and what came of each. Time passes where it is waited for; the RTC follows day by day.
LIVE = """
import gc, json, random, sys, utime as _t
from array import array
from machine import RTC
START, RESTARTS, CONTAINER = %d, %d, %r
random.seed(START)
class utime:
    ms = 0
    day = -1
    gmtime = _t.gmtime
    def time():
        return START + utime.ms // 1000 - (946684800 if _t.gmtime(0)[0] == 2000 else 0)
    def ticks_ms():
        return utime.ms & 0x3FFFFFFF
    def ticks_add(a, b):
        return (a + b) & 0x3FFFFFFF
    def ticks_diff(a, b):
        return ((a - b + 0x20000000) & 0x3FFFFFFF) - 0x20000000
    def sleep_ms(n):
        utime.ms += n
    def clock():
        d = (START + utime.ms // 1000) // 86400
        if d != utime.day:
            utime.day = d
            t = _t.gmtime(utime.time())
            RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
sys.modules["utime"] = utime
class umachine:
    cause = 1
    def reset_cause():
        return umachine.cause
sys.modules["umachine"] = umachine
outage = [0, 0]  # from, to (ms)
def boot():
    for name in list(sys.modules):
        if name.startswith("twinroot"):
            sys.modules.pop(name, None)
    t = __import__("twinroot")
    t.core
    real, put = t.tlslink.open, t.sets.replace
    def open_(route, *rest):
        utime.clock()
        try:
            if outage[0] <= utime.ms < outage[1]:
                raise t.errors.make("network", OSError(-202), route["name"])
            k = real(route, *rest)
            utime.ms += 1500
            return k
        except OSError as e:
            utime.ms += 40000 if e.kind == "network" else 2000
            raise e
    t.tlslink.open = open_
    def replace(name, text):
        d = (START + utime.ms // 1000) // 86400
        if d != writes[1]:
            writes[1], writes[0] = d, 0
        writes[0] += 1
        writes[2] = max(writes[2], writes[0])
        put(name, text)
    t.sets.replace = replace
    return t
writes, worst, routes, passes = [0, 0, 0], 0, {}, 0  # writes: of the day, the day, most of a day
def connect(t):
    global worst, passes
    begun = utime.ms
    while True:
        passes += 1
        try:
            k = t.connect()
            break
        except OSError as e:
            assert e.kind in ("network", "trust"), (e, t.SET)
    # Outages that end within the gap are taken off it.
    gap = utime.ms - max(begun, min(outage[1], utime.ms))
    worst = max(worst, gap)
    routes[k.route + " " + k.root] = routes.get(k.route + " " + k.root, 0) + 1
    return k
heap, failed = array("I", bytes(4 * RESTARTS)), bytearray(RESTARTS)
share = %d * 86400000 // RESTARTS
for i in range(RESTARTS):
    umachine.cause = (1, 2, 3, 4, 5)[i %% 5]
    end = (i + 1) * share
    if random.getrandbits(2) == 0:
        outage[0] = utime.ms + random.randint(0, 2000)
        outage[1] = outage[0] + (1 << random.randint(10, 28)) %% share
    t = boot()
    if CONTAINER and i == RESTARTS // 2:
        connect(t).close()
        outage[1] = 0
        u = t.ota.Update()
        with open(CONTAINER, "rb") as f:
            while not u.done:
                u.feed(f.read(4096))
        u = None
        t.ota.restart()
        t = boot()
    k = connect(t)
    for n in range(random.getrandbits(2)):  # the session is lost, some hours later
        utime.ms += random.randint(1, 7200000)
        k.wire.dead = True
        k = connect(t)
    k.sock.write(b"x")
    assert k.sock.read(1) == b"x"
    k.close()
    version = t.SET, t.sets.read(t.SET)["version"], t.health()["proven"]
    k = t = None
    failed[i] = "twinroot.failing" in sys.modules  # it holds the modules that failures load, too
    gc.collect()
    heap[i] = gc.mem_alloc()
    utime.ms = max(utime.ms, end)
heap = [[h for h, f in zip(heap, failed) if f == k] for k in (0, 1)]
print(json.dumps({"worst": worst, "routes": routes, "set": version, "heap": heap, "writes": writes[2], "passes": passes}))
"""


class Cloud:
    """Servers of both endpoints with the certificates of an epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.a, self.b, self.c = (pki.root(f"Root {x}", end=UNTIL) for x in "ABC")
        self.old = pki.root("Old Root", "rsa", end=UNTIL)
        self.devices = pki.root("Device CA", end=UNTIL)
        self.device = pki.make(pki.name("t-1"), self.devices, end=UNTIL)
        self.ats, self.legacy = Server(at_once), Server(at_once)

    def chain(self, host: str, root: pki.Cert, epoch: int) -> list[pki.Cert]:
        """Leaf of the day under one of five chains in turn."""
        start = BEGIN + dt.timedelta(days=epoch * EPOCH - 2)
        own: dict[str, Any] = {"start": start, "end": start + dt.timedelta(days=EPOCH + 30), "label": f"leaf {epoch % 5}"}
        kind = ("ec", "rsa")[epoch % 2]
        if epoch % 5 < 2:
            return [pki.server(host, root, kind=kind, **own)]
        middle = pki.make(pki.name(f"CA {epoch}"), root, ca=True, kind=kind, label=f"middle {epoch % 5}", start=start, end=UNTIL)
        if epoch % 5 == 2:
            return [pki.server(host, middle, kind=kind, **own), middle]
        if epoch % 5 == 3:
            second = pki.make(pki.name(f"CA {epoch} 2"), middle, ca=True, label="second", start=start, end=UNTIL)
            return [pki.server(host, second, kind=kind, **own), second, middle]
        new = pki.root(f"New Root {epoch}", end=UNTIL)  # known to nobody yet, and signed by the one that is
        bridge = pki.make(new.certificate.subject, root, ca=True, label=new.certificate.subject.rfc4514_string(), start=start, end=UNTIL)
        return [pki.server(host, new, **own), bridge]

    def renew(self, epoch: int) -> None:
        root = self.a if epoch < ROOT_B else self.b if epoch < ROOT_C else self.c
        self.ats.behaviour = echo(context(self.folder / f"ats-{epoch}", self.chain(ATS, root, epoch), self.devices))
        if epoch < LEGACY_ENDS:
            self.legacy.behaviour = echo(context(self.folder / f"legacy-{epoch}", self.chain(LEGACY, self.old, epoch), self.devices))
        else:
            self.legacy.behaviour = at_once

    def build(self, number: int, roots: dict[str, pki.Cert], legacy: bool) -> dict[str, bytes]:
        routes = [{**sets.route("legacy", LEGACY, ["Old"]), "standing": 0}] if legacy else []
        routes.append({**sets.route("ats", ATS, [n for n in roots if n != "Old"]), "standing": 2})
        lab = {"resolve": {f"{ATS}:8883": self.ats.address, f"{LEGACY}:8883": self.legacy.address}}
        return sets.build(number, routes, roots, self.device, lab=lab, vendor=signed_set.public_numbers(vendor().public))

    def container(self, built: dict[str, bytes], number: int) -> bytes:
        base = f"/trust/{number}/"
        info = json.loads(built[f"{base}set.json"])
        files = {n: built[n if n.startswith("/") else base + n] for n in info["files"]}
        text, contents = signed_set.manifest(info, files, expires=int(UNTIL.timestamp()))
        return signed_set.sign(text, contents, vendor(), signed_set.public_numbers(vendor().public))


def ten_years(tmp_path: Path, board: Any, epochs: list[int], restarts: int) -> list[dict[str, Any]]:
    cloud = Cloud(tmp_path)
    one = cloud.build(1, {"Old": cloud.old, "A": cloud.a}, legacy=True)
    two = cloud.build(2, {"A": cloud.a, "B": cloud.b}, legacy=False)
    three = cloud.build(3, {"B": cloud.b, "C": cloud.c}, legacy=False)
    device = Virtual(board)
    device.put(sets.board(1, one) | {"/first": cloud.container(two, 2), "/second": cloud.container(three, 3)})
    found = []
    with cloud.ats, cloud.legacy:
        for epoch in epochs:
            cloud.renew(epoch)
            start = int((BEGIN + dt.timedelta(days=epoch * EPOCH)).timestamp())
            name = {FIRST_SET: "/first", SECOND_SET: "/second"}.get(epoch, "")
            lines = device.lines(LIVE % (start, restarts, name, EPOCH), 600)
            assert lines[-1].startswith("{"), "\n".join([f"epoch {epoch}", *lines[-15:]])
            found.append(json.loads(lines[-1]) | {"epoch": epoch})
            seen = {"heap": [[min(heap), max(heap), len(heap)] for heap in found[-1]["heap"] if heap]}
            print(found[-1] | seen, flush=True)
    return found


def growth(heap: list[int]) -> int:
    """Bytes by which the least that is in use after a restart rises from the second third of an epoch to the last."""
    third = len(heap) // 3
    return min(heap[2 * third :]) - min(heap[third : 2 * third]) if third >= 8 else 0


def flat(heaps: list[list[int]]) -> bool:
    """Bytes in use after each restart do not grow: 20 of them a restart would be seen in 330. The first fill what stays for good, names and
    the library's buffers. A restart that needed no module of a failure has some 7 KB less in use than the others, and a third of an epoch
    may hold none of these: so half of the epochs decide, in which it is otherwise."""
    return median(map(growth, heaps)) < 2048 and all(max(heap) - min(heap) < 20_000 for heap in heaps)


def test_a_heap_that_grows_is_seen() -> None:
    steady = [75_000 + n % 7 * 900 for n in range(330)]
    assert flat([steady] * 7) and flat([*[steady] * 6, [70_000] * 220 + [77_000] * 110])
    assert not flat([[used + 20 * n for n, used in enumerate(steady)]] * 7)


def judge(found: list[dict[str, Any]]) -> None:
    heaps = [row.pop("heap") for row in found]
    for kind in (0, 1):
        assert flat([of[kind] for of in heaps if of[kind]]), [of[kind] for of in heaps]
    for row in found:
        assert row["worst"] <= 300_000, f"unreachable for {row['worst']} ms beyond the outage"
        assert row["writes"] <= 48 + 8, "what a day may write, and the steps of a new set"
        number = 1 if row["epoch"] < FIRST_SET else 2 if row["epoch"] < SECOND_SET else 3
        assert row["set"] == [number] * 3
    routes = {row["epoch"]: set(row["routes"]) for row in found}
    # Wi-Fi that comes back between two attempts of a pass leads upward, too: for an hour.
    assert all("legacy Old" in r and r <= {"legacy Old", "ats A"} for e, r in routes.items() if e < LEGACY_ENDS)
    assert all(r == {"ats A"} for e, r in routes.items() if LEGACY_ENDS < e < ROOT_B)
    assert all(r == {"ats B"} for e, r in routes.items() if ROOT_B <= e < ROOT_C)
    assert all(r == {"ats C"} for e, r in routes.items() if e >= ROOT_C)


def test_the_turning_points(tmp_path: Path, make_virtual_board: Callable[..., Any]) -> None:
    board = make_virtual_board(paced=False, clock="host", flash_timing="none")
    epochs = [0, 2, LEGACY_ENDS, LEGACY_ENDS + 1, FIRST_SET, ROOT_B, SECOND_SET, ROOT_C, 60]
    judge(ten_years(tmp_path, board, epochs, 8))


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_every_day(tmp_path: Path, make_virtual_board: Callable[..., Any]) -> None:
    """61 renewals, 20,130 restarts."""
    judge(ten_years(tmp_path, make_virtual_board(paced=False, clock="host", flash_timing="none"), list(range(61)), 330))
