"""What does not come over the air: contents that are on the board already, and what an interrupted attempt has left
(firmware/twinroot/incoming.py)."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.device.jail import Board
from tests.device.test_application import Bench
from tests.device.test_ota import FEED, Fleet, container

# Chunks are asked for; what is printed: [bytes that came, offsets that were asked for, whether it is done, the active set].
ASK = """
import json, twinroot
from twinroot import ota
with open("/update", "rb") as f:
    data = f.read()
u = ota.Update(2)
t = ota.Topic(u, "updates")
u.resume()
came, asked = 0, []
while not u.done and came < %d:
    i = t.wanted
    asked.append(i)
    came += len(data[i : i + 512])
    t.message(b"%%d:" %% i + data[i : i + 512])
print(json.dumps([came, asked, u.done, twinroot.slots.active()]))
"""
ALL = ASK % 10**9
CRUMB = 512  # bytes of a chunk


def ask(board: Board, script: str = ALL) -> Any:
    return board.run(script).json


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def head(data: bytes) -> int:
    """Bytes of a container's head."""
    start = 13 + int.from_bytes(data[7:9], "big")
    return start + int.from_bytes(data[start - 4 : start], "big")


def made(fleet: Fleet, change: dict[str, bytes | None] | None = None, **more: Any) -> Bench:
    return Bench(fleet, None, None, change=change, **more)


def test_what_is_on_the_board_does_not_come(fleet: Fleet) -> None:
    bench = made(fleet)
    came, _, done, active = ask(bench.board)
    assert (done, active) == (True, 2)
    assert came <= head(bench.container) + CRUMB


def test_of_a_package_only_the_modules_come_that_are_others(fleet: Fleet) -> None:
    new = noise(3000)
    bench = made(fleet, {"telemetry.mpy": new})
    came, _, done, active = ask(bench.board)
    assert (done, active) == (True, 2)
    assert 3000 < came < head(bench.container) + 1000 + 3000 + 3 * CRUMB < len(bench.container) / 3, came
    assert bench.board.run("import json, twinroot; print(json.dumps(twinroot.selftest()))").json["ok"]


def test_a_root_under_another_name_does_not_come(fleet: Fleet) -> None:
    tree = fleet.world.build(2, fleet.ats.address, fleet.legacy.address)
    info = json.loads(tree["/trust/2/set.json"])
    info["files"]["Renamed.pem"] = info["files"].pop("Ats.pem")
    info["routes"][0]["roots"] = ["Renamed"]
    tree["/trust/2/Renamed.pem"] = tree.pop("/trust/2/Ats.pem")
    bench = made(fleet)
    data = container(tree, 2, info=info)
    bench.board.put({"/update": data})
    came, _, done, _ = ask(bench.board)
    assert done and came <= head(data) + CRUMB
    assert bench.board.tree()["/trust/2/Renamed.pem"] == fleet.world.ats.pem


def test_a_file_that_is_not_what_its_set_says_comes(fleet: Fleet) -> None:
    """Of the set before, which stays: its root is damaged, and both sets have it."""
    bench = made(fleet)
    bench.board.put({"/trust/1/Ats.pem": b"damaged"})
    came, _, done, _ = ask(bench.board)
    assert done and came > head(bench.container)
    assert bench.board.tree()["/trust/2/Ats.pem"] == fleet.world.ats.pem


def test_a_module_that_is_not_what_its_index_says_comes(fleet: Fleet) -> None:
    bench = made(fleet, {"telemetry.mpy": noise(3000)})
    tree = bench.board.tree()
    path = next(path for path in tree if path.startswith("/lib/twinroot/") and "." not in path)
    bench.board.put({path: tree[path][:-9] + b"x" + tree[path][-8:]})  # its last module, which nothing here loads
    assert ask(bench.board)[2]
    assert bench.board.run("import json, twinroot; print(json.dumps(twinroot.selftest()))").json["bad"] == []


BIG = 60_000


@pytest.mark.parametrize("stop", [300, 2000, 9000, 40_000])
def test_over_a_reset_it_goes_on_where_it_stopped(fleet: Fleet, stop: int) -> None:
    """What may have to come again is what littlefs had not filled a block with."""
    bench = made(fleet, {"extra.mpy": noise(BIG)})
    first = ask(bench.board, ASK % stop)
    came, asked, done, active = ask(bench.board)
    assert (done, active) == (True, 2)
    assert first[1][-1] + CRUMB - asked[0] <= 4096 + CRUMB or stop < head(bench.container)
    assert first[0] + came < head(bench.container) + BIG + 1000 + 4096 + 4 * CRUMB
    assert not [path for path in bench.board.tree() if path.endswith((".new", "/runner"))]


