"""twinroot.wifi on the virtual board, whose hardware decides what the station meets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.device import sets
from tests.device.virtual import Virtual
from tests.device.world import ATS, LEGACY, World

# Nothing but wifi imports `network`; it asks for what it is given, else for what the set says.
JOIN = """
import json, sys, time, twinroot
twinroot.core
asked = []
import network
class WLAN(network.WLAN):
    def connect(self, ssid=None, key=None, **o):
        asked.append([ssid, key])
        super().connect(ssid, key, **o)
network.WLAN = WLAN
before = "twinroot.wifi" in sys.modules
begun = time.ticks_ms()
try:
    sta = twinroot.wifi.join(ARGS)
    r = ["ok", sta.isconnected(), twinroot.wifi.join(ARGS).isconnected()]
    link = twinroot.connect()
    r.append(link.route)
except OSError as e:
    r = [type(e).__name__, e.kind, str(e)]
print(json.dumps([before, r, asked, time.ticks_diff(time.ticks_ms(), begun)]))
"""
HOME: dict[str, Any] = {"wifi": {"ssid": "home", "password": "secret word"}}


def join(tmp_path: Path, board: Any, arguments: str = "timeout=1", fault: str = "", **info: Any) -> tuple[list[Any], list[Any], int]:
    """(result, what was asked of the station, ms)."""
    world = World(tmp_path)
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        device = Virtual(board)
        device.put(sets.board(1, world.build(1, ats.address, legacy.address, **info)))
        if fault:
            board.inject(fault)
        before, result, asked, ms = json.loads(device.lines(JOIN.replace("ARGS", arguments))[-1])
    assert before is False, "nobody loads it who does not use it"
    return result, asked, ms


@pytest.fixture
def board(make_virtual_board: Callable[..., Any]) -> Any:
    return make_virtual_board(paced=False, clock="host")


def test_the_network_of_the_set(tmp_path: Path, board: Any) -> None:
    result, asked, _ = join(tmp_path, board, **HOME)
    assert result == ["ok", True, True, "ats"]
    assert asked == [["home", "secret word"]], "once: the second join finds it connected"


def test_the_network_given(tmp_path: Path, board: Any) -> None:
    result, asked, _ = join(tmp_path, board, "'guest', 'pass', timeout=1")
    assert result[0] == "ok"
    assert asked == [["guest", "pass"]]


@pytest.mark.parametrize("fault", ["wifi=no-ap", "wifi=wrong-password", "wifi=down"])
def test_one_that_does_not_come_up(tmp_path: Path, board: Any, fault: str) -> None:
    result, _, ms = join(tmp_path, board, fault=fault, **HOME)
    assert result[:2] == ["NetworkError", "network"]
    assert "wifi home" in result[2] and "secret" not in result[2]
    assert 1000 <= ms < 15000


def test_no_network_in_the_set(tmp_path: Path, board: Any) -> None:
    result, asked, _ = join(tmp_path, board)
    assert result[:2] == ["SetError", "set"]
    assert "no wifi in the set" in result[2] and not asked
