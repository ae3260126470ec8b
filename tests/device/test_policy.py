"""The route policy against a model, on CPython: the very files that run on the device (policy.py, fallback.py).

The adversary of the last tests may silence any route at any time. What must hold: a device is never offline for longer than five minutes
while a permitted route works, and never on a route of lower standing without evidence."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from types import ModuleType
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.device.sets import SOURCE


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"twinroot_{name}", SOURCE / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


policy, fallback = _load("policy"), _load("fallback")

KINDS = ["clock", "hostname", "network", "memory", "set"]
EVIDENCE = st.sampled_from(["ok", "trust", *KINDS])
SILENCE = st.sampled_from(["never", "upward", "any"])


class Machine(RuleBasedStateMachine):
    """Passes with random evidence at random times. The model keeps its own count of what was seen."""

    @initialize(routes=st.integers(1, 4), last=st.integers(0, 5), since=st.integers(0, 10_000), silence=SILENCE, data=st.data())
    def start(self, routes: int, last: int, since: int, silence: str, data: st.DataObject) -> None:
        self.n, self.now = routes, 10_000
        self.standing = bytes(data.draw(st.lists(st.integers(0, 2), min_size=routes, max_size=routes)))
        self.silence = silence
        self.policy = policy.Policy(routes, last, since, 600, self.standing, silence)
        self.failed_passes = 0
        self.silent_since: int | None = None

    @rule(seconds=st.integers(0, 2000))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    def opened(self, route: int, before: int, evidence: bool) -> bool:
        """May `route` be tried in a pass of the route `before`?"""
        if route == before or evidence:
            return True
        if self.silent_since is None or self.now - self.silent_since < fallback.QUIET_S or self.silence == "never":
            return False
        return self.silence == "any" or self.standing[route] > self.standing[before]

    @rule(evidence=st.lists(EVIDENCE, min_size=9, max_size=9))
    def connect(self, evidence: list[str]) -> None:
        before = self.policy.last
        due = self.policy.due(self.now)
        route = self.policy.begin(self.now)
        assert route == (0 if due else before), "the last good route orders the attempt, until the preferred one is due"
        seen: dict[int, int] = {}
        attempts, against = 0, False
        while True:
            attempts += 1
            assert attempts <= fallback.CONFIRM * self.n, "bounded attempts"
            assert 0 <= route < self.n
            what = evidence[attempts - 1]
            if what == "ok":
                changed = self.policy.good(self.now)
                assert changed == (route != before)
                assert self.policy.last == route
                self.silent_since = None
                self.failed_passes += 1  # until its session proves itself
                return
            following = fallback.failed(self.policy, what)
            seen[route] = seen.get(route, 0) + 1
            if what == "trust" and seen[route] < fallback.CONFIRM:
                assert following == route, "a second handshake confirms"
                continue
            if route == before:
                if what == "trust":
                    against = True
                elif what == "network":
                    self.silent_since = self.now if self.silent_since is None else self.silent_since
                else:
                    assert following == -1, "clock, name, memory and set say nothing about roots"
                    break
            left = [r for r in (before, *range(self.n)) if r not in seen and self.opened(r, before, against)]
            assert following == (left[0] if left else -1), "home first, then what is open, in order of preference"
            if following < 0:
                break
            route = following
        self.policy.fails += 1  # failing.py
        self.failed_passes += 1
        assert self.policy.last == before, "a pass that failed changes no order"

    @rule()
    def session_proves_itself(self) -> None:
        self.policy.fails = self.failed_passes = 0

    @invariant()
    def wait_is_bounded(self) -> None:
        if not hasattr(self, "policy"):
            return
        low, high = fallback.wait(self.policy.fails, 0), fallback.wait(self.policy.fails, 1)
        if self.failed_passes == 0:
            assert low == high == 0
        else:
            assert high == min(fallback.CAP_S, fallback.BASE_S * 2 ** min(self.failed_passes - 1, 10))
            assert low == high * 3 / 4


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def one_pass(p: Any, world: list[str], now: int) -> tuple[str, list[int]]:
    """Outcome and the routes tried, in a world where each route gives the same evidence every time."""
    route, tried = p.begin(now), []
    while True:
        tried.append(route)
        if world[route] == "ok":
            p.good(now)
            p.fails = 0
            return "ok", tried
        route = fallback.failed(p, world[route])
        if route < 0:
            p.fails += 1
            return "failed", tried


@given(
    past=st.lists(st.lists(EVIDENCE, min_size=3, max_size=3), max_size=20),
    step=st.integers(1, 900),
    others=st.lists(EVIDENCE, min_size=2, max_size=2),
)
def test_ends_on_the_preferred_route_when_that_is_healthy(past: list[list[str]], step: int, others: list[str]) -> None:
    p, now = policy.Policy(3, ret=600, standing=b"\0\2\1"), 0
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
    p, now, lasts, asked = policy.Policy(len(world), ret=600, standing=bytes(range(len(world)))), 10_000, [0], []
    for _ in range(200):
        now += step
        outcome, tried = one_pass(p, world, now)
        lasts.append(p.last)
        if outcome == "ok" and p.last and 0 in tried:
            asked.append(now)
    assert sum(a != b for a, b in pairwise(lasts)) <= 1
    assert all(b - a >= 600 for a, b in pairwise(asked))


@given(rnd=st.floats(0, 1), fails=st.integers(0, 100))
def test_attempts_per_day_are_bounded(rnd: float, fails: int) -> None:
    """Against a cloud that is down a device makes at most 600 passes a day once it has backed off."""
    assert fallback.wait(fails, rnd) <= fallback.CAP_S
    if fails > 10:
        assert 86400 / fallback.wait(fails, rnd) <= 600


@given(broken=st.sampled_from([*KINDS, "trust"]))
def test_the_way_home_is_given_up_for_the_route_that_worked(broken: str) -> None:
    """Whatever happens to the preferred route when it has its chance: the device goes on where it was, in the same pass."""
    p = policy.Policy(2, last=1, since=0, ret=600)
    outcome, tried = one_pass(p, [broken, "ok"], 10_000)
    assert (outcome, tried[-1], p.last, p.since) == ("ok", 1, 1, 10_000)


TIMEOUT = 40  # s: 20 for TCP and 20 for the handshake of a server that is silent
HANDSHAKE = 5  # s, of one that works


class Device:
    """A device with its sessions over simulated seconds; `works(route, second)` is the adversary's, and the only network there is."""

    def __init__(self, standing: bytes, works: Any, silence: str = "upward", last: int = 0) -> None:
        self.policy = policy.Policy(len(standing), last, 0, 3600, standing, silence)
        self.works, self.now, self.next = works, 0, 0.0
        self.online: int | None = None
        self.offline: list[tuple[int, int]] = []  # (from, to) of each gap
        self.used: list[tuple[int, int, int]] = []  # (second, route that worked last before, route now)

    def run(self, until: int, rnd: float) -> None:
        gap = self.now
        while self.now < until:
            p = self.policy
            if self.online is not None:
                if self.works(self.online, self.now) and not p.due(self.now):
                    self.now += 1
                    continue
                self.online, gap, self.next = None, self.now, 0
            if self.now < self.next:
                self.now += 1
                continue
            before, route = p.last, p.begin(self.now)
            while route >= 0:
                took = HANDSHAKE
                if all(self.works(route, self.now + i) for i in range(HANDSHAKE)):
                    self.now += took
                    p.good(self.now)
                    p.fails = 0  # the session proves itself
                    self.online = route
                    self.used.append((self.now, before, route))
                    self.offline.append((gap, self.now))
                    break
                self.now += TIMEOUT
                route = fallback.failed(p, "network")
            else:
                p.fails += 1
                self.next = self.now + fallback.wait(p.fails, rnd, p.n)
        if self.online is None:
            self.offline.append((gap, self.now))


