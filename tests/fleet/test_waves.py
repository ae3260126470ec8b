"""Waves: offered, followed, stopped by rule, taken back; killed anywhere and gone on with; on a carrier that is a folder of files."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provisioning.errors import InputError
from provisioning.fleet import draft, status
from provisioning.fleet import offer as offers
from provisioning.fleet import plan as plans
from provisioning.fleet import wave as states
from provisioning.fleet.device import Device
from provisioning.fleet.plan_rows import PlanBusy, PlanEdited, PlanRows
from provisioning.fleet.run import Look, Runner
from provisioning.fleet.session import offer_of
from provisioning.fleet.store import FleetStore
from provisioning.fleet.turn import HeldTurn
from provisioning.ledger.store import Ledger
from tests.fleet.field import AT, DONE, FAILED, NAME, ROLLED_BACK, WRITING, Field, Mine, devices, sign

TWO = "  - {name: first, by: jobs, canary: 4}\n  - {name: rest, by: jobs, rest: true}"
FIRST, BACK, REST = "move_first_forward", "move_first_back", "move_rest_forward"


class Bench:
    """A field with an open ledger and a runner that has the turn."""

    def __init__(self, field: Field, ledger: Ledger) -> None:
        self.field = field
        self.ledger = ledger
        self.session = field.session(ledger)
        self.rows = self.session.rows
        self.lines: list[str] = []
        self.session.take_on()
        self.runner: Runner = self.session.runner(Mine(self.session), self.lines.append)

    def look(self) -> Look:
        return self.runner.look()

    def state(self, wave: str) -> str:
        return next(each.state for each in self.rows.waves("move") if each.wave == wave)

    def members(self, wave: str) -> list[str]:
        return [member.device for member in self.rows.members("move", wave)]

    def counts(self, wave: str) -> dict[str, int]:
        return self.rows.counts("move").get(wave, {})

    def say(self, key: str, state: str, who: list[str], detail: str = "") -> None:
        self.field.carrier.say(key, state, who, detail)

    def offered(self, key: str) -> list[str]:
        return self.field.carrier.offered(key)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """On SQLite."""
    yield from _benches(tmp_path, str(tmp_path / "ledger.sqlite"))


@pytest.fixture
def bench_on(tmp_path: Path, url: str) -> Iterator[Callable[..., Bench]]:
    """On both databases."""
    yield from _benches(tmp_path, url)


def _benches(tmp_path: Path, url: str) -> Iterator[Callable[..., Bench]]:
    opened: list[Ledger] = []

    def make(fleet: Any = None, rules: str = "", waves: str = TWO) -> Bench:
        field = Field(tmp_path, url)
        field.make(fleet if fleet is not None else devices(12), rules, waves)
        opened.append(Ledger.open(url))
        return Bench(field, opened[-1])

    yield make
    for ledger in opened:
        ledger.close()


def test_waves_follow_each_other(bench_on: Callable[..., Bench]) -> None:
    b = bench_on(rules="{pause: 1h}")
    assert not b.look().stopped
    assert sorted(b.offered(FIRST)) == b.members("first") and b.offered(REST) == []
    b.say(FIRST, WRITING, b.members("first")[:1])
    b.look()
    assert b.counts("first") == {"offered": 3, "writing": 1}
    b.say(FIRST, DONE, b.members("first"), "set 2")
    b.look()
    assert b.state("first") == "done" and b.state("rest") == "waiting"  # the pause
    b.field.clock.now += 3601
    look = b.look()
    assert look.waits and b.state("rest") == "running" and len(b.offered(REST)) == 8
    b.say(REST, DONE, b.members("rest"))
    assert b.look() == Look(True, False, None)
    assert [wave.state for wave in b.rows.waves("move")] == ["done", "done"]
    assert status.report(b.rows, "move")["state"] == "done"
    assert sorted(b.offered(FIRST) + b.offered(REST)) == sorted(f"ws-{n}" for n in range(12))


def test_the_next_wave_does_not_wait_for_stragglers(bench: Callable[..., Bench]) -> None:
    b = bench(rules="{success: 75%}")
    b.look()
    b.say(FIRST, DONE, b.members("first")[:3])
    b.look()
    assert (b.state("first"), b.state("rest")) == ("running", "running")
    b.say(FIRST, ROLLED_BACK, b.members("first")[3:], "no heap")
    look = b.look()
    assert look.stopped is not None and look.stopped.wave == "first" and b.state("rest") == "running"


@pytest.mark.parametrize(
    ("rules", "said", "why"),
    [
        ("{failed: 10%}", [(DONE, 3), (FAILED, 1)], "1 of 4 devices that answered failed, and the rule allows 10 %"),
        ("{failed: 99%, minimum: 2}", [(ROLLED_BACK, 1)], "1 of 4 devices rolled it back, and the rule allows 0"),
        ("{silent: 10%, silent_after: 1h}", [(DONE, 3)], "1 of 4 devices are silent, and the rule allows 10 %"),
        ("{silent: 100%, silent_after: 1h, success: 80%}", [(DONE, 3)], "only 3 of 4 devices are done, and the rule wants 80 %"),
    ],
)
def test_rules_stop_a_wave(bench: Callable[..., Bench], rules: str, said: list[tuple[str, int]], why: str) -> None:
    b = bench(rules=rules)
    b.look()
    who = b.members("first")
    for state, count in said:
        b.say(FIRST, state, who[:count], "why it did")
        who = who[count:]
    b.field.clock.now += 3601
    look = b.look()
    assert look.stopped is not None and look.stopped.reason == why
    assert b.state("first") == "stopped" and b.state("rest") == "waiting" and not look.waits
    assert (b.field.carrier.folder / FIRST / "stopped").read_text() == why
    assert b.look().stopped is not None and b.offered(REST) == []


def test_what_a_device_says_of_itself_counts(bench_on: Callable[..., Bench]) -> None:
    """Its job's answer was lost, its own report was not."""
    b = bench_on(rules="{rolled_back: 1, failed: 99%}")
    b.look()
    first = b.members("first")
    FleetStore(b.ledger).put(
        [
            Device(NAME, first[0], "mqtt", AT + 5, 2),
            Device(NAME, first[1], "mqtt", AT + 5, 1, refused=2),
            Device(NAME, "ws-x", "mqtt", AT, 2),
        ]
    )
    b.look()
    assert b.counts("first") == {"done": 1, "rolled-back": 1, "offered": 2}


