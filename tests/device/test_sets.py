"""Slots: what the loader chooses, the trial of a new set, the step back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.device import sets
from tests.device.behaviours import at_once, sequence
from tests.device.jail import Board
from tests.device.server import Server, echo
from tests.device.world import ATS, LEGACY, World
from tests.support import pki

# Time that a script can move, for every package that it loads: utime.skew, seconds; nothing sleeps.
TIME = """
import sys, utime as _t
class utime:
    skew = 0
    gmtime, ticks_ms, ticks_add, ticks_diff = _t.gmtime, _t.ticks_ms, _t.ticks_add, _t.ticks_diff
    def time():
        return _t.time() + utime.skew
    def sleep_ms(ms):
        pass
sys.modules["utime"] = utime
"""
MARK_2 = {"/trust/2/proven": b""}  # what a set without a hash in its set.json is marked with when it has connected
PROVEN_1 = {"/trust/health.json": b'{"v":1,"proven":1,"last":"ats","since":0,"routes":{},"roots":{}}'}

_TRY = """
import json, sys, twinroot
twinroot.core.CONFIRM_MS = 0
out = []
for i in range(%d):
    try:
        link = twinroot.connect(timeout=5, wait=False)
        out.append(["ok", link.route, link.root, twinroot.SET])
        link.close()
    except OSError as e:
        out.append([e.kind, e.route, str(e), twinroot.SET])
    utime.skew += %d
inner = [twinroot.core.policy, twinroot.core.stats, twinroot.core.tlslink]
inner += [m for n, m in sys.modules.items() if n.startswith("twinroot.")]
homes = list(set(m.__file__.rsplit("/", 1)[0] for m in inner))
print(json.dumps({"homes": homes, "out": out, "active": twinroot.slots.active(), "path": twinroot.__path__, "health": twinroot.health()}))
"""

# % passes, an hour and more apart.
HOURLY = TIME + _TRY.replace("for i in range(%d)", "for i in range(%%d)") % 3700
TRY = TIME + _TRY.replace("for i in range(%d)", "for i in range(%%d)") % 0


def bad_set(world: World, number: int, ats: Server, legacy: Server, **more: Any) -> dict[str, bytes]:
    """A set whose roots anchor neither route."""
    stranger = World(world.folder / "stranger")
    stranger.ats = stranger.legacy = pki.root("Stranger", world.kind)
    stranger.device = world.device
    return stranger.build(number, ats.address, legacy.address, **more)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_new_set_that_never_connects_is_rolled_back_after_hours(world: World) -> None:
    """The board is online by the set before in the first pass, with that set's code; the new one is given up in the fifth comparison."""
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        old = world.build(1, ats.address, legacy.address)
        new = bad_set(world, 2, ats, legacy, change={"extra.mpy": sets.compiled()["core"]})
        board = Board(world.folder / "board", sets.board(2, old, new) | PROVEN_1)
        package = json.loads(old["/trust/1/set.json"])["package"]
        d = board.run(HOURLY % 4).json
        assert [(o[0], o[3]) for o in d["out"]] == [("ok", 1)] * 4
        assert (d["active"], d["health"]["trial"][:2], d["health"]["proven"]) == (2, [2, 3], 1), "it has lost hours, not yet the case"
        assert d["path"].endswith(package), "the package went back with the set"
        assert d["homes"] == [d["path"]], "nothing of the other package is in use"
        d = board.run(HOURLY.replace("skew = 0", "skew = 5 * 3700") % 1).json
        assert [(o[0], o[3]) for o in d["out"]] == [("ok", 1)]
        assert (d["active"], "trial" in d["health"]) == (1, False)
        assert board.tree()["/trust/active"] == b"1"
        assert guarded(board) == {"refused": 2, "retired": []}


def test_minutes_are_no_comparison(world: World) -> None:
    """Passes, and restarts, in a short time count once: a portal, a cloud that is changed a little later."""
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        old, new = world.build(1, ats.address, legacy.address), bad_set(world, 2, ats, legacy)
        board = Board(world.folder / "board", sets.board(2, old, new) | PROVEN_1)
        for _ in range(3):
            d = board.run(TRY % 3).json
            assert [(o[0], o[3]) for o in d["out"]] == [("ok", 1)] * 3
            assert (d["active"], d["health"]["trial"][:2]) == (2, [2, 0])
        assert board.run("import twinroot; print(twinroot.guard.read()['refused'])").out.strip() == "0"


def test_a_set_on_trial_that_connects_later_is_proven(world: World) -> None:
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        old = world.build(1, ats.address, legacy.address)
        stranger = World(world.folder / "stranger")
        stranger.devices, stranger.device = world.devices, world.device
        stranger.ats, stranger.legacy = pki.root("Next ATS Root"), pki.root("Next Legacy Root")
        new = stranger.build(2, ats.address, legacy.address)
        board = Board(world.folder / "board", sets.board(2, old, new) | PROVEN_1)
        assert [o[3] for o in board.run(HOURLY % 3).json["out"]] == [1, 1, 1]
        ats.behaviour = echo(stranger.context(ATS, stranger.ats))
        d = board.run(HOURLY % 1).json
        assert (d["out"][0][3], d["active"], d["health"]["proven"], "trial" in d["health"]) == (2, 2, 2, False)


