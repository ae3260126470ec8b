"""What `twinroot migrate` knows of a fleet: collect, the fleet's part of status and of plan, retire."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli import _options as option
from provisioning.cli._options import PATH
from provisioning.cli._output import conclude, emit, mode, say, show
from provisioning.errors import BoardError, InputError
from provisioning.untrusted_text import one_line

if TYPE_CHECKING:
    from provisioning.config.product import Product
    from provisioning.fleet.breaks import Fate, Today
    from provisioning.fleet.device import Anchor, Device
    from provisioning.fleet.figures import Figures, Questions
    from provisioning.fleet.store import FleetStore

DAYS = 30
days: option.Decorator = click.option(
    "--silent-days", "days", type=click.IntRange(1), default=DAYS, show_default=True, help="Who was not seen for so long is silent."
)
probe: option.Decorator = click.option(
    "--probe", is_flag=True, help="Ask the product's endpoints first which roots their chains end in now."
)
gone: option.Decorator = click.option(
    "--gone", type=PATH, metavar="FILE", help="Devices that are out of service, one a line: they need nothing any more."
)


@contextmanager
def opened(location: str | None, write: bool = False) -> Iterator[FleetStore]:
    """The store in the ledger. Raises NoLedger where only reading is wanted and there is none."""
    from provisioning.fleet.store import FleetStore
    from provisioning.ledger.patience import Patience, wait_seconds
    from provisioning.ledger.store import Ledger

    with Ledger.open(location, create=write) as ledger:
        if not write:
            ledger.require_form()
        ledger.wait_with(Patience(wait_seconds(), say))
        yield FleetStore(ledger)


@contextmanager
def known(location: str | None, product: str) -> Iterator[FleetStore]:
    """The store, in which something is known of the product's devices. Raises InputError where nothing is."""
    with opened(location) as store:
        if not store.count(product):
            raise InputError(
                "no-fleet", f"Nothing is known of any device of {product}.", "Collect evidence first: twinroot migrate collect."
            )
        yield store


@contextmanager
def if_known(location: str | None, product: str, wanted: bool) -> Iterator[FleetStore | None]:
    """The same; None where nothing is known, unless it is `wanted`."""
    from provisioning.ledger.store import NoLedger

    with ExitStack() as stack:
        if wanted:
            yield stack.enter_context(known(location, product))
            return
        try:
            store = stack.enter_context(opened(location))
            has = store.count(product)
        except NoLedger:
            has = 0
        yield store if has else None


def today_of(file: Path) -> Today:
    """What the product's endpoints show now."""
    from provisioning.fleet.breaks import Today
    from provisioning.job import probe as job

    found = job.run(job.plan(str(file), None, None, (), None, None, None), 10.0, say)
    anchors = {
        (route.host, route.port): frozenset(anchor.root for anchor in seen.anchors if anchor.device)
        for route, seen in zip(found.plan.routes, found.seen, strict=True)
    }
    for (host, port), roots in anchors.items():
        say(f"{host}:{port}: " + (f"ends in {', '.join(sorted(roots))}" if roots else "does not show a chain that a device trusts"))
    return Today(anchors)


def asked(store: FleetStore, loaded: Product, days: int, today: Today | None) -> Questions:
    """What is asked of each device now."""
    from provisioning.fleet import collect, figures

    return figures.questions(loaded, collect.known_sets(store, loaded), int(time.time()), days, today)


