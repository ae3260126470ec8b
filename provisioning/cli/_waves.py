"""`twinroot migrate start | run | back | end`, and the parts of `plan` and `status` that are about waves: a fleet's migration."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli import _options as option
from provisioning.cli._many import screen
from provisioning.cli._options import PATH
from provisioning.cli._output import conclude, emit, say
from provisioning.errors import InputError, TwinrootError

if TYPE_CHECKING:
    from provisioning.aws.iot_api import Aws
    from provisioning.fleet.offer import Offer
    from provisioning.fleet.records import Wave
    from provisioning.fleet.run import Look, Runner
    from provisioning.fleet.session import Session
    from provisioning.job.many import PortResult

_PLAN = click.argument("plan_file", type=PATH, metavar="PLAN")
_region = click.option("--region", metavar="REGION", help="AWS region; by default the product's, then AWS's own configuration.")
_profile = click.option("--profile", metavar="NAME", help="Profile of AWS's own configuration.")
_once = click.option("--once", is_flag=True, help="One look, and no waiting: for cron.")
_ports = click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="PORT",
    help="Update these boards as part of a wave by cable: as of `twinroot update`, auto too.",
)


def _wave(required: bool) -> Callable[..., Any]:
    return click.option("--wave", metavar="NAME", required=required, help="This wave." if required else "Only this wave.")


@click.command()
@_PLAN
@option.ledger
@click.option("--as-now", is_flag=True, help="With the devices that its waves select now, though the review saw others.")
def start(plan_file: Path, location: str | None, as_now: bool) -> int:
    """Take a reviewed plan on, or an edited one: rules and waves that have not started may differ. Offers nothing yet."""
    with _session(plan_file, location) as session, session.turn():
        session.take_on(again=True, as_now=as_now)
        return _show(session, None)


@click.command()
@_PLAN
@option.ledger
@_wave(False)
@_once
@_ports
@option.count
@option.retries
@_region
@_profile
def run(
    plan_file: Path,
    location: str | None,
    wave: str | None,
    once: bool,
    ports: tuple[str, ...],
    count: int | None,
    retries: int,
    region: str | None,
    profile: str | None,
) -> int:
    """Run the waves of PLAN in their order: offer, follow, stop by rule. Stopped anywhere, on any computer, the same command goes on.

    Exit code 1 when a wave is stopped: it says why, and what comes next.
    """
    with _session(plan_file, location, region, profile) as session:
        _known_wave(session, wave)
        if ports or count is not None:
            return _by_cable(session, wave, location, ports, count, retries, lambda runner: runner.look(wave))
        with session.turn() as turn:
            session.take_on()
            runner = session.runner(turn, say)
            look = runner.look(wave) if once else runner.follow(lambda: runner.look(wave), time.sleep)
            return _show(session, _stopped(session, look))


@click.command()
@_PLAN
@option.ledger
@_wave(True)
@_once
@_ports
@option.count
@option.retries
@_region
@_profile
def back(
    plan_file: Path,
    location: str | None,
    wave: str,
    once: bool,
    ports: tuple[str, ...],
    count: int | None,
    retries: int,
    region: str | None,
    profile: str | None,
) -> int:
    """Take a wave back: the way back is offered to its devices that took the set or may have. Later waves do not start any more.

    Exit code 1 when a device that answered is not back.
    """
    with _session(plan_file, location, region, profile, uses=("back",)) as session:
        from provisioning.fleet.plan_rows import other
        from provisioning.fleet.session import taken

        _known_wave(session, wave)
        held = taken(session.rows, session.plan.name, str(plan_file))
        others = [name for name in session.rows.open_plans(held.product) if name != held.plan]
        if others:
            raise other(held.product, others[0])
        if ports or count is not None:
            return _by_cable(session, wave, location, ports, count, retries, lambda runner: runner.back(wave))
        with session.turn() as turn:
            session.take_on()
            runner = session.runner(turn, say)
            look = runner.back(wave) if once else runner.follow(lambda: runner.back(wave), time.sleep)
            return _show(session, _stopped(session, look))


@click.command()
@_PLAN
@option.ledger
@_region
@_profile
def end(plan_file: Path, location: str | None, region: str | None, profile: str | None) -> int:
    """End a plan: what runs is stopped, what waits is left out. Another plan may follow."""
    with _session(plan_file, location, region, profile, uses=()) as session, session.turn() as turn:
        from provisioning.fleet.session import taken

        taken(session.rows, session.plan.name, str(plan_file))
        session.runner(turn, say).end()
        return _show(session, None)


def status(plan_file: Path, location: str | None) -> int:
    """`migrate status` of a plan: asks nobody, and needs neither its sets nor its product files."""
    from provisioning.fleet import plan as plans
    from provisioning.fleet import status as page
    from provisioning.fleet.plan_rows import PlanRows
    from provisioning.fleet.session import taken
    from provisioning.ledger.store import Ledger

    plan = plans.load(plan_file)
    with Ledger.open(location, create=False) as ledger:
        ledger.require_form()
        rows = PlanRows(ledger)
        held = taken(rows, plan.name, str(plan_file))
        found = page.report(rows, plan.name)
    if held.sha256 != plan.sha256:
        say(f"note: {plan_file} was edited since it was taken on; this is the plan that the fleet follows")
    emit(found, lambda: page.text(found))
    return 0


def plan_waves(
    product: Path, phase: str | None, location: str | None, file: Path, name: str | None, forward: str | None, back_set: str | None
) -> int:
    """`migrate plan PRODUCT [--to PHASE] --waves FILE`: a first plan, made from evidence."""
    from provisioning.config.load import load_product
    from provisioning.fleet import draft
    from provisioning.fleet.store import FleetStore
    from provisioning.ledger.store import Ledger

    name = name or re.sub(r"[^A-Za-z0-9-]+", "-", file.stem)[:30].strip("-") or "plan"
    draft.check_new(file)
    sets = forward or f"{name}.forward.bin", back_set or f"{name}.back.bin"
    with Ledger.open(location, create=False) as ledger:
        ledger.require_form()
        newest = FleetStore(ledger).newest(load_product(product).name)
        wanted, way_back = draft.product_files(product, phase, newest)
        made = draft.draft(ledger, name, product, wanted, way_back, file, sets, int(time.time()))
    draft.write(file, made.text)
    for path, made_set in ((wanted, sets[0]), (way_back, sets[1])):
        say(f"{path}: render it, and sign it as {made_set}")
    if phase is None:
        say(
            f"{way_back} is the way back: where the application changes, let its `app:` name the former files; "
            "where firmware goes along, sign it with the former one"
        )
    _show_membership(file, name, made.waves, made.membership)
    return 0


def plan_again(plan_file: Path, location: str | None) -> int:
    """`migrate plan PLAN`: its numbers, brought up to date."""
    from provisioning.fleet import draft
    from provisioning.fleet import offer as offers
    from provisioning.fleet import plan as plans
    from provisioning.ledger.store import Ledger

    plan = plans.load(plan_file)
    with Ledger.open(location, create=False) as ledger:
        ledger.require_form()
        found = draft.refresh(ledger, plan, offers.load_products(plan), int(time.time()))
    _show_membership(plan_file, plan.name, plan.waves, found)
    return 0


def _show_membership(file: Path, name: str, waves: Sequence[Any], found: Any) -> None:
    from provisioning.fleet import draft

    data = {
        "plan": name,
        "file": str(file),
        "waves": [{"wave": wave.name, "by": wave.by, "devices": len(found.waves[wave.name])} for wave in waves],
        "devices": found.devices,
        "members": found.sha256,
        "not_served": found.reasons(),
        "not_served_devices": found.absent,
        "unknown": found.unknown,
    }
    emit(data, lambda: "\n".join([f"{file}: {found.devices} devices in {len(waves)} waves", *draft.summary(waves, found)]))


def _session(
    plan_file: Path,
    location: str | None,
    region: str | None = None,
    profile: str | None = None,
    uses: Sequence[str] = ("forward", "back"),
) -> Any:
    from provisioning.fleet.session import opened

    def connect(offer: Offer) -> Aws:
        from provisioning.aws import iot_api
        from provisioning.aws.endpoints import region_of

        return iot_api.connect(region or region_of(offer.wanted), profile)

    return opened(plan_file, location, connect, uses)


def _known_wave(session: Session, name: str | None) -> None:
    from provisioning.config.nearest import did_you_mean

    names = [wave.name for wave in session.plan.waves]
    if name is not None and name not in names:
        hint = did_you_mean(name, names) or f"It has {', '.join(names)}."
        raise InputError("no-wave", f"The plan {session.plan.name} has no wave {name[:30]!r}.", hint)


def _stopped(session: Session, look: Look) -> TwinrootError | None:
    from provisioning.fleet.run import failure_of

    return failure_of(look.stopped, str(session.plan.source)) if look.stopped is not None else None


def _show(session: Session, failure: TwinrootError | None, boards: Sequence[PortResult] = ()) -> int:
    from provisioning.fleet import status as page

    found = page.report(session.rows, session.plan.name)
    more = {"reports": [row.as_dict() for row in boards]} if boards else {}
    return conclude({**found, **more}, lambda: page.text(found), failure)


def _by_cable(
    session: Session,
    name: str | None,
    location: str | None,
    ports: tuple[str, ...],
    count: int | None,
    retries: int,
    step: Callable[[Runner], Look],
) -> int:
    """Boards that are here. The turn is had for a moment before and after them: several people may go on with one wave at once."""
    from provisioning.fleet import cable_run
    from provisioning.fleet.plan_rows import PlanBusy
    from provisioning.job.many import Stopped, exit_code
    from provisioning.job.ports import expand

    if name is None:
        raise InputError("bad-arguments", "--port is for boards of one wave.", "Add --wave NAME.")

    def look(needed: bool) -> Look | None:
        try:
            with session.turn() as turn:
                session.take_on()
                return step(session.runner(turn, say))
        except PlanBusy:
            if needed:
                raise
            return None  # whoever has it takes over what the rows say

    def row() -> Wave | None:
        return next((wave for wave in session.rows.waves(session.plan.name) if wave.wave == name), None)

    wave = row()
    if wave is None or wave.state not in ("running", "back-running"):
        look(needed=True)
        wave = row()
    assert wave is not None  # noqa: S101  the plan was taken on
    direction = cable_run.direction_of(wave)
    product = session.plan.product_of(direction)
    found = expand(ports or ("auto",), count, session.offer.product(direction).board.usb_ids)
    interrupted = False
    try:
        with screen(found) as watch:
            results = cable_run.update_boards(session.rows, wave, product, location, found, retries, watch)
    except Stopped as ended:
        results, interrupted = ended.rows, True
    last = look(needed=False)
    failure = _stopped(session, last) if last is not None else None
    code = _show(session, failure, results)
    return 130 if interrupted else max(code, exit_code(results))
