"""Firmware over the air on the virtual board: a real MicroPython, two slots, the boot loader's rollback, real TLS."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.chips import CHIPS
from provisioning.ota import signed_set
from provisioning.virtual import boot_image
from provisioning.virtual.client import VirtualBoard
from tests.device import sets
from tests.device.aws_jobs import Cloud
from tests.device.slots import BOARD, SLOT, SLOT_BYTES, Brought, Slots, application, firmware, update
from tests.device.test_ota import container, vendor
from tests.device.test_sets import PROVEN_1, bad_set
from tests.device.world import ATS, LEGACY, World


class Bench:
    """The board has set 1 in use, proven, and a signed set with firmware in its files."""

    def __init__(self, folder: Path, board: VirtualBoard) -> None:
        self.world = World(folder)
        self.ats = self.world.server(ATS, self.world.ats)
        self.legacy = self.world.server(LEGACY, self.world.legacy)
        self.one = self.set(1) | PROVEN_1
        self.device = Slots(board)

    def set(self, number: int, **more: Any) -> dict[str, bytes]:
        """A set that connects."""
        public = signed_set.public_numbers(vendor().public)
        return self.world.build(number, self.ats.address, self.legacy.address, vendor=public, **more)

    def fresh(self, image: bytes | None, one: dict[str, bytes] | None = None, two: dict[str, bytes] | None = None, **more: Any) -> None:
        """Flash as at the start of a test: set 1, a first slot alone, and set 2 with `image` to come."""
        self.device.fresh(one or self.one, update(two or self.set(2), image), **more)

    def close(self) -> None:
        self.ats.close()
        self.legacy.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with VirtualBoard(board=BOARD, paced=False, clock="host") as board:
        made = Bench(tmp_path_factory.mktemp("bench"), board)
        board.power_off()
        board.snapshot("clean")
        yield made
        made.close()


@pytest.fixture
def bench(shared: Bench) -> Iterator[Bench]:
    """One board, whose whole flash each test begins anew; what the servers do, too."""
    shared.device.board.power_off()
    shared.device.board.restore("clean")
    behaviour = shared.ats.behaviour
    yield shared
    shared.ats.behaviour = behaviour


def test_firmware_and_set_prove_themselves_in_one_handshake(bench: Bench) -> None:
    image = firmware()
    bench.fresh(image)
    told = bench.device.story()
    assert told == [["up", 1, "ota_0", ""], ["at", 1, "ota_0", "", 0], ["up", 2, "ota_1", "v2"], ["end", 2, "ota_1", "v2", 0]]
    assert bench.device.entries() == ["valid", "valid"]
    assert bench.device.board.read_flash(SLOT["ota_1"], len(image)) == image
    assert bench.device.story() == told[2:], "and stay"


@pytest.mark.parametrize("project", ["panic", "hang"])
def test_firmware_that_does_not_start_is_tried_and_goes_with_its_set(bench: Bench, project: str) -> None:
    bench.fresh(firmware(project=project))
    before = bench.device.board.log()
    told = bench.device.story()
    assert told[2:] == [["up", 1, "ota_0", ""], ["end", 1, "ota_0", "", 2]], "its version is refused"
    said = bench.device.board.log().rpartition(before[-2000:])[2]
    assert said.count("Guru" if project == "panic" else "RTCWDT_RTC_RESET") == 4
    assert bench.device.files()["/trust/active"] == b"1"
    assert bench.device.story() == told[2:]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (firmware() + bytes(SLOT_BYTES), "firmware of 1581392 bytes, and ota_1 has 1572864"),
        (firmware(chip="esp32c3"), "no firmware for this chip"),
        (b"not an image" * 500, "no firmware for this chip"),
    ],
    ids=["too large", "other chip", "no image"],
)
def test_what_cannot_run_is_refused_before_anything_is_written(bench: Bench, image: bytes, said: str) -> None:
    bench.fresh(image)
    told = bench.device.story()
    assert told[-1][4] == "set"
    assert said in told[-1][5]
    assert bench.device.board.read_flash(SLOT["ota_1"], 4096) == b"\xff" * 4096
    assert not [path for path in bench.device.files() if path == "/trust/image" or path.startswith("/trust/2")]
    assert bench.device.entries() == ["valid", "blank"]


def test_a_board_with_one_slot_refuses(tmp_path: Path, make_virtual_board: Callable[..., Any]) -> None:
    script = "from twinroot import image\ntry: image.Writer(10, 'x')\nexcept OSError as e: print(e.kind, e)"
    bench = Bench(tmp_path, make_virtual_board(paced=False, clock="host"))
    from tests.device.virtual import Virtual

    device = Virtual(bench.device.board)
    device.put(sets.board(1, bench.one))
    assert device.lines(script)[0].startswith("set update refused (this board has no second slot for firmware). Sign one without firmware")
    bench.close()


# Under this firmware no handshake comes about, and its hour is over; under the other one an hour passes with each connection.
DEAF = """
import time
def pass_time(s):
    now = time.gmtime(time.time() + s)
    machine.RTC().datetime(now[:3] + (0,) + now[3:6] + (0,))
