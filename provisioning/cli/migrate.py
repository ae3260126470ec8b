"""`twinroot migrate`: from the VeriSign root to Amazon Trust Services, phase by phase, and back."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli._output import conclude, emit, say
from provisioning.cli._path import PATH
from provisioning.errors import BoardError, InputError
from provisioning.parsed import from_json
from provisioning.untrusted_text import one_line

if TYPE_CHECKING:
    from provisioning.config.product import Product
    from provisioning.migration.phases import Change

_MAX_BEHIND = 20  # devices named one by one


@click.group()
def command() -> None:
    """Plan the way from one root to the other: legacy-only, legacy-first, ats-first, ats-only."""


@command.command()
@click.argument("product", type=PATH, metavar="PRODUCT")
@click.option("--next", "step", flag_value=1, type=int, help="Write the product of the next phase.")
@click.option("--back", "step", flag_value=-1, type=int, help="Write the product of the former phase.")
@click.option("--out", type=PATH, metavar="FILE", help="Write it there instead of over PRODUCT.")
@click.option("--device", metavar="ID", help="Reckon the cost with this device's files.")
@click.option("--health", "files", type=PATH, multiple=True, metavar="FILE", help="Evidence for ats-only: health reports of all devices.")
@click.option("--yes", is_flag=True, help="Go to ats-only without evidence that every device has connected by an ATS root.")
def plan(product: Path, step: int | None, out: Path | None, device: str | None, files: tuple[Path, ...], yes: bool) -> int:
    """What each phase changes on a device, what it costs, and what breaks when a root or an endpoint disappears."""
    from provisioning.migration import phases, yaml_edit
    from provisioning.trust.roots import load_roots
    from provisioning.trust.routes import derive

    if out and step is None:
        raise InputError("bad-arguments", "--out needs --next or --back.", "Add one of them.")
    endpoint, port, phase, on_silence = _where(product)
    if step is not None:
        target = phases.neighbour(endpoint, phase, step)
        if target == "ats-only" and not yes:
            _ask_evidence(product, files)
        yaml_edit.change_file(product, {("cloud", "phase"): target}, out)
        say(f"{out or product}: phase {phase} -> {target}")
        phase = target
    roots = load_roots()
    there = phases.possible(endpoint)
    steps = [phases.change(endpoint, port, a, b, roots) for a, b in itertools.pairwise(there)]
    backs = [phases.change(endpoint, port, b, a, roots) for a, b in itertools.pairwise(there)]
    breaks = {p: [str(c) for c in phases.consequences(derive(endpoint, port, p), roots, on_silence)] for p in there}
    set_bytes = _set_bytes(out or product, device) if device else None
    data: dict[str, Any] = {
        "product": str(out or product),
        "phase": phase,
        "phases": list(there),
        "steps": [vars(s) for s in steps],
        "back": [vars(s) for s in backs],
        "consequences": breaks,
        "set_bytes": set_bytes,
    }
    emit(data, lambda: _plan_text(phase, there, {s.target: s for s in steps}, breaks, set_bytes))
    return 0


def _ask_evidence(file: Path, reports: tuple[Path, ...]) -> None:
    """Raises InputError when nothing shows that every device reaches an ATS root, and nobody at a terminal says yes all the same."""
    from provisioning.config.load import load_product
    from provisioning.migration import phases

    fleet = phases.fleet((row for each in reports for row in _reports(each)), _ats_roots(load_product(file)))
    if fleet.devices and not fleet.behind:
        return
    if fleet.devices:
        lack = f"{len(fleet.behind)} of {fleet.devices} devices have never connected by an ATS root ({', '.join(fleet.behind[:3])}…)"
    else:
        lack = "nothing shows that any device has connected by an ATS root"
    if sys.stdin.isatty() and sys.stderr.isatty():
        say(f"With ats-only a device that cannot reach ATS is lost, and {lack}.")
        if click.confirm("Go on?", default=False, err=True):
            return
    raise InputError(
        "no-evidence",
        f"{file} stays as it is: with ats-only a device that cannot reach ATS is lost, and {lack}.",
        "Give the fleet's health with --health (see `twinroot migrate status`), or --yes.",
    )


def _ats_roots(product: Product) -> set[str]:
    """Roots by which a device reaches ATS. A lab's have other names: what the ATS routes name counts."""
    from provisioning.trust.endpoint import classify
    from provisioning.trust.providers.aws import ATS_ROOTS

    return {*ATS_ROOTS, *(name for route in product.routes if classify(route.host).cls == "ats" for name in route.roots)}


