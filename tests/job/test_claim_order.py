"""Devices are given out in the order of the ports, whichever board answers first."""

from __future__ import annotations

from provisioning.job.claim_order import PATIENCE, ClaimOrder


def begun(count: int) -> ClaimOrder:
    order = ClaimOrder()
    for number in range(count):
        order.begin(f"slot {number}", number)
    return order


def test_the_first_port_comes_first_whoever_asks_first() -> None:
    order = begun(3)
    for number in (2, 0, 1):
        order.ask(f"slot {number}", 10.0 - number)
    assert order.due(10.0) == {"slot 0": 0}
    assert order.due(10.0) == {}, "one after the other"
    order.decided("slot 0")
    assert order.due(10.0) == {"slot 1": 0}
    order.decided("slot 1")
    assert order.due(10.0) == {"slot 2": 0} and order.seconds(10.0) is None


def test_a_board_that_is_refused_takes_no_device() -> None:
    order = begun(2)
    order.ask("slot 1", 0.0)
    assert order.due(0.0) == {} and order.seconds(0.5) == PATIENCE - 0.5
    order.decided("slot 0")
    assert order.due(0.0) == {"slot 1": 0}


def test_a_silent_port_is_left_a_device_and_not_waited_for() -> None:
    order = begun(4)
    order.ask("slot 3", 0.0)
    order.ask("slot 1", 0.5)
    assert order.due(PATIENCE - 0.1) == {}
    assert order.due(PATIENCE) == {}, "slot 1 has waited for a shorter time, and comes before slot 3"
    assert order.seconds(PATIENCE) == 0.5
    assert order.due(PATIENCE + 0.5) == {"slot 1": 1}, "slot 0 is left one"
    order.decided("slot 1")
    assert order.due(PATIENCE + 0.5) == {"slot 3": 2}, "slots 0 and 2 are left one each"
    order.decided("slot 3")
    order.ask("slot 2", 5.0)
    order.ask("slot 0", 5.0)
    assert order.due(5.0) == {"slot 0": 0}


def test_one_that_joins_later_with_a_lower_place_is_before() -> None:
    order = ClaimOrder()
    order.begin("5", 5)
    order.begin("3", 3)
    order.ask("5", 0.0)
    assert order.due(0.0) == {}
    order.ask("3", 0.1)
    assert order.due(0.1) == {"3": 0}
    order.ask("9", 0.1)  # nobody of that name
    order.decided("9")
    assert order.seconds(9.0) is None, "3 has its turn"