if VERSION == "v2":
    pass_time(3600)
    twinroot._since = time.ticks_add(time.ticks_ms(), -3600000)
    class usocket:
        def getaddrinfo(*_):
            raise OSError(-202)
    sys.modules["usocket"] = usocket
def more():
    if twinroot.slots.active() == 2:
        pass_time(3700)
        machine.reset()
"""


def test_firmware_under_which_nothing_connects_steps_back_and_loses(bench: Bench) -> None:
    bench.fresh(firmware(), app=DEAF)
    told = bench.device.story()
    # The first connection under the old firmware begins the count, four more end it.
    assert told[2:] == [["up", 1, "ota_0", ""]] * 5 + [["end", 1, "ota_0", "", 2]]
    assert bench.device.files()["/trust/active"] == b"1"


# An hour passes with each connection, and no wait takes any time.
HOURS = """
import time, utime
class quick:
    pass
for name in dir(utime):
    setattr(quick, name, getattr(utime, name))
quick.sleep_ms = lambda ms: None
sys.modules["utime"] = quick
def more():
    while twinroot.slots.active() == 2:
        now = time.gmtime(time.time() + 3700)
        machine.RTC().datetime(now[:3] + (0,) + now[3:6] + (0,))
        twinroot.core.CONFIRM_MS = 0
        twinroot.connect(wait=False).close()
        say("up")
