"""Time before trust: no handshake before a plausible time, NTP from several servers, and what a lie can do."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.device import sets
from tests.device.virtual import Virtual, read
from tests.device.world import ATS, LEGACY, World

_NTP = 2208988800


class TimeServer:
    """An NTP server that says now + `offset` seconds, or answers wrongly: `wrong` names how."""

    def __init__(self, offset: int = 0, wrong: str = "") -> None:
        self.offset, self.wrong, self.asked = offset, wrong, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                question, sender = self.socket.recvfrom(100)
            except OSError:
                return
            if question == b"stop":
                return
            self.asked += 1
            if self.wrong == "silent":
                continue
            now = struct.pack("!II", (int(time.time()) + self.offset + _NTP) & 0xFFFFFFFF, 0)
            mark = bytes(8) if self.wrong == "not for us" else question[40:48]
            first = 0xE4 if self.wrong == "unsynchronized" else 0x23 if self.wrong == "a question" else 0x24
            stratum = 0 if self.wrong == "kiss of death" else 2
            answer = bytes((first, stratum, 6, 0xEC)) + bytes(20) + mark + now + now
            self.socket.sendto(answer[:20] if self.wrong == "short" else answer, sender)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"stop", self.socket.getsockname())
        self.socket.close()


@pytest.fixture
def time_server() -> Any:
    made: list[TimeServer] = []

    def make(*arguments: Any, **options: Any) -> TimeServer:
        made.append(TimeServer(*arguments, **options))
        return made[-1]

    yield make
    for server in made:
        server.close()


SCRIPT = """
import json, twinroot
from machine import RTC
RTC().datetime((%d, 1, 1, 5, 0, 5, 0, 0))
from twinroot import ntp
ntp.WAIT_MS = 300
try:
    link = twinroot.connect(timeout=5)
    r = ["ok", link.route]
except OSError as e:
    r = [e.kind, str(e)]
print(json.dumps(r + [twinroot.clock.now()]))
"""


def attempt(
    tmp_path: Path, make_virtual_board: Callable[..., Any], year: int, *servers: TimeServer, floor: int = sets.FLOOR
) -> tuple[list[Any], int]:
    """(what came out, connections to the preferred route)."""
    import json

    world = World(tmp_path)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        names = [f"t{i}.example" for i in range(len(servers))]
        resolve = {f"{n}:123": s.address for n, s in zip(names, servers, strict=True)}
        resolve |= {f"{ATS}:8883": ats.address, f"{LEGACY}:8883": legacy.address}
        one = world.build(1, ats.address, legacy.address, lab={"resolve": resolve}, time={"servers": names, "floor": floor})
        board = make_virtual_board(paced=False, clock="2000")
        device = Virtual(board)
        device.put(sets.board(1, one))
        result: list[Any] = json.loads(device.lines(SCRIPT % year)[-1])
        assert legacy.count == 0, "a clock is no reason for another route"
        assert "/trust/1/set.json" in read(board)
        return result, ats.count


def test_the_first_server_that_answers_sets_the_clock(tmp_path: Path, make_virtual_board: Any, time_server: Any) -> None:
    bad = [time_server(wrong=w) for w in ("silent", "short", "not for us", "unsynchronized", "kiss of death", "a question")]
    good = time_server()
    result, count = attempt(tmp_path, make_virtual_board, 2000, *bad, good)
    assert result[:2] == ["ok", "ats"]
    assert abs(result[2] - time.time()) < 30
    assert count == 1
    assert all(s.asked == 1 for s in (*bad, good))


def test_a_clock_that_runs_ahead_is_set_back(tmp_path: Path, make_virtual_board: Any, time_server: Any) -> None:
    """In 2040 every certificate has expired: the complaint about dates makes the board ask, and try once more."""
    result, count = attempt(tmp_path, make_virtual_board, 2040, time_server())
    assert result[:2] == ["ok", "ats"]
    assert count == 2


def test_no_server_no_handshake(tmp_path: Path, make_virtual_board: Any, time_server: Any) -> None:
    result, count = attempt(tmp_path, make_virtual_board, 2000, time_server(wrong="silent"))
    assert result[0] == "clock"
    assert "time.servers" in result[1]
    assert count == 0


def test_a_time_before_the_floor_is_not_believed(tmp_path: Path, make_virtual_board: Any, time_server: Any) -> None:
    liar = time_server(-20 * 365 * 86400)
    result, count = attempt(tmp_path, make_virtual_board, 2000, liar)
    assert (result[0], count, liar.asked) == ("clock", 0, 1)
    result, count = attempt(tmp_path, make_virtual_board, 2000, time_server(-20 * 365 * 86400), time_server())
    assert (result[0], count) == ("ok", 1)


def test_a_lie_about_the_future_is_a_clock_error(tmp_path: Path, make_virtual_board: Any, time_server: Any) -> None:
    """Unauthenticated time can keep a board away from the cloud; it cannot make it change its trust."""
    result, count = attempt(tmp_path, make_virtual_board, 2000, time_server(20 * 365 * 86400))
    assert result[0] == "clock"
    assert count == 1


def test_a_time_beyond_the_ceiling_is_not_believed(tmp_path: Path, make_virtual_board: Any, time_server: Any) -> None:
    """Of 2068 and later, where builds of before 1.26 cannot reckon: no handshake, and the next server is asked."""
    liar = time_server(42 * 365 * 86400)
    result, count = attempt(tmp_path, make_virtual_board, 2000, liar)
    assert (result[0], count, liar.asked) == ("clock", 0, 1)
    result, count = attempt(tmp_path, make_virtual_board, 2000, time_server(42 * 365 * 86400), time_server())
    assert (result[0], count) == ("ok", 1)


def test_a_clock_beyond_the_ceiling_is_set_back_before_any_handshake(tmp_path: Path, make_virtual_board: Any, time_server: Any) -> None:
    result, count = attempt(tmp_path, make_virtual_board, 2063, time_server())
    assert (result[0], count) == ("ok", 1)


KISS = """
import json, twinroot, utime
from twinroot import ntp
ntp.WAIT_MS = 300
s = twinroot.core.state()[0]
t, got = s["time"], []
now = [1000]
ntp.ticks_ms = lambda: now[0]
for ms in (0, 1000, 3500000, 3700000):
    now[0] = 1000 + ms
    got.append(ntp.sync(t["servers"], t["floor"], t["floor"] + 10**9, s))
