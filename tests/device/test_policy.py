"""The route policy against a model, on CPython: the very file that runs on the device."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.device.sets import SOURCE

_spec = importlib.util.spec_from_file_location("twinroot_policy", SOURCE / "policy.py")
assert _spec and _spec.loader
policy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(policy)

OTHER = st.sampled_from(["clock", "hostname", "network", "memory", "set", "refused"])
EVIDENCE = st.sampled_from(["ok", "trust", "clock", "hostname", "network", "memory", "set"])


class Machine(RuleBasedStateMachine):
    """Passes with random evidence at random times. The model keeps its own count of what was seen."""

    @initialize(routes=st.integers(1, 4), last=st.integers(0, 5), since=st.integers(0, 10_000))
    def start(self, routes: int, last: int, since: int) -> None:
        self.n, self.now, self.writes, self.good_passes = routes, 10_000, 0, 0
        self.policy = policy.Policy(routes, last, since, 600)
        self.failed_passes = 0

    @rule(seconds=st.integers(0, 2000))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(evidence=st.lists(EVIDENCE, min_size=9, max_size=9))
    def connect(self, evidence: list[str]) -> None:
        before = self.policy.last
        due = self.policy.due(self.now)
        route = self.policy.begin(self.now)
        assert route == (0 if due else before), "the last good route orders the attempt, until the preferred one is due"
        seen: dict[int, int] = {}
        attempts = 0
        while True:
            attempts += 1
            assert attempts <= policy.CONFIRM * self.n, "bounded attempts"
            assert 0 <= route < self.n
            what = evidence[attempts - 1]
            if what == "ok":
                changed = self.policy.good(self.now)
                assert changed == (route != before)
                assert self.policy.last == route
                self.writes += changed
                self.failed_passes = 0
                return
            following = self.policy.failed(what)
            if what != "trust":
                assert following == -1, "no other route without trust evidence"
                break
            seen[route] = seen.get(route, 0) + 1
            if seen[route] < policy.CONFIRM:
                assert following == route, "a second handshake confirms"
            else:
                assert following == -1 or following not in seen, "a route that was left is not tried again in this pass"
                untried = [r for r in range(self.n) if r not in seen]
                assert following == (untried[0] if untried else -1), "in order of preference"
            if following < 0:
                break
            route = following
        self.failed_passes += 1
        assert self.policy.last == before, "a pass that failed changes no order"

    @invariant()
    def wait_is_bounded(self) -> None:
        if not hasattr(self, "policy"):
            return
        low, high = self.policy.wait(0), self.policy.wait(1)
        if self.failed_passes == 0:
            assert low == high == 0
        else:
            assert 0 < low <= high <= policy.CAP_S
            assert high == min(policy.CAP_S, policy.BASE_S * 2 ** min(self.failed_passes - 1, 10))


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def one_pass(p: Any, world: list[str], now: int) -> tuple[str, list[int]]:
    """Outcome and the routes tried, in a world where each route gives the same evidence every time."""
    route, tried = p.begin(now), []
    while True:
        tried.append(route)
        if world[route] == "ok":
            p.good(now)
            return "ok", tried
        route = p.failed(world[route])
        if route < 0:
            return "failed", tried


@given(
    past=st.lists(st.lists(EVIDENCE, min_size=3, max_size=3), max_size=20),
    step=st.integers(1, 900),
    others=st.lists(EVIDENCE, min_size=2, max_size=2),
)
def test_ends_on_the_preferred_route_when_that_is_healthy(past: list[list[str]], step: int, others: list[str]) -> None:
    p, now = policy.Policy(3, ret=600), 0
    for world in past:
        now += step
        one_pass(p, world, now)
    healed = now
    world = ["ok", *others]
    while p.last != 0:
        assert now - healed <= 600 + step, "in bounded time"
        now += step
        one_pass(p, world, now)
    for _ in range(20):
        now += step
        assert one_pass(p, world, now) == ("ok", [0])


@given(world=st.lists(EVIDENCE, min_size=2, max_size=4), step=st.integers(1, 900))
def test_never_oscillates(world: list[str], step: int) -> None:
    """Nothing changes in the world: the route changes at most once, and the preferred one is asked at most once in `ret`."""
    p, now, lasts, asked = policy.Policy(len(world), ret=600), 10_000, [], []
    for _ in range(200):
        now += step
        outcome, tried = one_pass(p, world, now)
        lasts.append(p.last)
        if outcome == "ok" and p.last and 0 in tried:
            asked.append(now)
    assert sum(a != b for a, b in pairwise(lasts)) == 0
    assert all(b - a >= 600 for a, b in pairwise(asked))


@given(rnd=st.floats(0, 1), fails=st.integers(0, 100))
def test_attempts_per_day_are_bounded(rnd: float, fails: int) -> None:
    """Against a cloud that is down a device makes at most 600 passes a day once it has backed off."""
    p = policy.Policy(2)
    p.fails = fails
    assert p.wait(rnd) <= policy.CAP_S
    if fails > 10:
        assert 86400 / p.wait(rnd) <= 600