"""


def test_firmware_goes_back_with_the_set_that_loses_under_it(bench: Bench) -> None:
    failing = bad_set(bench.world, 2, bench.ats, bench.legacy)
    bench.fresh(firmware(), two=failing, app=HOURS)
    told = bench.device.story()
    assert told[2:] == [["up", 1, "ota_1", "v2"]] * 4 + [["up", 1, "ota_0", ""], ["end", 1, "ota_0", "", 2]]
    assert bench.device.entries() == ["valid", "aborted"]


def test_a_set_that_comes_back_has_its_firmware_back(bench: Bench) -> None:
    """As `twinroot rollback` does it: the pointer alone."""
    first = boot_image.application(CHIPS["esp32"], 4 << 20)
    mine = ["ota_0", hashlib.sha256(first).hexdigest(), len(first)]
    one = bench.set(1, image=mine) | PROVEN_1
    bench.fresh(firmware(), one=one)
    assert bench.device.story()[-1] == ["end", 2, "ota_1", "v2", 0]
    files = {path: data for path, data in bench.device.files().items() if path != "/update"}
    bench.device.put(files | {"/trust/active": b"1"})
    for _ in range(2):
        assert bench.device.story() == [["up", 1, "ota_0", ""], ["end", 1, "ota_0", "", 0]]
        assert bench.device.entries() == ["valid", "valid"]


CUT, BIG = 150, 0x10000  # flash operations until the power goes; bytes of a firmware that has not come to its end by then


def again(told: list[Any]) -> list[int]:
    """Where in the firmware the attempts went on; the first one behind what had come before, at the beginning of a block."""
    found = [t[4] for t in told if t[0] == "at"]
    assert 0 < found[0] < BIG and not found[0] % 4096
    return found[1:]


def test_a_firmware_that_was_cut_off_goes_on_where_it_was(bench: Bench) -> None:
    """Over a reset and a power cut; the last block that was begun is written again."""
    bench.fresh(firmware(size=BIG))
    assert bench.device.story(CUT)[-1] == ["at", 1, "ota_0", "", 0]
    told = bench.device.story()
    assert again(told) == []
    assert told[-1] == ["end", 2, "ota_1", "v2", 0]


def test_another_firmware_begins_anew(bench: Bench) -> None:
    bench.fresh(firmware(size=BIG))
    bench.device.story(CUT)
    bench.device.put(bench.device.files() | update(bench.set(2), firmware("v3", size=BIG)))
    told = bench.device.story()
    # Of the first one nothing more comes: what it has become is not right, all of it is asked for, and that is not it either.
    assert again(told) == [0, 0]
    assert told[-1] == ["end", 2, "ota_1", "v3", 0]


def test_what_an_interrupted_attempt_left_is_not_believed(bench: Bench) -> None:
    """The first block has other bits: all of it comes again, and then it is right."""
    bench.fresh(firmware(size=BIG))
    bench.device.story(CUT)
    bench.device.board.load_flash(SLOT["ota_1"] + 100, bytes(64))
    told = bench.device.story()
    assert again(told) == [0]
    assert told[-1] == ["end", 2, "ota_1", "v2", 0]


def whole(bench: Bench) -> dict[str, bytes]:
    """Set 2 with everything that goes over the air: another root, a package with other modules, an application."""
    moved = World(bench.device.board.state / "moved")
    moved.ats, moved.device, moved.devices = bench.world.ats, bench.world.device, bench.world.devices
    public = signed_set.public_numbers(vendor().public)
    new = {"extra.mpy": b"extra", "lab.mpy": sets.compiled()["lab"] + b"\0"}
    return moved.build(2, bench.ats.address, bench.legacy.address, vendor=public, change=new, app=application("app"))


BEFORE, NEW = ["up", 1, "ota_0", ""], ["up", 2, "ota_1", "v2app"]


def test_application_firmware_and_roots_come_and_go_together(bench: Bench) -> None:
    """One container, one trial; the pointer alone, as `twinroot rollback` moves it, takes all of it back."""
    mine = boot_image.application(CHIPS["esp32"], 4 << 20)
    one = bench.set(1, image=["ota_0", hashlib.sha256(mine).hexdigest(), len(mine)]) | PROVEN_1
    bench.fresh(firmware(), one=one, two=whole(bench))
    told = bench.device.story()
    assert told[0] == BEFORE and told[-2:] == [NEW, ["end", *NEW[1:], 0]]
    files = bench.device.files()
    assert files["/trust/2/Legacy.pem"] != files["/trust/1/Legacy.pem"]
    bench.device.put({path: data for path, data in files.items() if path != "/update"} | {"/trust/active": b"1"})
    assert bench.device.story() == [BEFORE, ["end", *BEFORE[1:], 0]]


def test_all_of_it_is_rolled_back_when_its_application_crashes(bench: Bench) -> None:
    """After it has connected: the firmware had proven itself, and goes with the set."""
    two = whole(bench)
    two = {**two, **bench.set(2, app=application("app").replace(b'say("up")', b'say("up"); 1 / 0'))}
    mine = boot_image.application(CHIPS["esp32"], 4 << 20)
    one = bench.set(1, image=["ota_0", hashlib.sha256(mine).hexdigest(), len(mine)]) | PROVEN_1
    bench.fresh(firmware(), one=one, two=two)
    told = bench.device.story()
    assert told[0] == BEFORE and told[2:] == [NEW] * 3 + [BEFORE, ["end", *BEFORE[1:], 2]]


# Flash operations before the end of the story at which the power goes. The last 60 are the commits, the first start and the proof.
FEW = (3, 28, 36, 44, 200, 400)


@pytest.mark.parametrize("cuts", [FEW, pytest.param(None, marks=pytest.mark.long)], ids=["few", "all"])
@pytest.mark.timeout(1800)
def test_power_that_goes_in_any_flash_operation(bench: Bench, cuts: tuple[int, ...] | None) -> None:
    """Torn at random places while a set with roots, package, application and firmware comes: the board starts, connects, has one whole
    set, and ends with the new one, its application, on the new firmware."""
    board = bench.device.board
    bench.fresh(firmware(), two=whole(bench))
    board.snapshot()
    board.clear_counters()
    bench.device.story()
    count = board.counters()["flash_erases"] + board.counters()["flash_programs"]
    found: dict[tuple[Any, ...], list[int]] = {}
    for before in cuts or range(count, 0, -1):
        board.power_off()
        board.restore()
        bench.device.story(count - before)
        assert not board.powered, before
        told = bench.device.story()
        found.setdefault(tuple(told[0]), []).append(before)
        assert told[-1] == ["end", *NEW[1:], 0], (before, told)
    print(count, {what: (len(at), min(at), max(at)) for what, at in found.items()})
    # Set 2 is never seen on the old firmware; set 1 on the new one between the two commits.
    assert {tuple(BEFORE), tuple(NEW)} <= set(found) <= {tuple(BEFORE), ("up", 1, "ota_1", "v2"), tuple(NEW)}


# Bytes of heap in use beside the connection and the code, at every step that holds something: collected before each is asked.
HEAP = """
import gc, json, twinroot
c = twinroot.mqtt()
from twinroot import errors, guard, image, incoming, jobs, ota, seal, slots
tops = {}
def watch(where, name):
    f = getattr(where, name)
    def g(*a):
        gc.collect()
        before = gc.mem_alloc()
        r = f(*a)
        gc.collect()
        tops[name] = max(tops.get(name, 0), before - loaded, gc.mem_alloc() - loaded)
        return r
    setattr(where, name, g)