def test_a_device_that_answers_late_counts(bench: Callable[..., Bench]) -> None:
    b = bench(rules="{silent: 50%, silent_after: 1h, success: 75%}")
    b.look()
    first = b.members("first")
    b.say(FIRST, DONE, first[:2])
    b.field.clock.now += 3601
    b.look()
    assert b.counts("first") == {"done": 2, "withdrawn": 2} and b.state("first") == "stopped"  # over, and not enough are done
    b.say(FIRST, DONE, first)
    b.look()
    assert b.counts("first") == {"done": 4} and b.state("first") == "stopped"


def test_back_is_offered_to_those_who_may_have_it(bench_on: Callable[..., Bench]) -> None:
    b = bench_on(rules="{failed: 10%, silent_after: 1h}")
    b.look()
    done, failed, writing, silent = b.members("first")
    b.say(FIRST, DONE, [done])
    b.say(FIRST, FAILED, [failed], "no space")
    b.say(FIRST, WRITING, [writing])
    b.look()
    look = b.runner.back("first")
    assert b.state("first") == "back-running" and look.waits
    assert sorted(b.offered(BACK)) == sorted([done, writing])  # the silent one's offer was withdrawn: it had not begun
    assert b.counts("first") == {"back-offered": 2, "failed": 1, "withdrawn": 1}
    assert b.look().stopped is not None and b.offered(REST) == []  # run meanwhile starts nothing
    b.say(BACK, DONE, [done])
    b.runner.back("first")
    assert b.state("first") == "back-running"
    b.field.clock.now += 3601
    look = b.runner.back("first")
    assert b.state("first") == "taken-back" and not look.waits
    assert b.counts("first") == {"taken-back": 1, "back-silent": 1, "failed": 1, "withdrawn": 1}
    assert status.report(b.rows, "move")["waves"][0]["silent"] == [writing]
    assert silent in b.members("first")


def test_who_cannot_go_back_is_named(bench: Callable[..., Bench]) -> None:
    b = bench(rules="{failed: 10%, silent_after: 1h}")
    b.look()
    b.runner.back("first")  # of a wave that runs: it is stopped first
    assert (b.field.carrier.folder / FIRST / "stopped").exists()
    with pytest.raises(InputError, match="has not started"):
        b.runner.back("rest")
    assert b.state("first") == "taken-back"  # nobody had begun


