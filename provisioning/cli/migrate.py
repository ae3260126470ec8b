"""`twinroot migrate`: from the VeriSign root to Amazon Trust Services, phase by phase, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning import output_file
from provisioning.cli import _fleet, _waves
from provisioning.cli import _options as option
from provisioning.cli._options import PATH
from provisioning.cli._output import conclude, emit, say
from provisioning.errors import BoardError, InputError
from provisioning.untrusted_text import one_line

if TYPE_CHECKING:
    from provisioning.config.product import Product
    from provisioning.migration.phases import Plan

_MAX_BEHIND = 20  # devices named one by one


def is_plan(file: Path) -> bool:
    """Whether the file is a plan of waves, and not a product."""
    from provisioning.config import yaml_source

    return "waves" in yaml_source.load(file).data


@click.group()
def command() -> None:
    """Plan the way from one root to the other: legacy-only, legacy-first, ats-first, ats-only."""


@command.command()
@option.product
@click.option("--next", "step", flag_value=1, type=int, help="Write the product of the next phase.")
@click.option("--back", "step", flag_value=-1, type=int, help="Write the product of the former phase.")
@click.option("--out", type=PATH, metavar="FILE", help="Write it there instead of over PRODUCT.")
@option.one_device("Reckon the cost with this device's files.")
@option.health
@click.option("--yes", is_flag=True, help="Go to ats-only without evidence that every device has connected by an ATS root.")
@click.option(
    "--to",
    "phase_wanted",
    metavar="PHASE",
    help="With --waves: the phase that the fleet is to be in; by default the one that PRODUCT has, with a set of the next version.",
)
@click.option("--waves", type=PATH, metavar="FILE", help="Write a first plan for the whole fleet, in waves, made from its evidence.")
@click.option("--name", metavar="NAME", help="With --waves: the plan's name; by default the file's.")
@click.option("--forward", metavar="FILE", help="With --waves: name of the signed set, relative to the plan.")
@click.option("--back-set", metavar="FILE", help="With --waves: name of the signed set of the way back.")
@option.ledger
def plan(
    product: Path,
    step: int | None,
    out: Path | None,
    device: str | None,
    files: tuple[Path, ...],
    yes: bool,
    phase_wanted: str | None,
    waves: Path | None,
    name: str | None,
    forward: str | None,
    back_set: str | None,
    location: str | None,
) -> int:
    """What each phase changes on a device, what it costs, and what breaks when a root or an endpoint disappears.

    With --to and --waves: a plan file for the whole fleet, which `migrate run` runs when it was reviewed. PRODUCT may be such a file:
    its numbers are brought up to date then.
    """
    if waves is not None or phase_wanted is not None:
        if waves is None:
            raise InputError("bad-arguments", "--to is for a plan in waves.", "Add --waves FILE, or use --next or --back.")
        return _waves.plan_waves(product, phase_wanted, location, waves, name, forward, back_set)
    if is_plan(product):
        return _waves.plan_again(product, location)
    from provisioning.bundle.bundle import build
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose
    from provisioning.migration import phases, yaml_edit

    if out and step is None:
        raise InputError("bad-arguments", "--out needs --next or --back.", "Add one of them.")
    loaded = load_product(product)
    if out:
        output_file.check(out, output_file.product_file(loaded.name))
    here = phases.position(loaded)
    phase = here.phase
    if step is not None:
        target = phases.neighbour(here.endpoint, phase, step)
        if target == "ats-only" and not yes:
            _ask_evidence(loaded, files, location, target)
        change: dict[yaml_edit.Path_, str] = {("cloud", "phase"): target}
        phases.refuse_retired(loaded, target, here.routes(target))
        load_product(product, yaml_edit.changed(product, change).decode())  # a phase that this product cannot have is not written
        yaml_edit.change_file(product, change, out)
        say(f"{out or product}: phase {phase} -> {target}")
        phase = target
    way = here.plan()
    set_bytes = None
    if device:
        loaded = load_product(out or product)
        set_bytes = sum(map(len, build(loaded, choose(loaded, device)[0]).trust.values()))
    data: dict[str, Any] = {
        "product": str(out or product),
        "phase": phase,
        "phases": list(way.phases),
        "steps": [vars(s) for s in way.steps],
        "back": [vars(s) for s in way.back],
        "consequences": way.breaks,
        "set_bytes": set_bytes,
    }
    emit(data, lambda: _plan_text(phase, way, set_bytes))
    return 0


def _ask_evidence(product: Product, reports: tuple[Path, ...], location: str | None, target: str) -> None:
    """Raises InputError when nothing shows that every device reaches an ATS root, and nobody at a terminal says yes all the same. What is
    known of the fleet counts, where no reports are given."""
    from provisioning.migration import fleet

    if reports:
        lack = fleet.of_files(reports, product).lack
    else:
        with _fleet.if_known(location, product.name, location is not None) as store:
            lack = fleet.of_files((), product).lack if store is None else _fleet.lack(store, product, target, _fleet.DAYS)
    if not lack:
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        say(f"With ats-only a device that cannot reach ATS is lost, and {lack}.")
        if click.confirm("Go on?", default=False, err=True):
            return
    raise InputError(
        "no-evidence",
        f"{product.source} stays as it is: with ats-only a device that cannot reach ATS is lost, and {lack}.",
        "Collect the fleet's reports (`twinroot migrate collect`), give them with --health, or --yes.",
    )


@command.command()
@option.product
@option.health
@option.ledger
@option.one_device("What is known of this one.")
@click.option("--devices", "listing", is_flag=True, help="A line for each device; with --json an object for each.")
@_fleet.days
@_fleet.probe
def status(product: Path, files: tuple[Path, ...], location: str | None, device: str | None, listing: bool, days: int, probe: bool) -> int:
    """The product's phase, the dates of its roots, and what is known of the fleet: which roots it trusts and used last, and what breaks
    when a root or an endpoint goes today. From the ledger's database, or from reports in files alone.

    Exit code 1 when devices need a root that is not current, or have never connected by an ATS root.
    """
    if is_plan(product):
        return _waves.status(product, location)
    from provisioning.config.load import load_product
    from provisioning.migration import phases
    from provisioning.migration.fleet import of_files
    from provisioning.trust import policy

    loaded = load_product(product)
    phase = phases.phase_of(loaded.routes)
    notices = policy.notices(loaded.roots.values())
    fleet = of_files(files, loaded) if files else None
    routes = [{"name": r.name, "host": r.host, "port": r.port, "roots": list(r.roots)} for r in loaded.routes]
    data: dict[str, Any] = {
        "product": loaded.name,
        "phase": phase,
        "routes": routes,
        "warnings": [vars(n) for n in notices],
        "fleet": vars(fleet) if fleet else None,
    }
    lines = [f"{loaded.name}: phase {phase or phases.why_none(loaded)}"]
    lines += [f"  route {r.name}: {r.host}:{r.port}, roots {', '.join(r.roots)}" for r in loaded.routes]
    if fleet:
        lines.append(f"  {fleet.devices} devices reported")
        lines += [f"  {count} connected by {root}" for root, count in fleet.by_root.items()]
        lines += [f"  {count} used route {route} last" for route, count in fleet.last_route.items()]
        lines += [f"  {count} saw an error on {what}" for what, count in fleet.failing.items()]
        if fleet.behind:
            named = ", ".join(fleet.behind[:_MAX_BEHIND]) + (", …" if len(fleet.behind) > _MAX_BEHIND else "")
            lines.append(f"  {len(fleet.behind)} never connected by an ATS root: {named}")
        elif fleet.devices:
            lines.append("  every device has connected by an ATS root: ats-only would lose none of these")
    for notice in notices:
        say(f"warning: {notice}")
    if not files:
        with _fleet.if_known(location, loaded.name, location is not None or device is not None or listing) as store:
            if store is not None:
                return _fleet.status(store, product, loaded, days, probe, device, listing, lines, data)
        lines.append("  nothing is known of its devices")
    failure = None if files else _fleet.nothing_known(loaded)
    if fleet and fleet.behind:
        hint = "Stay in a phase with both routes until these devices have connected by one."
        failure = BoardError("devices-behind", f"{len(fleet.behind)} devices have never connected by an ATS root.", hint)
    return conclude(data, "\n".join(map(one_line, lines)), failure)


for _command in (_waves.start, _waves.run, _waves.back, _waves.end):
    command.add_command(_command)


def _plan_text(phase: str, way: Plan, set_bytes: int | None) -> str:
    steps = {step.target: step for step in way.steps}
    lines = []
    for each in way.phases:
        lines.append(f"{each}{'   <- the product is here' if each == phase else ''}")
        step = steps.get(each)
        if step:
            lines.append(f"  first: {step.before}")
            change = f"routes {', '.join(step.routes)}"
            change += f"; new roots {', '.join(step.roots_added)}" if step.roots_added else ""
            change += f"; roots that go {', '.join(step.roots_removed)}" if step.roots_removed else ""
            lines.append(f"  changes on the device: {change}")
            lines.append(
                f"  over the wire: set.json{f' and {step.root_bytes} bytes of roots' if step.root_bytes else ''}; one commit, one reboot"
            )
        lines += [f"  {line}" for line in way.breaks[each]]
    if set_bytes is not None:
        lines.append(f"The whole set of that device has {set_bytes} bytes; what the board has already is not sent again.")
    return "\n".join(lines)


for _command in (_fleet.collect, _fleet.retire_command):
    command.add_command(_command)