gc.collect()
loaded = gc.mem_alloc()
for where, name in ((ota, "verified"), (ota, "tidy"), (ota.Update, "_commit"), (incoming, "begun"), (incoming, "known"), (seal, "whole"),
                    (image, "_sha256"), (image.Writer, "write"), (ota.Topic, "message")):
    watch(where, name)
j = jobs.Jobs(c)
while not j.done:
    c.wait_msg()
print(json.dumps([image.says()[2], tops]))
"""
MOST = 12 * 1024


@pytest.mark.parametrize("size", [60_000, pytest.param(500_000, marks=pytest.mark.long)])
def test_it_comes_over_mqtt_in_little_memory(bench: Bench, size: int) -> None:
    """Through AWS IoT Jobs, 2 KB a message, into the slot, with the client of the package."""
    image = firmware(size=size)
    cloud = Cloud(piece=2048, jobs={"j1": {"twinroot": {"version": 2, "topic": "updates/2"}}})
    cloud.chunks["updates/2"] = container(bench.set(2), 2, firmware=Brought(image))
    bench.ats.behaviour = cloud.behaviour(bench.world.context(ATS, bench.world.ats))
    bench.device.put(sets.board(1, bench.one))
    written, tops = json.loads(bench.device.lines(HEAP)[-1])
    print(tops)
    assert written == len(image)
    assert bench.device.board.read_flash(SLOT["ota_1"], len(image)) == image
    assert max(tops.values()) <= MOST, tops
