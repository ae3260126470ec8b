"""Waves run: each look takes over where devices are, lets the rules decide, and takes the next step. The database has the state, so a
program that is killed between any two steps is followed by another that takes the step once more, which comes to the same.

What is about to be asked of a carrier is written down before it is asked ("starting", "stopping", "back-starting"), and that it was done
after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from provisioning.errors import BoardError, InputError
from provisioning.fleet import wave as states
from provisioning.fleet.carrier import DONE, OFFERED, ROLLED_BACK, WAITING, WITHDRAWN, Carrier, Progress
from provisioning.fleet.plan import BACK, FORWARD, JOBS, Rules
from provisioning.fleet.plan_rows import PlanRows, Turn
from provisioning.fleet.records import Wave

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0  # seconds between two looks; doubled as long as nothing changes


class Carriers(Protocol):
    """What carries a wave in a direction."""

    def __call__(self, wave: Wave, direction: str) -> Carrier: ...


def key_of(wave: Wave, direction: str) -> str:
    """What a carrier knows a wave in a direction by; a job's id."""
    return f"{wave.plan}_{wave.wave}_{direction}"


@dataclass(frozen=True)
class Look:
    """What a look came to. `changed`: whether anything did; `waits`: whether there is something to wait for; `stopped`: the wave that
    keeps later ones from starting."""

    changed: bool
    waits: bool
    stopped: Wave | None