def test_after_a_lost_connection_it_goes_on_with_the_very_byte(fleet: Fleet) -> None:
    bench = made(fleet, {"extra.mpy": noise(BIG)})
    twice = (ASK % 20_000).replace("print(", "first = (") + ASK % 10_000 + "print(json.dumps([first, asked[0]]))\n"
    first, second = ask(bench.board, twice.replace("json.dumps([came", "([came"))
    assert second == json.loads(json.dumps(first))[1][-1] + CRUMB


def test_power_cuts_while_it_comes(fleet: Fleet) -> None:
    """Each attempt gets a little further: after many cuts it is there, and no more was written than that takes."""
    bench = made(fleet, {"extra.mpy": noise(BIG)})
    attempt = 0
    while attempt < 40:
        attempt += 1
        out = bench.board.run(ALL, cut=100)  # a block of 4 KB takes 33
        if not out.code:
            break
    assert out.json[2:] == [True, 2] and 3 < attempt < 25, attempt


OPERATIONS = """
flash.ops = 0
%s
print(json.dumps([came, flash.ops]))
"""


def test_flash_is_written_once(fleet: Fleet) -> None:
    """Programs and erases of a file that comes in 512 bytes at a time, beside those of one that comes in one piece."""
    bench = made(fleet, {"extra.mpy": noise(BIG)})
    image = bench.board.image.read_bytes()
    came, by_crumbs = ask(bench.board, OPERATIONS % ALL)
    bench.board.image.write_bytes(image)
    _, at_once = ask(bench.board, OPERATIONS % ALL.replace("512", "100000"))
    print(came, by_crumbs, at_once)
    assert by_crumbs < at_once * 1.1 + 20


@pytest.mark.parametrize("damage", ["other", "longer", "empty", "head"])
def test_leftovers_that_are_damaged_do_not_stay(fleet: Fleet, damage: str) -> None:
    bench = made(fleet, {"extra.mpy": noise(BIG)})
    ask(bench.board, ASK % 30_000)
    tree = bench.board.tree()
    path = next(p for p in tree if p.endswith(".new") and p.startswith("/lib"))
    content = tree[path]
    changed = {
        "other": {path: content[:100] + bytes([content[100] ^ 1]) + content[101:]},
        "longer": {path: content + noise(BIG)},
        "empty": {path: b""},
        "head": {"/trust/2/head.new": tree["/trust/2/head.new"][:-9]},
    }[damage]
    bench.board.put(changed)
    assert ask(bench.board)[2:] == [True, 2]
    assert not [p for p in bench.board.tree() if p.endswith(".new")]


def test_leftovers_of_another_version_are_tidied(fleet: Fleet) -> None:
    bench = made(fleet, {"extra.mpy": noise(BIG)})
    ask(bench.board, ASK % 30_000)
    assert [p for p in bench.board.tree() if p.endswith(".new")]
    data = container(bench.set(2, change={"extra.mpy": noise(9000, 2)}), 2, info={"version": 3})
    bench.board.put({"/update": data})
    assert bench.board.run(FEED % 4096).json == ["done", 2, 2]
    tree = bench.board.tree()
    assert not [p for p in tree if p.endswith(".new")]
    assert json.loads(tree["/trust/2/set.json"])["version"] == 3
    assert len([p for p in tree if p.startswith("/lib/twinroot/") and "." not in p]) == 2


def test_all_of_it_may_come_again(fleet: Fleet) -> None:
    """A carrier that cannot leap: what is there is passed over."""
    bench = made(fleet, {"extra.mpy": noise(BIG)})
    ask(bench.board, ASK % 30_000)
    assert bench.board.run(FEED % 1000).json == ["done", 2, 2]


def test_the_same_version_signed_anew_goes_on(fleet: Fleet) -> None:
    """The first one had expired meanwhile: its head is of no use, and nothing of it stays."""
    bench = made(fleet, {"extra.mpy": noise(BIG)})
    ask(bench.board, ASK % 30_000)
    bench.board.put({"/update": container(bench.set(2, change={"extra.mpy": noise(BIG, 2)}), 2)})
    assert ask(bench.board)[2:] == [True, 2]
    assert bench.board.run("import json, twinroot; print(json.dumps(twinroot.selftest()))").json["bad"] == []


def test_what_does_not_fit_is_refused_at_once(fleet: Fleet) -> None:
    bench = made(fleet, {"extra.mpy": noise(230_000)})
    reason, _, active = bench.board.run(FEED.replace("%d", "512").replace("u.feed(d)", "u.feed(d); n = u.number")).json
    assert "flash full" in reason and active == 1