def test_when_the_stand_in_fails_the_set_on_trial_is_tried_at_once(world: World) -> None:
    """The cloud changes its roots between two passes of one start."""
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        old = world.build(1, ats.address, legacy.address)
        stranger = World(world.folder / "stranger")
        stranger.devices, stranger.device = world.devices, world.device
        stranger.ats, stranger.legacy = pki.root("Next ATS Root"), pki.root("Next Legacy Root")
        new = stranger.build(2, ats.address, legacy.address)
        board = Board(world.folder / "board", sets.board(2, old, new) | PROVEN_1)
        first, second = echo(world.context(ATS, world.ats)), echo(stranger.context(ATS, stranger.ats))
        legacy.behaviour = at_once
        # Two handshakes with the new set's roots, one with the old one's: then the server has the new root.
        ats.behaviour = sequence(first, first, first, second)
        d = board.run(TRY % 2).json
        assert [(o[0], o[3]) for o in d["out"]] == [("ok", 1), ("ok", 2)], d["out"]


def guarded(board: Board) -> Any:
    """What the board keeps apart from its counters."""
    texts = [board.tree()[f"/trust/guard.{i}"] for i in (0, 1)]
    assert texts[0] == texts[1]
    assert hashlib.sha256(texts[0][16:]).hexdigest()[:16].encode() == texts[0][:16]
    return json.loads(texts[0][16:])


def test_network_and_clock_errors_are_no_failed_trial(world: World) -> None:
    with world.server(ATS, world.ats, lambda c: None) as ats, world.server(LEGACY, world.legacy) as legacy:
        old, new = world.build(1, ats.address, legacy.address), bad_set(world, 2, ats, legacy)
        board = Board(world.folder / "board", sets.board(2, old, new) | PROVEN_1)
        d = board.run(TRY % 6).json
        assert [(o[0], o[3]) for o in d["out"]] == [("network", 2)] * 6
        assert d["active"] == 2
        late = bad_set(world, 2, ats, legacy, time={"servers": [], "floor": 4_000_000_000})
        board.put(late)
        d = board.run(TRY % 6).json
        assert [(o[0], o[3]) for o in d["out"]] == [("clock", 2)] * 6
        assert d["active"] == 2


def test_a_proven_set_is_never_rolled_back(world: World) -> None:
    with world.server(ATS, world.legacy) as ats, world.server(LEGACY, world.ats) as legacy:
        old = world.build(1, ats.address, legacy.address)
        new = world.build(2, ats.address, legacy.address)
        proven = {"/trust/health.json": PROVEN_1["/trust/health.json"].replace(b'"proven":1', b'"proven":2')}
        board = Board(world.folder / "board", sets.board(2, old, new) | proven | MARK_2)
        d = board.run(TRY % 5).json
        assert [(o[0], o[3]) for o in d["out"]] == [("trust", 2)] * 5


def test_the_first_set_has_nothing_to_go_back_to(world: World) -> None:
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        board = Board(world.folder / "board", sets.board(1, bad_set(world, 1, ats, legacy)))
        d = board.run(TRY % 5).json
        assert [(o[0], o[3]) for o in d["out"]] == [("trust", 1)] * 5


BREAK: dict[str, dict[str, bytes | None]] = {
    "active is empty": {"/trust/active": b""},
    "active is garbage": {"/trust/active": b"\xff\x00"},
    "active names no set": {"/trust/active": b"7"},
    "active is missing": {"/trust/active": None},
    "set.json is empty": {"/trust/2/set.json": b""},
    "set.json is cut": {"/trust/2/set.json": b'{"board":"x","pack'},
    "set.json is a list": {"/trust/2/set.json": b"[]"},
    "package is missing": {"/trust/2/set.json": b'{"package":"000000000000","routes":[]}'},
}


@pytest.mark.parametrize("what", BREAK)
def test_the_loader_finds_a_whole_set(world: World, what: str) -> None:
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        tree = sets.board(2, world.build(1, ats.address, legacy.address), world.build(2, ats.address, legacy.address))
        for path, data in BREAK[what].items():
            tree.pop(path)
            if data is not None:
                tree[path] = data
        board = Board(world.folder / "board", tree)
        d = board.run(TRY % 1).json
        assert d["out"][0][0] == "ok", d
        report = board.run("import json, twinroot; print(json.dumps(twinroot.selftest()))").json
        assert not report["ok"]
        assert report["error"], "the board says that it does not run what was committed"


def package_path(files: dict[str, bytes]) -> str:
    return next(path for path in files if path.startswith("/lib/twinroot/"))