@command.command()
@click.argument("product", type=PATH, metavar="PRODUCT")
@click.option("--health", "files", type=PATH, multiple=True, metavar="FILE", help="Health reports of devices, one JSON object a line.")
def status(product: Path, files: tuple[Path, ...]) -> int:
    """The product's phase, the dates of its roots, and what the health of the fleet proves.

    Exit code 1 when devices of the reports have never connected by an ATS root.
    """
    from provisioning.config.load import load_product
    from provisioning.migration import phases
    from provisioning.trust import policy

    loaded = load_product(product)
    phase = phases.phase_of(loaded.routes)
    notices = policy.notices(loaded.roots.values())
    fleet = phases.fleet((row for file in files for row in _reports(file)), _ats_roots(loaded)) if files else None
    routes = [{"name": r.name, "host": r.host, "port": r.port, "roots": list(r.roots)} for r in loaded.routes]
    data: dict[str, Any] = {
        "product": loaded.name,
        "phase": phase,
        "routes": routes,
        "warnings": [vars(n) for n in notices],
        "fleet": vars(fleet) if fleet else None,
    }
    lines = [f"{loaded.name}: phase {phase or 'none: its routes are written by hand'}"]
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
    failure = None
    if fleet and fleet.behind:
        hint = "Stay in a phase with both routes until these devices have connected by one."
        failure = BoardError("devices-behind", f"{len(fleet.behind)} devices have never connected by an ATS root.", hint)
    return conclude(data, "\n".join(map(one_line, lines)), failure)


def _where(file: Path) -> tuple[str, int, str, str]:
    """Endpoint, port, phase and `on_silence` of a product. Raises InputError when its routes are written by hand."""
    from provisioning.config.load import load_product
    from provisioning.migration import phases, yaml_edit

    product = load_product(file)
    phase = phases.phase_of(product.routes)
    endpoint = yaml_edit.value_at(file.read_bytes().decode("utf-8-sig"), ("cloud", "endpoint"), str(file))
    derived = yaml_edit.value_at(file.read_bytes().decode("utf-8-sig"), ("cloud", "routes", 0, "name"), str(file)) is None
    if endpoint is None or not derived or phase is None:
        host = product.routes[0].host
        raise InputError(
            "routes-by-hand",
            f"{file}: its routes are written by hand, so no phase derives them.",
            f"Replace `routes:` by `endpoint: {host}`" + (f" and `phase: {phase}`." if phase else "."),
        )
    return product.routes[0].host, product.routes[0].port, phase, product.on_silence


def _set_bytes(file: Path, device: str) -> int:
    """Size of the set's folder for a device, set.json and certificates included."""
    from provisioning.bundle.bundle import build
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose

    product = load_product(file)
    return sum(map(len, build(product, choose(product, device)[0]).trust.values()))


def _reports(file: Path) -> list[Any]:
    try:
        text = file.read_text("utf-8")
        return [from_json(line) for line in text.splitlines() if line.strip()]
    except OSError as e:
        raise InputError("file-unreadable", f"{file} cannot be read: {e.strerror}.", "Check the path.") from e
    except ValueError as e:
        raise InputError(
            "bad-health", f"{file} is not one JSON object a line.", "Collect what twinroot.health() returned, one line a device."
        ) from e


def _plan_text(phase: str, there: tuple[str, ...], steps: dict[str, Change], breaks: dict[str, list[str]], set_bytes: int | None) -> str:
    lines = []
    for each in there:
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
        lines += [f"  {line}" for line in breaks[each]]
    if set_bytes is not None:
        lines.append(f"The whole set of that device has {set_bytes} bytes; what the board has already is not sent again.")
    return "\n".join(lines)