def permitted(standing: bytes, last: int) -> list[int]:
    return [last] + [r for r in range(len(standing)) if standing[r] > standing[last]]


def stretches(works: Any, route: int, begin: int, end: int) -> int:
    """The longest time within (begin, end) in which the route works without a break."""
    longest = now = 0
    for second in range(begin, end):
        now = now + 1 if works(route, second) else 0
        longest = max(longest, now)
    return longest


@settings(max_examples=60, deadline=None)
@example(standing=b"\0\1\1", cuts=[(0, 0, 2258), (1, 0, 2298), (2, 0, 2033)], rnd=0.6875)
@example(standing=b"\0\1\2\2", cuts=[(0, 0, 4000), (1, 0, 4000), (2, 0, 4000), (3, 0, 2033)], rnd=1.0)
@given(
    standing=st.lists(st.integers(0, 2), min_size=2, max_size=5).map(bytes),
    cuts=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7000), st.integers(1, 4000)), max_size=12),
    rnd=st.floats(0, 1),
)
def test_an_adversary_that_silences_any_route_at_any_time(standing: bytes, cuts: list[tuple[int, int, int]], rnd: float) -> None:
    def works(route: int, second: int) -> bool:
        return not any(r == route and a <= second < a + n for r, a, n in cuts)

    device = Device(standing, works)
    device.run(8000, rnd)
    last = 0
    for (begin, end), (_, before, _) in zip(device.offline, [*device.used, (0, device.policy.last, 0)], strict=False):
        last = before
        for r in permitted(standing, last):
            assert stretches(works, r, begin, end) <= 300, f"route {r} worked, and the device was offline from {begin} to {end}"
    for _, before, route in device.used:
        assert route == before or route == 0 or standing[route] > standing[before]


def test_a_legacy_endpoint_that_is_switched_off() -> None:
    """The case that the rule is for: legacy first, and AWS closes it. Online over ats within five minutes, for good, home never."""
    device = Device(b"\0\2", lambda route, second: route == 1 or second < 100)
    device.run(30 * 86400, 1.0)
    assert [(a, b) for a, b in device.offline if b - a > 300] == []
    assert {route for second, _, route in device.used if second > 200} == {1}


def test_silence_never_leads_down() -> None:
    """ats first, silent for a week while legacy works: offline, as an attacker's silence must not choose a distrusted root."""
    device = Device(b"\2\0", lambda route, second: route == 1)
    device.run(7 * 86400, 0.0)
    assert device.used == []
    for silence, routes in (("never", set()), ("any", {1})):
        device = Device(b"\2\0", lambda route, second: route == 1, silence)
        device.run(86400, 0.0)
        assert {r for _, _, r in device.used} == routes


def test_no_standing_no_way_up() -> None:
    """A set that does not tell is one of before: silence changes nothing."""
    p = policy.Policy(2)
    for now in range(0, 1000, 100):
        assert one_pass(p, ["network", "ok"], now) == ("failed", [0])


def test_the_preferred_route_is_due_from_its_second_on_and_when_the_clock_has_gone_back() -> None:
    """A clock that was ahead when the route was given up would else keep a device away from home for as long as it was ahead."""
    p = policy.Policy(2, last=1, since=10_000, ret=600)
    assert [bool(p.due(now)) for now in (9_999, 10_000, 10_599, 10_600)] == [True, False, False, True]
