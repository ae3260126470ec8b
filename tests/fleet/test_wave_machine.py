"""The state machine of waves against whatever devices, people and two computers do, in any order: killed between any two steps, and one
computer going on while another thinks that it still has its turn."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from provisioning.errors import InputError
from provisioning.fleet import offer as offers
from provisioning.fleet import plan as plans
from provisioning.fleet import wave as states
from provisioning.fleet.carrier import DONE, FAILED, ROLLED_BACK, WRITING
from provisioning.fleet.plan_rows import PlanBusy
from provisioning.fleet.session import Session
from provisioning.ledger.store import Ledger
from tests.fleet.field import Field, Mine, devices

WAVES = "  - {name: first, by: jobs, canary: 3}\n  - {name: second, by: jobs, canary: 2}\n  - {name: rest, by: jobs, rest: true}"
NAMES = ("first", "second", "rest")
EVERYBODY = [f"ws-{n}" for n in range(8)]


class Killed(BaseException):
    """As SIGKILL: nothing is cleared up."""


@lru_cache(maxsize=8)
def _made(rules: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="twinroot-waves-"))
    Field(folder, str(folder / "ledger.sqlite")).make(devices(8), rules, WAVES)
    return folder


def teardown_module() -> None:
    for rules in RULES:
        shutil.rmtree(_made(rules), ignore_errors=True)
    _made.cache_clear()


RULES = (
    "{silent_after: 1h, failed: 40%, minimum: 2}",
    "{silent_after: 1h, failed: 99%, rolled_back: 2, success: 50%, silent: 99%}",
    "{silent_after: 2h, success: 60%, pause: 30m, failed: 99%, rolled_back: 8, silent: 100%}",
)


@lru_cache(maxsize=8)
def _loaded(text: str) -> tuple[plans.Plan, offers.Offer]:
    file = next(_made(rules) / "plan.yaml" for rules in RULES if (_made(rules) / "plan.yaml").read_text() == text)
    plan = plans.load(file)
    return plan, offers.load(plan)


def _without_sync(ledger: Ledger) -> None:
    """Nobody cuts the power here."""
    line = ledger._engine.raw_connection()
    line.cursor().execute("PRAGMA synchronous=OFF")
    line.close()


class Computer:
    """One of two that work on the plan; it opens everything anew each time."""

    def __init__(self, field: Field, name: str, step: Callable[[], None]) -> None:
        self.field, self.name, self.step = field, name, step

    def do(self, what: str) -> None:
        """`what`: look, end, or back:WAVE. Raises PlanBusy, InputError, Killed."""
        ledger = Ledger.open(self.field.url)
        try:
            _without_sync(ledger)
            self._do(ledger, what)
        finally:
            ledger.close()

    def _do(self, ledger: Ledger, what: str) -> None:
        beside = ledger.beside

        def counted(work: Any) -> Any:
            self.step()
            found = beside(work)
            self.step()
            return found

        plan, offer = _loaded(self.field.file.read_text())
        session = Session(ledger, plan, offer, None, None, lambda *_: self.field.carrier, self.field.clock)  # type: ignore[arg-type]
        turn = Mine(session, self.name)
        session.take_on()
        ledger.beside = counted  # type: ignore[method-assign]
        runner = session.runner(turn)
        name, _, wave = what.partition(":")
        if name == "back":
            runner.back(wave)
        elif name == "end":
            runner.end()
        else:
            runner.look()
        ledger.beside = beside  # type: ignore[method-assign]
        session.rows.give_turn("move", self.name)


COMMANDS = st.sampled_from(["look"] * 14 + [f"back:{name}" for name in ("first", *NAMES)] + ["end"])
STEPS = st.integers(0, 30)
SAID = st.sampled_from([DONE] * 10 + [WRITING, WRITING, FAILED, ROLLED_BACK])
SOME = st.sets(st.sampled_from(EVERYBODY), min_size=4)
# What happens, each with how often as the others: a method of Waves and its arguments.
HAPPENS = st.one_of(
    st.tuples(st.just("works"), COMMANDS),
    st.tuples(st.just("works"), COMMANDS),
    st.tuples(st.just("is_killed"), COMMANDS, STEPS),
    st.tuples(st.just("two_at_once"), COMMANDS, COMMANDS, STEPS, st.booleans()),
    st.tuples(st.just("devices_say"), SOME, SAID),
    st.tuples(st.just("devices_say"), SOME, SAID),
    st.tuples(st.just("answers_come_late"), st.sampled_from([WRITING, FAILED, ROLLED_BACK])),
    st.tuples(st.just("time_passes"), st.sampled_from([60, 1800, 3601])),
)


class Waves:
    def __init__(self, rules: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="twinroot-waves-"))
        shutil.copytree(_made(rules), self.folder, dirs_exist_ok=True)
        self.field = Field(self.folder, str(self.folder / "ledger.sqlite"), lambda _what: self.step())
        self.left: int | None = None
        self.then: Callable[[], None] = lambda: None
        self.a, self.b = (Computer(self.field, name, self.step) for name in "ab")
        self.done: set[str] = set()
        self.waves: dict[str, str] = {}  # as they were
        self.fixed: dict[str, list[str]] = {}
        self.ledger = Ledger.open(self.field.url)
        _without_sync(self.ledger)
        self.run(self.a, "look")

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                self.then()

    def run(self, computer: Computer, what: str) -> None:
        with contextlib.suppress(InputError):
            computer.do(what)

    def turn_runs_out(self) -> None:
        with self.ledger._engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM fleet_turns"))

    def works(self, what: str) -> None:
        self.turn_runs_out()
        self.run(self.a, what)

    def is_killed(self, what: str, at: int) -> None:
        def kill() -> None:
            raise Killed

        self.turn_runs_out()
        self.left, self.then = at, kill
        with contextlib.suppress(Killed):
            self.run(self.a, what)
        self.left = None

    def two_at_once(self, what: str, other: str, at: int, after: bool) -> None:
        """The second comes while the first is between two steps; `after`: when the first one's turn has run out without its knowledge."""

        def meanwhile() -> None:
            if after:
                self.turn_runs_out()
                self.run(self.b, other)
            else:
                before = self.seen()
                with pytest.raises(PlanBusy):
                    self.b.do(other)
                assert self.seen() == before

        self.turn_runs_out()
        self.left, self.then = at, meanwhile
        with contextlib.suppress(PlanBusy):
            self.run(self.a, what)
        self.left = None

    def devices_say(self, who: set[str], state: str) -> None:
        for key in self.keys():
            for device in set(self.field.carrier.offered(key)) & who:
                said = self.field.carrier.folder / key / f"{device}.said"
                withdrawn = (said.parent / "stopped").exists() and not said.exists()
                if not withdrawn and (not said.exists() or said.read_text() == WRITING):
                    self.field.carrier.say(key, state, [device])

    def answers_come_late(self, state: str) -> None:
        """After others, which they contradict."""
        for key in self.keys():
            for said in (self.field.carrier.folder / key).glob("*.said"):
                said.write_text(state)

    def time_passes(self, seconds: int) -> None:
        self.field.clock.now += seconds

    def keys(self) -> list[str]:
        return [f"move_{name}_{way}" for name in NAMES for way in ("forward", "back")]

    def seen(self) -> Any:
        with self.ledger._engine.connect() as connection:
            waves = dict(connection.execute(sa.text("SELECT wave, state FROM fleet_waves")).fetchall())
            members = connection.execute(sa.text("SELECT device, wave, state FROM fleet_members ORDER BY device")).fetchall()
        return waves, [tuple(row) for row in members]

    def holds(self) -> None:
        waves, members = self.seen()
        assert [device for device, _, _ in members] == EVERYBODY
        wave_of = {device: wave for device, wave, _ in members}
        state_of = {device: state for device, _, state in members}
        for name in NAMES:
            forward, back = (self.field.carrier.offered(f"move_{name}_{way}") for way in ("forward", "back"))
            assert len(set(forward)) == len(forward) and len(set(back)) == len(back), "offered twice"
            assert all(wave_of[device] == name for device in forward), "in one wave only"
            assert set(back) <= set(forward), "back only after forward"
            assert not back or waves[name] in (*states.GOING_BACK, states.TAKEN_BACK, states.BACK_INCOMPLETE)
            if waves[name] in (states.PENDING, states.LEFT_OUT):
                assert not forward
            if waves[name] in states.HALTED:
                assert self.fixed.setdefault(name, forward) == forward, "offered after a stop"
            for device in forward:
                # Who has the new set, as far as this program knows, is either done or was asked to go back.
                if state_of[device] in states.FORWARD_STEPS:
                    assert not back or device not in back
        for number, name in enumerate(NAMES):
            earlier = [self.waves.get(each) for each in NAMES[:number]]
            if any(state in states.HALTED for state in earlier) and self.waves[name] == states.PENDING:
                assert waves[name] in (states.PENDING, states.LEFT_OUT), "a later wave began after a stop"
        self.waves = waves
        self.done |= {device for device, state in state_of.items() if state == DONE}
        assert all(state_of[device] == DONE or state_of[device] in states.BACK_STEPS for device in self.done), "done is final"

    def close(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.mark.parametrize("examples", [10, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_whatever_happens(examples: int) -> None:
    reached: set[str] = set()

    @settings(
        max_examples=examples,
        phases=(Phase.generate,),  # a story is short enough to be read as it is
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=examples < 100,
    )
    @given(rules=st.sampled_from(RULES), story=st.lists(HAPPENS, min_size=15, max_size=25))
    def stories(rules: str, story: list[tuple[Any, ...]]) -> None:
        waves = Waves(rules)
        try:
            for what, *arguments in story:
                getattr(waves, what)(*arguments)
                waves.holds()
                reached.update(waves.seen()[0].values())
                reached.update(state for _, _, state in waves.seen()[1])
        finally:
            waves.close()

    stories()
    # Stories that never get anywhere prove nothing.
    few = {"running", "done", "stopped"}
    many = few | {"back-running", "taken-back", "back-failed", "rolled-back", "failed", "silent", "withdrawn"}
    assert reached >= (few if examples < 100 else many), reached
