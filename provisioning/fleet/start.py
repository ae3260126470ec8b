"""A plan is taken on: what was reviewed is compared with what is known now, then plan, waves and devices are written down together.

From there on the file is only compared. One that was edited is refused until it is taken on again, which may change rules and waves that
have not started; what has started, and the signed sets, stay.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from provisioning.config.document import shown
from provisioning.errors import InputError
from provisioning.fleet import collect, sets
from provisioning.fleet import offer as offers
from provisioning.fleet import wave as states
from provisioning.fleet.membership import Membership, Terms, resolve
from provisioning.fleet.offer import Offer
from provisioning.fleet.plan import BACK, FORWARD, JOBS, ByJobs, Plan
from provisioning.fleet.plan import Wave as PlanWave
from provisioning.fleet.plan_rows import PlanEdited, PlanRows, Taken, other
from provisioning.fleet.records import Wave
from provisioning.fleet.store import FleetStore
from provisioning.ledger.store import Ledger
from provisioning.parsed import from_json


@dataclass(frozen=True)
class Body:
    """What is written down of a plan beside its rows: its text, and what it was taken on with (offer.Terms)."""

    text: str
    sets: dict[str, str]
    versions: dict[str, int]
    leaves: bool = True
    signed: bool = True

    @classmethod
    def of(cls, plan: Plan, offer: Offer) -> Body:
        versions = {way: offer.version(way) for way in (FORWARD, BACK)}
        return cls(plan.text, {way: each.sha256 for way, each in offer.sets.items()}, versions, offer.leaves, offer.signed)

    @classmethod
    def parsed(cls, text: str) -> Body:
        return cls(**from_json(text))

    @property
    def terms(self) -> offers.Terms:
        return offers.Terms(self.sets, self.versions, self.leaves, self.signed)

    def json(self) -> str:
        return json.dumps(vars(self), sort_keys=True)


def terms(plan: Plan, offer: Offer) -> Terms:
    """What decides about its devices beside the waves."""
    return terms_of(offer, plan.jobs, plan.at)


def terms_of(offer: Offer, jobs: ByJobs, at: int) -> Terms:
    """The same for what is offered; `at`: unix seconds."""
    return Terms(offer.version(FORWARD), offer.roots, offer.leaves, offer.signed, jobs, at)


def members(ledger: Ledger, plan: Plan, offer: Offer) -> Membership:
    """Devices of the waves by what is known now. Raises InputError for a listed one of whom jobs know nothing."""
    rows = PlanRows(ledger)
    names = [wave.wave for wave in rows.waves(plan.name) if wave.state != states.PENDING and plan.wave(wave.wave)]
    begun = {name: [member.device for member in rows.members(plan.name, name)] for name in names}
    made = resolve(plan.name, plan.waves, FleetStore(ledger).devices(plan.product), terms(plan, offer), begun)
    for device, name in made.unknown.items():
        index = next(i for i, wave in enumerate(plan.waves) if wave.name == name)
        if plan.waves[index].by == JOBS:
            place = plan.waves[index].devices.index(device)
            problem = f"the ledger knows no device {device!r} of {plan.product}"
            raise plan.document.error(("waves", index, "devices", place), "plan-device", problem, "Correct it, or collect evidence first.")
    return made


def take_on(
    ledger: Ledger, plan: Plan, offer: Offer, *, again: bool = False, as_now: bool = False, clock: Callable[[], float] = time.time
) -> Membership | None:
    """Take the plan on; None where that was done before. `again`: an edited file is taken on, too; `as_now`: with the devices that fit it
    now, though they are not those of the review. Raises PlanEdited, InputError."""
    rows = PlanRows(ledger)
    held = rows.plan(plan.name)
    if held is not None:
        _same_product(plan, held)
        if held.sha256 == plan.sha256:
            return None
        if not again:
            raise PlanEdited(
                "plan-edited",
                f"{shown(plan.source)} is not the file that the fleet follows as {plan.name}: it was edited since.",
                f"`twinroot migrate start {shown(plan.source)}` takes it on: rules and waves that have not started may differ.",
            )
        _same_start(plan, rows)
    others = [name for name in rows.open_plans(plan.product) if name != plan.name]
    if others:
        raise other(plan.product, others[0])
    found = members(ledger, plan, offer)
    if found.sha256 != plan.members and not as_now:
        raise _changed(plan, found)
    waves = [Wave(plan.name, wave.name, number, wave.by, None, states.PENDING) for number, wave in enumerate(plan.waves)]
    # Devices will report their versions: what those have is known from here on, whichever product file `migrate status` gets.
    products = [product for product in (offer.now, offer.wanted, offer.back) if product is not None]
    collect.note_sets(FleetStore(ledger), plan.product, map(sets.of_product, products))
    body = Body.of(plan, offer) if held is None else replace(Body.parsed(held.body), text=plan.text)
    rows.take_on(Taken(plan.name, plan.product, plan.sha256, body.json(), int(clock())), waves, found.waves, found.absent)
    return found


def _same_product(plan: Plan, held: Taken) -> None:
    if held.product != plan.product:
        raise PlanEdited(
            "plan-edited",
            f"{shown(plan.source)} is about {plan.product}; the plan {plan.name} was taken on for {held.product}.",
            "Give the new plan a name of its own.",
        )


def _same_start(plan: Plan, rows: PlanRows) -> None:
    """Raises PlanEdited where what has started would change."""
    held = rows.plan(plan.name)
    begun = [wave for wave in rows.waves(plan.name) if wave.state != states.PENDING]
    before = {wave.name: wave.meaning for wave in _waves_of(Body.parsed(held.body).text)} if held else {}
    for index, wave in enumerate(begun):
        now = plan.waves[index] if index < len(plan.waves) else None
        if now is None or now.name != wave.wave or now.meaning != before[wave.wave]:
            raise PlanEdited(
                "plan-edited",
                f"{shown(plan.source)} changes the wave {wave.wave}, which is {wave.state} already.",
                "Put it back as it was; later waves and rules may change.",
            )


def _waves_of(text: str) -> tuple[PlanWave, ...]:
    import tempfile
    from pathlib import Path

    from provisioning.fleet import plan as plan_file

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.yaml"
        path.write_text(text, "utf-8")
        return plan_file.load(path).waves


def _changed(plan: Plan, found: Membership) -> InputError:
    differ = [
        f"{wave.name} {wave.count} -> {len(found.waves[wave.name])}"
        for wave in plan.waves
        if wave.count is not None and wave.count != len(found.waves[wave.name])
    ]
    what = f"({', '.join(differ)})" if differ else "(as many, and others)"
    return InputError(
        "plan-devices",
        f"{shown(plan.source)}: its waves select other devices now than when it was reviewed {what}.",
        f"`twinroot migrate plan {shown(plan.source)}` brings its numbers up to date for another review; "
        "`twinroot migrate start --as-now` takes the devices as they are.",
    )
