"""A plan with everything that works on it: its file, its sets, the ledger, the turn, and what carries its waves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.errors import InputError
from provisioning.fleet import offer as offers
from provisioning.fleet import plan as plans
from provisioning.fleet import start
from provisioning.fleet.carrier import Carrier
from provisioning.fleet.offer import Offer
from provisioning.fleet.plan import CABLE, Plan
from provisioning.fleet.plan_rows import PlanRows, Taken, Turn
from provisioning.fleet.records import Wave
from provisioning.fleet.run import Runner
from provisioning.fleet.turn import HeldTurn
from provisioning.fleet.wave import BACK_STEPS
from provisioning.ledger.store import Ledger

if TYPE_CHECKING:
    from provisioning.aws.iot_api import Aws

MakeCarrier = Callable[["Session", Wave, str, Turn], Carrier]


class Session:
    """`connect`: opens AWS when a wave by jobs needs it; `make`: makes carriers, for tests another one."""

    def __init__(
        self,
        ledger: Ledger,
        plan: Plan,
        offer: Offer,
        connect: Callable[[Offer], Aws],
        again: Callable[[], Ledger] | None,
        make: MakeCarrier | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ledger = ledger
        self.plan = plan
        self.offer = offer
        self.rows = PlanRows(ledger)
        self.clock = clock
        self._connect = connect
        self._again = again
        self._make = make or _carrier
        self._aws: Aws | None = None

    @property
    def aws(self) -> Aws:
        """AWS, asked for when it is needed."""
        if self._aws is None:
            self._aws = self._connect(self.offer)
        return self._aws

    @contextmanager
    def turn(self) -> Iterator[HeldTurn]:
        """This program's turn. Raises PlanBusy."""
        with HeldTurn(self.rows, self.plan.name, self._again) as turn:
            yield turn

    def take_on(self, *, again: bool = False, as_now: bool = False) -> None:
        """See start.take_on."""
        start.take_on(self.ledger, self.plan, self.offer, again=again, as_now=as_now, clock=self.clock)

    def runner(self, turn: Turn, tell: Callable[[str], None] = lambda _text: None) -> Runner:
        """What takes the steps, for as long as `turn` is had."""
        made: dict[tuple[str, str, int | None], Carrier] = {}

        def carriers(wave: Wave, direction: str) -> Carrier:
            key = wave.wave, direction, wave.started
            if key not in made:
                made[key] = self._make(self, wave, direction, turn)
            return made[key]

        versions = {way: self.offer.version(way) for way in (plans.FORWARD, plans.BACK)}
        return Runner(self.rows, self.plan.name, self.plan.product, self.plan.rules, versions, carriers, turn, tell, self.clock)


@contextmanager
def opened(
    plan_file: Path, location: str | None, connect: Callable[[Offer], Aws], uses: Sequence[str] = (plans.FORWARD, plans.BACK)
) -> Iterator[Session]:
    """The session of a plan file; `uses`: directions in which something may be offered. Raises InputError, StationError."""
    plan = plans.load(plan_file)
    with Ledger.open(location, create=False) as ledger:
        ledger.require_form()
        yield Session(ledger, plan, offer_of(PlanRows(ledger), plan, uses), connect, partial(Ledger.open, location, create=False))


def offer_of(rows: PlanRows, plan: Plan, uses: Sequence[str], clock: Callable[[], float] = time.time) -> Offer:
    """What the plan offers: by its files until it is taken on, then by what was written down. Raises InputError."""
    if rows.plan(plan.name) is None and set(uses) >= {plans.FORWARD, plans.BACK}:
        return offers.load(plan, clock)
    held = taken(rows, plan.name, str(plan.source))
    return offers.load_taken(plan, start.Body.parsed(held.body).terms, uses, clock)


def taken(rows: PlanRows, plan: str, file: str) -> Taken:
    """The plan as it is followed. Raises InputError where it was not taken on."""
    held = rows.plan(plan)
    if held is None:
        raise InputError(
            "plan-not-started",
            f"The fleet of this ledger does not follow a plan {plan}; nothing of it was offered from here.",
            f"Where it was started name that ledger with --ledger; `twinroot migrate start {file}` takes it on, and offers nothing yet.",
        )
    return held


def _carrier(session: Session, wave: Wave, direction: str, turn: Turn) -> Carrier:
    if wave.carrier == CABLE:
        from provisioning.fleet.by_cable import CableCarrier

        return CableCarrier(session.ledger, session.plan.product, session.offer.version(direction), wave.started or 0)
    from provisioning.fleet.by_jobs import JobsCarrier, Names
    from provisioning.fleet.store import FleetStore

    names = Names(session.offer.product(direction), lambda: FleetStore(session.ledger).devices(session.plan.product))

    def container() -> bytes:
        return session.offer.sets[direction].container

    def members() -> list[str]:
        among = None if direction == plans.FORWARD else tuple(BACK_STEPS)
        return [member.device for member in session.rows.members(wave.plan, wave.wave, among)]

    return JobsCarrier(session.aws, container, session.plan.jobs, session.plan.rules, names, members, turn.check)
