"""The drill's devices, before anything is asked of them: each is a real board, and each kind of trouble is one that a board has."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from provisioning.standin import StandIn
from tests.drill.boards import Boards
from tests.drill.fleet import Fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("drill")
    with StandIn(folder / "cloud", broker="amqtt") as cloud, Boards(folder / "boards", 3) as boards:
        fleet = Fleet(folder, cloud, boards.all)
        product = fleet.write_product("one.yaml", 1, "legacy-first", app="first.py")
        reports = fleet.cable(product, fleet.devices)
        assert {name: report["device"] for name, report in reports.items() if report["outcome"] == "pass"} == {
            name: name for name in fleet.devices
        }
        yield fleet


def test_each_connects_as_itself(fleet: Fleet) -> None:
    seen = fleet.visit(fleet.devices, fleet.reports_health())
    assert {name: (message["route"], message["certificate"]) for name, message in seen.items()} == {
        name: ("legacy", name) for name in fleet.devices
    }


def test_a_set_that_never_connects_is_rolled_back_by_hours_that_pass_between_visits(fleet: Fleet) -> None:
    only_ats = fleet.write_product("ats-only.yaml", 2, "ats-only", app="first.py")
    fleet.cloud.scenario("ats", "reset")
    try:
        assert fleet.cable(only_ats, ["pump-001"])["pump-001"]["outcome"] == "pass"
        silent = len(fleet.cloud.connections())
        # The second attempt: what the first one found is written down by then.
        fleet.visit(["pump-001"], lambda _: [fleet.cloud.wait_connection(route="ats", after=silent + n) for n in range(2)])
        trials = []
        for hours in range(1, 7):
            message = fleet.visit(["pump-001"], fleet.reports_health(), later=f"+{hours * 61}m")["pump-001"]
            trials.append(json.loads(message["payload"]).get("trial", [0, 0])[1])
    finally:
        fleet.cloud.repair("ats")
    assert trials == [0, 1, 2, 3, 0, 0]
    assert fleet.visit(["pump-001"], fleet.reports_health())["pump-001"]["route"] == "legacy"


def test_a_full_flash_takes_no_set(fleet: Fleet) -> None:
    board = fleet.devices["pump-002"].board
    before = board.flash
    board.call("inject", fault="full=4096")
    try:
        report = fleet.cable(fleet.write_product("three.yaml", 3, "ats-first"), ["pump-002"])["pump-002"]
        assert (report["outcome"], report["code"]) == ("fail", "flash-full")
        assert fleet.visit(["pump-002"], fleet.reports_health())["pump-002"]["route"] == "legacy"
    finally:
        board.clone(before)
