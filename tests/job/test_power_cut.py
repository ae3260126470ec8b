"""Power cuts in thousands of torn states against the device's own code of an update; see power_cut.py."""

from __future__ import annotations

from typing import Any

import pytest

from tests.job.power_cut import Outcome, payload, run

# What is on the board -> what it gets: the first set, a changed identity with the package kept, another package and root over two sets.
PAIRS = (((), "a"), (("a",), "b"), (("a", "b"), "c"))
SETS = {"a": payload("a"), "b": payload("b"), "c": payload("c", code="another package", root="AmazonRootCA2")}


def told(outcome: Outcome, record_property: Any) -> None:
    record_property("states", str(outcome.states))
    images = f"the line's in {outcome.images} images"
    print(f"{outcome.total} states, none lost: {outcome.states}, {images}; after the first cut the board held {outcome.seen}")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("shard", [0, pytest.param(1, marks=pytest.mark.long), 2, pytest.param(3, marks=pytest.mark.long)])
def test_every_flash_operation(shard: int, record_property: Any) -> None:
    """A cut at every flash operation in three torn forms, each with a second cut in the recovery; every 28th byte of the line.

    The four shards together are more than 3,000 states; two of them, so every second operation, are not in the long form alone.
    """
    outcome = run(SETS, PAIRS, step=4, offset=shard, wire=112, seed=shard)
    told(outcome, record_property)
    assert outcome.total >= 750
    assert {"blank", "a", "b"} <= set(outcome.seen)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("shard", range(4))
def test_every_byte_of_the_line(shard: int, record_property: Any) -> None:
    """The same with a cut at every byte of the line, and other places for the second cut: more than 20,000 states."""
    outcome = run(SETS, PAIRS, step=4, offset=shard, wire=4, seed=1000 + shard)
    told(outcome, record_property)
    assert outcome.total >= 5000


# An application that is /main.py, on a board that gets one in its set; then another one; then a product that names none.
WITH_APP = {
    "plain": payload("plain", main="first"),
    "app": payload("app", app="second"),
    "other": payload("other", app="third"),
    "none": payload("none", code="another package"),
}
APP_PAIRS = ((("plain",), "app"), (("app",), "other"), (("plain", "app"), "none"))
PROGRAMS = {"plain": "first", "app": "second", "other": "third", "none": "second"}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.long)])
def test_the_application_of_the_set_in_use_runs(step: int, record_property: Any) -> None:
    outcome = run(WITH_APP, APP_PAIRS, step=step, offset=0, wire=1000000, seed=step, programs=PROGRAMS)
    told(outcome, record_property)
    assert set(WITH_APP) <= set(outcome.seen) or step > 1


def test_the_oracle_sees_a_mix() -> None:
    """The harness must be able to fail: without reading back, a torn file would go unnoticed."""
    broken = payload("a")
    wrong = {**broken.lib}
    path = next(name for name in wrong if "." not in name)
    wrong[path] = wrong[path][:-1] + bytes([wrong[path][-1] ^ 1])
    lying = type(broken)(broken.trust, wrong)  # set.json still names the old hash
    with pytest.raises(AssertionError, match="hash /"):
        run({"a": lying}, (((), "a"),), step=1000, offset=0, wire=100000, seed=1)