@click.command()
@option.product
@option.ledger
@click.option(
    "--health",
    "files",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Reports of devices, one JSON object a line; - reads standard input.",
)
@click.option("--mqtt", "broker", metavar="HOST[:PORT]", help="Listen to a broker, over TLS.")
@click.option(
    "--topic", default="devices/+/health", show_default=True, help="With --mqtt: what to subscribe to; the first + is the device."
)
@click.option(
    "--for", "seconds", type=click.FloatRange(0.1), default=60.0, show_default=True, metavar="SECONDS", help="With --mqtt: for so long."
)
@click.option("--reports", "most", type=click.IntRange(1), help="With --mqtt: at most so many.")
@click.option("--certificate", type=PATH, metavar="FILE", help="With --mqtt: the client's certificate; with --key.")
@click.option("--key", type=PATH, metavar="FILE", help="Its key.")
@click.option("--ca", type=PATH, metavar="FILE", help="With --mqtt: PEM of the roots that vouch for the broker; by default the product's.")
@click.option("--client-id", metavar="ID", help="With --mqtt: by default one that is made up.")
@click.option("--index", "query", metavar="QUERY", help="Ask AWS's fleet index, for example 'thingName:ws-*'.")
@click.option("--region", metavar="REGION", help="With --index: AWS region.")
@click.option("--profile", metavar="NAME", help="With --index: profile of AWS's own configuration.")
def collect(
    product: Path,
    location: str | None,
    files: tuple[Path, ...],
    broker: str | None,
    topic: str,
    seconds: float,
    most: int | None,
    certificate: Path | None,
    key: Path | None,
    ca: Path | None,
    client_id: str | None,
    query: str | None,
    region: str | None,
    profile: str | None,
) -> int:
    """Collect what is known of the product's devices into the ledger's database: its own rows, the product's list of devices, reports.

    What is known already changes nothing, so a run that broke off is begun again.
    """
    from provisioning.config.load import load_product
    from provisioning.fleet.collect import Collector
    from provisioning.ledger.patience import Patience, wait_seconds
    from provisioning.ledger.store import Ledger

    loaded = load_product(product)
    if bool(certificate) != bool(key):
        raise InputError("bad-arguments", "--certificate and --key go together, and one of them is missing.", "Give both.")
    source = None if broker is None else _source(loaded, broker, topic, seconds, most, certificate, key, ca, client_id)
    from provisioning.fleet.store import FleetStore

    with Ledger.open(location) as ledger:
        if ledger.made:
            say(f"note: there was no ledger at {ledger.location}, and an empty one was made. Yours is elsewhere? --ledger names it.")
        ledger.wait_with(Patience(wait_seconds(), say))
        collector = Collector(FleetStore(ledger), loaded)
        collector.listed()
        collector.delivered(ledger)
        for file in files:
            collector.file(file)
        if query is not None:
            from provisioning.aws import fleet_index, iot_api
            from provisioning.aws.endpoints import check_provider, region_of

            check_provider(loaded)
            collector.index(fleet_index.reports(iot_api.connect(region or region_of(loaded), profile), query))
        if source is not None:
            from provisioning.fleet.broker import messages

            collector.messages(messages(source, say))
        count = FleetStore(ledger).count(loaded.name)
    done = collector.done
    for line in done.bad:
        say(f"left out: {one_line(line)}.")
    for line in done.notes:
        say(f"note: {one_line(line)}.")
    if done.untimed:
        say(
            f"note: {done.untimed} reports have no time. They count as older than every other, and prove nothing of a board that was "
            'flashed: give them "at", or the newer package, which says the time.'
        )
    total = sum(done.reports.values())
    parts = ", ".join(f"{number} from {name}" for name, number in done.reports.items() if number)
    data = {
        "product": loaded.name,
        "reports": done.reports,
        "changed": done.changed,
        "devices": count,
        "untimed": done.untimed,
        "bad": done.bad,
        "notes": done.notes,
    }
    emit(
        {"outcome": "pass", **data},
        f"{loaded.name}: {total} reports ({parts or 'none'}), {done.changed} rows changed, {count} devices are known.",
    )
    return 0


def _source(
    loaded: Product,
    broker: str,
    topic: str,
    seconds: float,
    most: int | None,
    certificate: Path | None,
    key: Path | None,
    ca: Path | None,
    client_id: str | None,
) -> Any:
    from provisioning.config.text_file import read_text
    from provisioning.fleet.broker import PORT, Source

    host, colon, text = broker.rpartition(":")
    if not colon:
        host, text = broker, str(PORT)
    if not host or not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise InputError("bad-arguments", f"--mqtt {broker[:80]!r} is not HOST or HOST:PORT.", "For example --mqtt broker.lan:8883")
    roots = read_text(ca) if ca else "".join(root.pem.decode("ascii") for root in loaded.roots.values())
    to = loaded.resolved_addresses().get(f"{host}:{text}")
    address = None
    if to is not None:
        name, _, port = to.rpartition(":")
        address = (name, int(port))
    return Source(host, int(text), topic, seconds, most, roots, certificate, key, address, client_id)


def status(
    store: FleetStore,
    file: Path,
    loaded: Product,
    days: int,
    probe: bool,
    device: str | None,
    listing: bool,
    head: list[str],
    data: dict[str, Any],
) -> int:
    """The fleet's part of `status`: in sum, one device, or a line for each."""
    from provisioning.fleet import figures

    today = today_of(file) if probe else None
    questions = asked(store, loaded, days, today)
    if device is not None:
        return _one(store, loaded, questions, device)
    found = figures.add_up(store.devices(loaded.name), questions, (lambda one, fates: _line(one, fates, questions)) if listing else None)
    if listing:
        return 0
    behind = _behind(found, loaded)
    lines = [*head, *figures.lines(found, days, today)]
    return conclude({**data, "fleet": figures.as_json(found), "silent_days": days}, "\n".join(map(one_line, lines)), behind)