def damaged(module: str) -> Callable[[bytes], bytes]:
    """One bit of that module is another."""

    def change(content: bytes) -> bytes:
        at = content.find(sets.compiled()[module])
        assert at > 0
        return content[: at + 99] + bytes([content[at + 99] ^ 1]) + content[at + 100 :]

    return change


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut in the index": lambda content: content[:100],
    "cut in a module": lambda content: content[: len(content) // 5],
    "garbage": lambda content: b"M\x01\x00\x1f" * 9,
    "index": lambda content: content[:30] + bytes([content[30] ^ 1]) + content[31:],
    "core": damaged("core"),
    "a module that core needs": damaged("policy"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_broken_package_does_not_brick(world: World, what: str) -> None:
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        old = world.build(1, ats.address, legacy.address)
        new = world.build(2, ats.address, legacy.address, change={"extra.mpy": b"x"})
        path = package_path(new)
        board = Board(world.folder / "board", sets.board(2, old, new | {path: DAMAGE[what](new[path])}))
        d = board.run(TRY % 1).json
        assert (d["out"][0][0], d["out"][0][3]) == ("ok", 1), d
        assert d["path"] == package_path(old)


def test_a_module_that_does_not_compile_does_not_brick(world: World) -> None:
    """What was committed is what is there, and it is of no use."""
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        old = world.build(1, ats.address, legacy.address)
        for content in (b"", b"garbage", b"M\x01\x00\x1f"):
            new = world.build(2, ats.address, legacy.address, change={"core.mpy": content, "extra.mpy": b"x"})
            board = Board(world.folder / "board", sets.board(2, old, new))
            d = board.run(TRY % 1).json
            assert (d["out"][0][0], d["out"][0][3]) == ("ok", 1), d


LATE = """
import json, twinroot
out = []
for i in range(2):
    try:
        twinroot.connect(timeout=5, wait=False).close()
        out.append(["ok", twinroot.SET])
    except OSError as e:
        out.append([e.args, twinroot.SET])
print(json.dumps(out))
"""


def test_damage_that_shows_late_leads_to_the_set_before(world: World) -> None:
    """A module that only a failure needs is proven when the failure comes: the same call connects by the set before."""
    with world.server(ATS, world.legacy) as ats, world.server(LEGACY, world.legacy) as legacy:
        old = world.build(1, ats.address, legacy.address, policy={"return": 1})
        new = world.build(2, ats.address, legacy.address, change={"extra.mpy": b"x"})
        path = package_path(new)
        board = Board(world.folder / "board", sets.board(2, old, new | {path: damaged("classify")(new[path])}))
        assert board.run(LATE).json == [["ok", 1]] * 2


@pytest.mark.parametrize("written", [b"", b"garbage", b"M\x01\x00\x1f", sets.compiled()["core"][:200]])
def test_a_broken_folder_of_an_earlier_release_does_not_brick(world: World, written: bytes) -> None:
    """MicroPython reads the end of a file that is cut short for ever: it is proven before it is imported."""
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        old = world.build(1, ats.address, legacy.address, package=sets.folder_package)
        new = world.build(2, ats.address, legacy.address, package=sets.folder_package, change={"extra.mpy": b"x"})
        path = next(p for p in new if p.endswith("/core.mpy"))
        board = Board(world.folder / "board", sets.board(2, old, new | {path: written}))
        d = board.run(TRY % 1).json
        assert (d["out"][0][0], d["out"][0][3]) == ("ok", 1), d


def test_sets_of_an_earlier_release_and_of_this_one_go_back_and_forth(world: World) -> None:
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        old = world.build(1, ats.address, legacy.address, package=sets.folder_package)
        new = world.build(2, ats.address, legacy.address)
        board = Board(world.folder / "board", sets.board(2, old, new))
        for active in (2, 1, 2):
            board.put({"/trust/active": str(active).encode()})
            d = board.run(TRY % 1).json
            assert (d["out"][0][0], d["out"][0][3]) == ("ok", active), d
            assert d["homes"] == [d["path"]]
            report = board.run("import json, twinroot; print(json.dumps(twinroot.selftest()))").json
            assert report["ok"], report


def test_no_set_at_all_says_what_to_do(world: World) -> None:
    board = Board(world.folder / "board", sets.loader())
    done = board.run("import twinroot\ntwinroot.connect()")
    assert "no usable set" in done.out
    assert "twinroot update" in done.out


def test_frozen_or_flat_package_is_the_last_resort(world: World) -> None:
    """Modules beside the loader, as in frozen firmware."""
    flat = {f"/lib/twinroot/{m}.mpy": data for m, data in sets.compiled().items()}
    board = Board(world.folder / "board", flat)
    d = board.run("import json, twinroot; print(json.dumps(twinroot.selftest()))").json
    assert not d["ok"]
    assert d["set"] == 0