def test_failures_on_the_way_back_end_it_openly(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.look()
    first = b.members("first")
    b.say(FIRST, DONE, first)
    b.look()
    b.runner.back("first")
    b.say(BACK, DONE, first[:3])
    b.say(BACK, ROLLED_BACK, first[3:], "the old endpoint is gone")
    look = b.runner.back("first")
    assert look.stopped is not None and look.stopped.state == "back-failed"
    assert status.report(b.rows, "move")["waves"][0]["failed"] == first[3:]


def test_a_second_computer_says_who_works(bench_on: Callable[..., Bench], url: str) -> None:
    b = bench_on()
    with Ledger.open(url) as other:
        rows = PlanRows(other)
        with pytest.raises(PlanBusy, match=r"test works on the plan move, and has its turn for 3\d\d\d s"), HeldTurn(rows, "move", None):
            pytest.fail("two have it")
        # The first one loses its turn: nothing that it does changes a row any more.
        rows.give_turn("move", "test")
        with HeldTurn(rows, "move", None):
            with pytest.raises(PlanBusy):
                b.look()
            assert b.state("first") == "waiting" and b.offered(FIRST) == []
        assert not b.rows.take_turn("move", "test", 60)
        assert b.look().waits


def test_a_turn_is_renewed_and_ends_with_its_program(bench_on: Callable[..., Bench], url: str) -> None:
    b = bench_on()
    b.rows.give_turn("move", "test")
    with HeldTurn(b.rows, "move", lambda: Ledger.open(url), seconds=3) as turn:
        first, deadline = turn._until, time.monotonic() + 10
        while turn._until == first:
            assert time.monotonic() < deadline
            turn._ended.wait(0.02)
        turn.check()
    b.rows.take_turn("move", "another", 5)


def test_an_edited_plan_is_refused_until_it_is_taken_on(bench_on: Callable[..., Bench]) -> None:
    b = bench_on()
    b.look()
    b.field.file.write_text(b.field.file.read_text().replace("per_minute: 100", "per_minute: 50") + "# thought again\n")
    changed = b.field.session(b.ledger)
    with pytest.raises(PlanEdited, match="was edited since"):
        changed.take_on()
    changed.take_on(again=True)
    b.field.session(b.ledger).take_on()
    assert b.state("first") == "running" and len(b.members("rest")) == 8
    # Later waves may change: half of the rest becomes a wave of its own.
    text = b.field.file.read_text()
    b.field.file.write_text(text.replace("  - {name: rest", "  - {name: half, by: jobs, where: {site: berlin}}\n  - {name: rest"))
    later = b.field.session(b.ledger)
    with pytest.raises(InputError, match="select other devices now"):
        later.take_on(again=True)
    later.take_on(again=True, as_now=True)
    assert len(b.members("half")) + len(b.members("rest")) == 8 and len(b.members("first")) == 4
    assert [wave.wave for wave in b.rows.waves("move")] == ["first", "half", "rest"]
    b.field.file.write_text(b.field.file.read_text().replace("canary: 4", "canary: 5"))
    with pytest.raises(PlanEdited, match="changes the wave first, which is running"):
        b.field.session(b.ledger).take_on(again=True, as_now=True)


def test_notes_and_newer_numbers_are_no_edit(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.look()
    b.field.file.write_text(b.field.file.read_text() + "# a note\n")
    draft.refresh(b.ledger, plans.load(b.field.file), offers.load_products(plans.load(b.field.file)), AT + 60)
    b.field.session(b.ledger).take_on()


def test_other_sets_are_another_plan(bench: Callable[..., Bench]) -> None:
    b = bench()
    sign(b.field.folder / "product.ats-first.yaml", b.field.folder / "forward.bin", days=90)
    with pytest.raises(PlanEdited, match=r"forward\.bin is not the signed set with which the plan move was taken on"):
        b.field.session(b.ledger)
    wanted = b.field.folder / "product.ats-first.yaml"
    wanted.write_text(wanted.read_text().replace("version: 2", "version: 5"))
    with pytest.raises(PlanEdited, match="version 5 of weather-station; the plan move was taken on with version 2"):
        b.field.session(b.ledger)


def test_a_plan_that_runs_needs_no_more_than_it_uses(bench: Callable[..., Bench]) -> None:
    """The product moves on to what is wanted, as people do it, and files that are not offered any more are gone."""
    b = bench()
    b.look()
    shutil.copy(b.field.folder / "product.ats-first.yaml", b.field.folder / "product.yaml")
    (b.field.folder / "forward.bin").unlink()
    session = b.field.session(b.ledger)
    session.take_on()
    session.take_on(again=True)
    with pytest.raises(InputError, match=r"forward\.bin cannot be read") as error:
        session.offer.sets["forward"]
    assert "end it with" in error.value.hint
    assert session.offer.sets["back"].manifest["version"] == 3
    (b.field.folder / "back.bin").unlink()
    with pytest.raises(InputError, match=r"back\.bin cannot be read"):
        session.offer.sets["back"]
    assert offer_of(b.rows, plans.load(b.field.file), ()).version("back") == 3  # as `end` opens it


def test_nothing_is_ended_or_taken_back_that_this_ledger_did_not_start(bench: Callable[..., Bench]) -> None:
    b = bench()
    plan = replace(plans.load(b.field.file), name="elsewhere")
    for uses in ((), ("back",)):
        with pytest.raises(InputError, match="nothing of it was offered from here") as error:
            offer_of(b.rows, plan, uses)
        assert "--ledger" in error.value.hint and "migrate run" not in error.value.hint


def test_one_plan_at_a_time_for_a_fleet(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.look()
    b.field.file.write_text(b.field.file.read_text().replace('plan: "move"', "plan: again"))
    with pytest.raises(InputError, match="follows the plan move, which is not over"):
        b.field.session(b.ledger).take_on()
    b.runner.end()
    assert [wave.state for wave in b.rows.waves("move")] == ["stopped", "left-out"]
    b.field.session(b.ledger).take_on(as_now=True)
    assert b.rows.open_plans(NAME) == ["again"]


def test_devices_that_changed_since_the_review_are_seen(tmp_path: Path) -> None:
    url = str(tmp_path / "ledger.sqlite")
    field = Field(tmp_path, url)
    field.make(devices(12), waves=TWO)
    with Ledger.open(url) as ledger:
        FleetStore(ledger).put([Device(NAME, "ws-new", "mqtt", AT, 1, firmware="1.25.0")])
        with pytest.raises(InputError, match=r"select other devices now than when it was reviewed \(rest 8 -> 9\)"):
            field.session(ledger).take_on()
        field.session(ledger).take_on(as_now=True)
        assert sum(1 for _ in PlanRows(ledger).members("move", "rest")) == 9


# Killed anywhere.


def _story(field: Field, ledger: Ledger) -> None:
    """A wave passes, the next one is stopped by its rule and taken back: what a program does until its end, from wherever it is."""
    session = field.session(ledger)
    session.take_on()
    runner = session.runner(Mine(session))
    rows = session.rows
    for _ in range(4):
        look = runner.look()
        for wave, key in (("first", FIRST), ("rest", REST)):
            offered = sorted(set(field.carrier.offered(key)))
            bad = offered[:1] if wave == "rest" else []
            field.carrier.say(key, ROLLED_BACK, bad, "no heap")
            field.carrier.say(key, DONE, [device for device in offered if device not in bad][: 3 if wave == "rest" else None])
        if look.stopped is not None:
            break
    for _ in range(3):
        runner.back("rest")
        field.carrier.say("move_rest_back", DONE, field.carrier.offered("move_rest_back"))
    assert rows.waves("move")[1].state in ("taken-back",)


def _outcome(field: Field, ledger: Ledger) -> Any:
    rows = PlanRows(ledger)
    waves = [(wave.wave, wave.state, wave.reason) for wave in rows.waves("move")]
    return waves, [(m.device, m.wave, m.state) for m in rows.members("move")]


def _until_killed(field: Field, url: str, at: int) -> None:
    """In a process of its own: SIGKILL at the `at`-th step, before or after a change of a row or a request to the carrier."""
    count = 0

    def step(_what: str) -> None:
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    field.carrier._step = step
    ledger = Ledger.open(url)
    beside = ledger.beside

    def counted(work: Any) -> Any:
        step("before a row")
        found = beside(work)
        step("after a row")
        return found

    ledger.beside = counted  # type: ignore[method-assign]
    _story(field, ledger)
    ledger.close()
    os._exit(0)


@pytest.mark.parametrize("every", [pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(600)]), 9])
def test_killed_at_any_step_it_comes_to_the_same_end(tmp_path: Path, every: int) -> None:
    """The long form kills at each step; the other at some, and at others than those in another run."""
    made = tmp_path / "made"
    made.mkdir()
    Field(made, str(made / "ledger.sqlite")).make(devices(10), waves=TWO)
    calm = tmp_path / "calm"
    shutil.copytree(made, calm)
    with Ledger.open(calm / "ledger.sqlite") as ledger:
        field = Field(calm, "")
        _story(field, ledger)
        wanted = _outcome(field, ledger)
        offers = {key: sorted(field.carrier.offered(key)) for key in (FIRST, REST, "move_rest_back")}
    assert wanted[0][1][1] == "taken-back" and len(offers[REST]) == 6 and len(offers["move_rest_back"]) == 3
    context = multiprocessing.get_context("fork")
    at = random.randrange(every)
    while True:
        at += every
        here = tmp_path / f"at-{at}"
        shutil.copytree(made, here)
        field, url = Field(here, str(here / "ledger.sqlite")), str(here / "ledger.sqlite")
        child = context.Process(target=_until_killed, args=(field, url, at))
        child.start()
        child.join(60)
        print(at)
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL, at
        with Ledger.open(url) as ledger:
            _story(field, ledger)
            assert _outcome(field, ledger) == wanted, at
        for key, devices_of in offers.items():
            assert sorted(field.carrier.offered(key)) == devices_of, (at, key)
        shutil.rmtree(here)
    assert at > 40, "all of it was met"


def test_states_lead_somewhere() -> None:
    assert set(states.NEXT) == {state for after in states.NEXT.values() for state in after} | {states.PENDING}