def _behind(found: Figures, loaded: Product) -> BoardError | None:
    """Who would be lost, or may be, if the worst root of the product went today, or if the product's own set came."""
    from provisioning.config.document import shown
    from provisioning.fleet import breaks
    from provisioning.migration.phases import phase_of

    root = worst_root(loaded, [event.name for event in found.fates if event.kind == breaks.ROOT])
    if root is not None:
        standing = loaded.roots[root].standing
        for event in (event for event in found.fates if event.kind == breaks.ROOT and event.name in loaded.roots):
            group = found.of(event, *breaks.NEED)
            if loaded.roots[event.name].standing == standing and group.count:
                return BoardError(
                    "devices-behind",
                    f"{group.count} devices need {event.name}, which is {standing}, or may: {group.text}.",
                    "Stay in a phase with both routes until these devices have connected by the other one.",
                )
    phase = phase_of(loaded.routes)
    group = found.of(breaks.Event(breaks.PHASE, phase or ""), *breaks.NEED)
    if group.count:
        return BoardError(
            "devices-behind",
            f"{group.count} devices have never connected by what {shown(loaded.source)} has ({phase}): {group.text}.",
            "Bring them a set with both routes first, and collect their reports.",
        )
    return None


def worst_root(loaded: Product, among: Iterable[str]) -> str | None:
    """The root of the product that stands worst of these; None where all are current."""
    from provisioning.trust.roots import STANDINGS

    standing = {name: STANDINGS.index(loaded.roots[name].standing) for name in among if name in loaded.roots}
    worst = min(standing, key=standing.__getitem__, default=None)
    return None if worst is None or standing[worst] == len(STANDINGS) - 1 else worst


def nothing_known(loaded: Product) -> BoardError | None:
    """Of a product with a list of devices: they may need its worst root."""
    root = worst_root(loaded, (name for route in loaded.routes for name in route.roots))
    if loaded.devices is None or root is None:
        return None
    return BoardError(
        "devices-behind",
        f"Nothing is known of the devices of {loaded.name}: they may need {root}, which is {loaded.roots[root].standing}.",
        "Collect evidence (twinroot migrate collect), or name the ledger that has it with --ledger.",
    )


def _one(store: FleetStore, loaded: Product, questions: Questions, name: str) -> int:
    from provisioning.fleet import figures
    from provisioning.ledger.fleet_tables import DEVICES

    device = next(store.devices(loaded.name, where=DEVICES.c.device == name), None)
    if device is None:
        raise InputError(
            "not-in-fleet", f"Nothing is known of a device {name!r} of {loaded.name}.", "`twinroot migrate collect` asks for it."
        )
    fates = questions.breaks().of(device)
    has = questions.sets.of(device)
    said = _plain(device, fates, questions)
    lines = [
        f"{device.device}: seen {_day(device.seen)} ({device.source}), version {_or(device.version)}, phase {_or(said['phase'])}",
        f"  MicroPython {_or(device.firmware)}",
        f"  trusts {', '.join(figures.trusts_of(device, has)) or 'unknown'}",
        f"  connected last by {_or(device.route)}, anchored by {_or(said['root'])}",
    ]
    lines += [f"  root {root}: {_record(anchor)}" for root, anchor in device.anchored.items()]
    elsewhere = "; none is known to have gone where it leads now"
    for route, anchor in device.reached.items():
        there = questions.sets.places.proven(device, has, route) or route not in questions.sets.places.moved
        lines.append(f"  route {route}: {_record(anchor)}{'' if there else elsewhere}")
    lines += [f"  last error on {route}: {kind}" for route, kind in device.errors.items()]
    if device.refused is not None:
        lines.append(f"  rolled back version {device.refused}")
    for event, fate in zip(questions.events, fates, strict=True):
        by = f", by {fate.route}" if fate.route else ""
        late = f" after {fate.after} s of silence" if fate.after else ""
        lines.append(f"  {event}: {fate.word}{by}{late}")
    emit({"outcome": "pass", **said}, "\n".join(map(one_line, lines)))
    return 0


def _record(anchor: Anchor) -> str:
    if not anchor.good:
        return "no connection"
    last = _day(anchor.at) if anchor.at else "at a time that is not known"
    return f"1 connection, {last}" if anchor.good == 1 else f"{anchor.good} connections, the last {last}"


def _day(at: int | None) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d") if at else "never, or not known when"


def _or(value: Any) -> Any:
    return "unknown" if value is None else value