class Runner:
    """One plan, while this program has its turn."""

    def __init__(
        self,
        rows: PlanRows,
        plan: str,
        product: str,
        rules: Rules,
        versions: Mapping[str, int],
        carriers: Carriers,
        turn: Turn,
        tell: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rows = rows
        self._plan = plan
        self._product = product
        self._rules = rules
        self._versions = versions
        self._carriers = carriers
        self._turn = turn
        self._tell = tell
        self._clock = clock

    def look(self, only: str | None = None) -> Look:
        """Once over all waves, in their order; with `only`, over that one. Every step that can be taken is taken. Raises PlanBusy."""
        changed = waits = False
        halted: Wave | None = None
        ready = True
        for wave in self._rows.waves(self._plan):
            if only in (None, wave.wave):
                before = self._rows.counts(self._plan).get(wave.wave, {}), wave
                wave = self._look(wave, ready)
                changed |= before != (self._rows.counts(self._plan).get(wave.wave, {}), wave)
            if wave.state in states.HALTED:
                halted = halted or wave
            ready = ready and self._passed(wave)
            mine = only in (None, wave.wave)
            waits |= mine and wave.state in states.OPEN and not (wave.state == states.PENDING and halted is not None)
        return Look(changed, waits, halted)

    def back(self, name: str) -> Look:
        """The wave, on its way back: offered to all who took its set or may have. Raises InputError for one that has not started."""
        wave = next(wave for wave in self._rows.waves(self._plan) if wave.wave == name)
        if wave.state in (states.PENDING, states.LEFT_OUT):
            raise InputError("wave-not-started", f"The wave {name} has not started: there is nothing to take back.", "Leave it as it is.")
        before = self._rows.counts(self._plan).get(name, {}), wave
        if wave.state in states.GOING_FORWARD:
            wave = self._stop(wave, "it is taken back")
        if wave.state == states.STOPPING:
            wave = self._stopping(wave)
        if wave.state in (states.STOPPED, states.PASSED):
            self._take_over(wave)
            offered = {states.BACK_OFFERED: states.MAY_HAVE}
            job = key_of(wave, BACK)
            wave = self._move(wave, states.BACK_STARTING, offered, started=self._now(), ended=None, job=job)
        wave = self._look(wave, False)
        changed = before != (self._rows.counts(self._plan).get(name, {}), wave)
        return Look(changed, wave.state in states.GOING_BACK, wave if wave.state == states.BACK_INCOMPLETE else None)

    def end(self) -> None:
        """The plan is over: what runs is stopped, what waits is left out."""
        for wave in self._rows.waves(self._plan):
            if wave.state in states.GOING_FORWARD:
                wave = self._stop(wave, "the plan was ended")
            if wave.state == states.STOPPING:
                self._stopping(wave)
            elif wave.state == states.PENDING:
                self._move(wave, states.LEFT_OUT)
            elif wave.state in states.GOING_BACK:
                raise InputError(
                    "wave-going-back", f"The wave {wave.wave} is on its way back.", f"First: twinroot migrate back … --wave {wave.wave}"
                )

    def follow(self, step: Callable[[], Look], wait: Callable[[float], None]) -> Look:
        """Look again and again, until there is nothing to wait for."""
        pause = FIRST_PAUSE
        while True:
            found = step()
            if not found.waits:
                return found
            pause = FIRST_PAUSE if found.changed else min(2 * pause, LONGEST_PAUSE)
            wait(pause)

    # One wave.

    def _look(self, wave: Wave, may_start: bool) -> Wave:
        if wave.state == states.PENDING and may_start:
            job = key_of(wave, FORWARD)
            wave = self._move(wave, states.STARTING, {OFFERED: (WAITING,)}, started=self._now(), job=job)
        if wave.state == states.STARTING:
            devices = [member.device for member in self._rows.members(wave.plan, wave.wave)]
            if devices:
                self._carriers(wave, FORWARD).start(key_of(wave, FORWARD), devices)
            wave = self._move(wave, states.RUNNING)
            self._tell(f"Wave {wave.wave}: offered to {len(devices)} devices by {wave.carrier}.")
        if wave.state == states.RUNNING:
            wave = self._decide(wave)
        if wave.state == states.STOPPING:
            wave = self._stopping(wave)
        elif wave.state == states.STOPPED:
            self._take_over(wave)
        if wave.state in states.GOING_BACK:
            wave = self._going_back(wave)
        return wave

    def _decide(self, wave: Wave) -> Wave:
        self._take_over(wave)
        counts = self._rows.counts(wave.plan).get(wave.wave, {})
        found = states.verdict(self._rules, counts)
        if found.stop:
            return self._stop(wave, found.stop)
        if found.over:
            self._tell(f"Wave {wave.wave}: {counts.get(DONE, 0)} of {sum(counts.values())} devices are done.")
            return self._move(wave, states.PASSED, ended=self._now())
        return wave

    def _stop(self, wave: Wave, reason: str) -> Wave:
        self._tell(f"Wave {wave.wave} is stopped: {reason}.")
        return self._stopping(self._move(wave, states.STOPPING, reason=reason))

    def _stopping(self, wave: Wave) -> Wave:
        self._carriers(wave, FORWARD).stop(key_of(wave, FORWARD), wave.reason or "")
        self._take_over(wave)
        # Jobs that the rollout has not come to: they were told of nothing, and nothing has to be taken back.
        untold = {WITHDRAWN: (OFFERED,)} if wave.carrier == JOBS else None
        return self._move(wave, states.STOPPED, untold, ended=self._now())

    def _going_back(self, wave: Wave) -> Wave:
        if wave.state == states.BACK_STARTING:
            devices = [member.device for member in self._rows.members(wave.plan, wave.wave, (states.BACK_OFFERED,))]
            if devices:
                self._carriers(wave, BACK).start(key_of(wave, BACK), devices)
            wave = self._move(wave, states.BACK_RUNNING)
            self._tell(f"Wave {wave.wave}: the way back is offered to {len(devices)} devices by {wave.carrier}.")
        self._take_over(wave)
        counts = self._rows.counts(wave.plan).get(wave.wave, {})
        if any(counts.get(state) for state in states.UNDER_WAY[False]):
            return wave
        failed = counts.get(states.BACK_FAILED, 0)
        wave = self._move(wave, states.BACK_INCOMPLETE if failed else states.TAKEN_BACK, ended=self._now())
        self._tell(f"Wave {wave.wave}: {counts.get(states.BACK_DONE, 0)} devices are back, {failed} are not.")
        return wave

    def _take_over(self, wave: Wave) -> None:
        """Where the devices of the wave are, by what carries it and by what they said themselves; who is silent."""
        direction = BACK if wave.state in states.GOING_BACK else FORWARD
        self._rows.note(self._turn, wave, self._reports(wave, direction))
        if wave.state in (states.RUNNING, states.BACK_RUNNING):
            quiet = self._now() - self._rules.silent_after
            if quiet >= (wave.started or 0):
                self._rows.fall_silent(self._turn, wave, quiet, self._now())

    def _reports(self, wave: Wave, direction: str) -> Iterator[Progress]:
        forward = direction == FORWARD
        for one in self._carriers(wave, direction).progress(key_of(wave, direction)):
            yield one if forward else replace(one, state=states.AS_BACK[one.state])
        version = self._versions[direction]
        for device, has, seen in self._rows.evidence(self._product, wave, version):
            if has:
                yield Progress(device, DONE if forward else states.BACK_DONE, f"it says that it has version {version}", seen)
            else:
                yield Progress(device, ROLLED_BACK if forward else states.BACK_FAILED, f"it rolled version {version} back", seen)

    def _passed(self, wave: Wave) -> bool:
        """Whether the next wave may begin: enough are done, and the pause is over."""
        if wave.state not in (states.RUNNING, states.PASSED):
            return False
        size = sum(self._rows.counts(wave.plan).get(wave.wave, {}).values())
        wanted = states.enough(self._rules, size)
        at = self._rows.reached(wave.plan, wave.wave, wanted) if wanted else wave.started
        return at is not None and self._now() >= at + self._rules.pause

    def _move(self, wave: Wave, state: str, members: Mapping[str, tuple[str, ...]] | None = None, **values: object) -> Wave:
        self._rows.move(self._turn, wave, state, members, changed=self._now(), **values)
        return replace(wave, state=state, **values)  # type: ignore[arg-type]

    def _now(self) -> int:
        return int(self._clock())


def failure_of(stopped: Wave, plan_file: str) -> BoardError:
    """Why later waves do not begin, and what a person does next."""
    back = f"`twinroot migrate back {plan_file} --wave {stopped.wave}`"
    hints = {
        states.TAKEN_BACK: f"The plan goes no further: `twinroot migrate end {plan_file}`, then make a new one with the cause removed.",
        states.BACK_INCOMPLETE: "`twinroot migrate status` names the devices: go to them with a cable.",
        states.BACK_STARTING: f"{back} follows it.",
        states.BACK_RUNNING: f"{back} follows it.",
    }
    hint = hints.get(stopped.state, f"`twinroot migrate status {plan_file}` says who and why; {back} takes it back.")
    reason = f": {stopped.reason}" if stopped.reason else ""
    return BoardError("wave-stopped", f"The wave {stopped.wave} is {stopped.state}{reason}.", hint)