print(json.dumps(got))
"""


def test_a_kiss_of_death_is_respected(tmp_path: Path, make_virtual_board: Any, time_server: Any) -> None:
    """A server that says so is not asked for an hour; another is."""
    import json

    world, death, good = World(tmp_path), time_server(wrong="kiss of death"), time_server()
    lab = {"resolve": {"a.example:123": death.address, "b.example:123": good.address}}
    one = world.build(1, "127.0.0.1:1", "127.0.0.1:1", lab=lab, time={"servers": ["a.example", "b.example"], "floor": sets.FLOOR})
    device = Virtual(make_virtual_board(paced=False, clock="2000"))
    device.put(sets.board(1, one))
    got = json.loads(device.lines(KISS)[-1])
    assert got[0] is True and None not in got
    assert (death.asked, good.asked) == (2, 4)


OLD = """
import sys, utime as _t
class utime:  # a build of before 1.26
    ticks_ms, ticks_add, ticks_diff, sleep_ms = _t.ticks_ms, _t.ticks_add, _t.ticks_diff, _t.sleep_ms
    wrong = 0
    def time():
        return _t.time() + utime.wrong
    def gmtime(t=None):
        if t is None:
            t = utime.time()
        if t >= 3092601600:  # 2068
            raise OverflowError("timestamp out of range for platform time_t")
        return _t.gmtime(t)
sys.modules["utime"] = utime
import json, twinroot
from twinroot import ntp
ntp.WAIT_MS = 300
utime.wrong = %d
out = []
for i in range(2):
    try:
        out.append(twinroot.connect(timeout=5, wait=False).route)
    except OSError as e:
        out.append(e.kind)
    utime.wrong = 0
print(json.dumps(out))
"""


@pytest.mark.parametrize(("wrong", "said"), [(0, "ats"), (45 * 365 * 86400, "clock"), (-40 * 365 * 86400, "clock")])
def test_a_build_that_cannot_reckon_past_2068(tmp_path: Path, time_server: Any, wrong: int, said: str) -> None:
    """Its clock there, or a server that says so: an OSError, and then connected."""
    import json

    from tests.device.jail import Board

    world, liar = World(tmp_path), time_server(45 * 365 * 86400)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        resolve = {"t.example:123": liar.address, f"{ATS}:8883": ats.address, f"{LEGACY}:8883": legacy.address}
        one = world.build(1, ats.address, legacy.address, lab={"resolve": resolve}, time={"servers": ["t.example"], "floor": sets.FLOOR})
        out = Board(tmp_path / "board", sets.board(1, one)).run(OLD % wrong)
        assert json.loads(out.out.splitlines()[-1]) == [said, "ats"]
        assert legacy.count == 0