def _plain(device: Device, fates: tuple[Fate, ...], questions: Questions) -> dict[str, Any]:
    from provisioning.fleet import figures

    has = questions.sets.of(device)
    return {
        **{name: value for name, value in vars(device).items() if name not in ("anchored", "reached", "spans")},
        "phase": figures.phase_of(device, has),
        "root": figures.root_of(device, has),
        "trusts": list(figures.trusts_of(device, has)),
        "routes": list(has.names if has is not None else device.routes),
        "anchored": {name: vars(anchor) for name, anchor in device.anchored.items()},
        "reached": {name: vars(anchor) for name, anchor in device.reached.items()},
        "breaks": {str(event): vars(fate) for event, fate in zip(questions.events, fates, strict=True)},
    }


def _line(device: Device, fates: tuple[Fate, ...], questions: Questions) -> None:
    """A device in a line: an object of its own with --json."""
    said = _plain(device, fates, questions)
    if mode.json:
        show(json.dumps(said, ensure_ascii=False))
        return
    words = ", ".join(f"{event.name} {fate.word}" for event, fate in zip(questions.events, fates, strict=True) if event.kind == "root")
    show(
        one_line(
            f"{device.device}  {_day(device.seen)}  version {_or(device.version)}  {_or(said['phase'])}  "
            f"by {_or(device.route)}, {_or(said['root'])}  {words}"
        )
    )


def lack(store: FleetStore, loaded: Product, phase: str, days: int) -> str:
    """What is missing to know that every device would be there in `phase`; an empty text where nothing is."""
    from provisioning.fleet import breaks, figures, retire

    event = breaks.Event(breaks.PHASE, phase)
    found = figures.add_up(store.devices(loaded.name), asked(store, loaded, days, None))
    silent = found.of(event, breaks.SILENT)
    if silent.count:
        say(f"note: {silent.count} were not seen for {days} days; they had connected by a route of {phase} before: {silent.text}")
    return retire.lack(found, event)


@click.command("retire")
@click.argument("root", metavar="ROOT")
@option.product
@option.ledger
@days
@probe
@gone
@click.option("--dry-run", is_flag=True, help="Only say who needs it.")
@click.option("--yes", is_flag=True, help="With --gone: out of service, although it was seen not long ago.")
def retire_command(
    root: str, product: Path, location: str | None, days: int, probe: bool, gone: Path | None, dry_run: bool, yes: bool
) -> int:
    """Leave ROOT for good, when the evidence says that nobody needs it: writes the last phase, `cloud.retired` and the next `version`
    into PRODUCT.

    Exit code 1 while somebody needs it, or may: devices with no other way, with one that they never used, without evidence.
    """
    from provisioning.config.load import load_product
    from provisioning.fleet import breaks, figures, retire

    loaded = load_product(product)
    out_of_service = retire.gone(gone)
    today = today_of(product) if probe else None
    event = breaks.Event(breaks.ROOT, root)
    with known(location, loaded.name) as store:
        questions = asked(store, loaded, days, today)
        if event not in questions.events:
            names = ", ".join(one.name for one in questions.events if one.kind == breaks.ROOT)
            raise InputError("not-in-fleet", f"No set of {loaded.name} that is known has a root {root[:60]!r}.", f"They have {names}.")
        retire.worse(loaded, root)
        if gone is not None:
            retire.check_gone(gone, out_of_service, store.devices(loaded.name), questions.now - days * figures.DAY, yes)
        newest = store.newest(loaded.name)
        found = figures.add_up((one for one in store.devices(loaded.name) if one.device not in out_of_service), questions)
    groups = {word: vars(group) for word, group in found.fates[event].items()}
    silent = found.of(event, breaks.SILENT)
    counted = "; ".join(f"{found.fates[event][word].count} {word}" for word in breaks.FATES if word in found.fates[event])
    lines = [f"{root} goes: {counted or 'no device is left that is in service'}"]
    if silent.count:
        lines.append(f"  {silent.count} were not seen for {days} days; they had connected by another root before: {silent.text}")
    refusal = retire.refusal(found, event)
    data: dict[str, Any] = {"product": str(product), "root": root, "devices": found.devices, "fates": groups, "written": False}
    if refusal is None and not dry_run:
        edit = retire.edit_for(loaded, root)
        version = retire.apply(loaded, edit, newest)
        data["written"], data["phase"] = version is not None, edit.phase
        what = f"version {version}, " + (f"phase {edit.phase}, " if edit.phase else "") + f"retired: {root}"
        lines.append(f"{product}: {what}" if data["written"] else f"{product} says so already")
        lines.append(
            f"  next: give the set to every device, by `twinroot update` or in waves (`twinroot migrate plan {product} --waves FILE`); "
            "the sets that they have had before lead back there no more then."
        )
    return conclude(data, "\n".join(map(one_line, lines)), refusal)
