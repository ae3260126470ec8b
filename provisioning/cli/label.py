"""`twinroot label`: what follows a PASS, done again from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli import _options as option
from provisioning.cli._options import PATH
from provisioning.cli._output import conclude, emit, say
from provisioning.errors import BoardError, InputError, StationError

if TYPE_CHECKING:
    from provisioning.ledger.store import Ledger
    from provisioning.ledger.tasks import OpenTask

_printer = click.option("--printer", metavar="WHERE", help="Another printer: tcp://HOST:9100 or file:PATH.")


@click.group()
def command() -> None:
    """Labels of boards that passed, and the command `on_pass`: what is open, print again, try again."""


@command.command()
@option.ledger
def status(location: str | None) -> int:
    """Labels and commands that are open: failed, or begun and not ended. Exit code 1 where there are any."""
    from provisioning.ledger.store import Ledger

    with Ledger.open(location, create=False) as ledger:
        found = _open_tasks(ledger)

    def text() -> str:
        lines = [f"{task.task:<8} {task.state:<8} {task.mac:<18} {task.device:<18} {task.at[:19]}  {task.message}" for task in found]
        return "\n".join(lines or ["nothing is open"])

    rows = [{"task": t.task, "state": t.state, "mac": t.mac, "device": t.device, "at": t.at, "message": t.message} for t in found]
    hint = "`twinroot label retry PRODUCT` does them again, `twinroot label close` says why nobody needs one."
    failure = BoardError("tasks-open", f"{len(found)} labels or commands are open.", hint) if found else None
    return conclude({"ledger": ledger.location, "open": rows}, text, failure)


@command.command()
@option.product
@option.ledger
@click.option("--mac", help="The board.")
@click.option("--device", help="Or the device.")
@_printer
def reprint(product: Path, location: str | None, mac: str | None, device: str | None, printer: str | None) -> None:
    """Print the label of a board once more, from what the ledger has of its newest PASS."""
    from provisioning.config.load import load_product
    from provisioning.job import after_pass
    from provisioning.ledger.store import Ledger

    loaded = load_product(product)
    with Ledger.open(location, create=False) as ledger:
        rows = _passed(ledger, mac, device, loaded.name)
        after_pass.label(loaded, rows, printer)
        after_pass.note(ledger, rows, "label", None, "printed again")
    emit({"mac": rows["mac"], "device": rows["device"], "task": "label", "result": "done"}, f"{rows['device']} ({rows['mac']}): printed")


@command.command()
@option.product
@option.ledger
@_printer
def retry(product: Path, location: str | None, printer: str | None) -> int:
    """Do everything that is open of this product again: labels and commands."""
    from provisioning.config.load import load_product
    from provisioning.errors import TwinrootError
    from provisioning.job import after_pass
    from provisioning.ledger.store import Ledger

    loaded = load_product(product)
    done: list[dict[str, Any]] = []
    failed: TwinrootError | None = None
    with Ledger.open(location, create=False) as ledger:
        for task in _open_tasks(ledger):
            rows = after_pass.rows_of(list(ledger.entries(attempt=task.attempt)))
            if rows.get("product") != loaded.name:
                continue
            error: TwinrootError | None = None
            try:
                if task.task == "label":
                    after_pass.label(loaded, rows, printer)
                else:
                    after_pass.on_pass(loaded, rows)
            except TwinrootError as caught:
                error = failed = caught
                say(f"{task.task} of {task.device}: {caught.message}")
            after_pass.note(ledger, rows, task.task, error)
            done.append({"task": task.task, "mac": task.mac, "device": task.device, "result": "failed" if error else "done"})
    good = sum(row["result"] == "done" for row in done)
    failure = (
        StationError(failed.code, f"{len(done) - good} of {len(done)} are open still: {failed.message}", failed.hint) if failed else None
    )
    return conclude({"tasks": done}, f"{good} of {len(done)} done", failure)


@command.command()
@option.ledger
@click.option("--mac", help="The board.")
@click.option("--device", help="Or the device.")
@click.option("--task", type=click.Choice(["label", "on_pass"]), default="label", show_default=True)
@click.option("--reason", required=True, help="Why nobody needs it any more; it stands in the ledger.")
def close(location: str | None, mac: str | None, device: str | None, task: str, reason: str) -> None:
    """Close a label or a command that is open, by a person's word: it was written by hand, or is not needed."""
    from provisioning.job import after_pass
    from provisioning.ledger.store import Ledger

    with Ledger.open(location, create=False) as ledger:
        found = [one for one in _open_tasks(ledger) if one.task == task and _is(one, mac, device)]
        if not found:
            raise InputError("not-open", f"No {task} of {mac or device} is open.", "`twinroot label status` lists what is.")
        for one in found:
            rows = after_pass.rows_of(list(ledger.entries(attempt=one.attempt)))
            after_pass.note(ledger, rows, task, None, reason)
    emit({"task": task, "closed": [{"mac": one.mac, "device": one.device} for one in found]}, f"{task}: closed for {found[0].device}")


@command.command()
@option.product
@click.option("--out", type=PATH, required=True, help="The file to write.")
def preview(product: Path, out: Path) -> None:
    """The label as it would go to the printer, with the values of an example."""
    from provisioning import output_file
    from provisioning.config.load import load_product
    from provisioning.job import after_pass
    from provisioning.labels import make
    from provisioning.labels.fields import SAMPLE, of_rows

    loaded = load_product(product)
    after_pass.check(loaded, at_station=False)
    if loaded.label is None:
        raise InputError("no-label", f"The product {loaded.name} has no label.", "Add a block `label:` to its file.")
    made = make.render(loaded.label, of_rows({**SAMPLE, "product": loaded.name}))
    output_file.write(out, made, output_file.LABEL, loaded.label.sources)
    emit({"file": str(out), "bytes": len(made)}, f"{len(made)} bytes in {out}")


def _open_tasks(ledger: Ledger) -> list[OpenTask]:
    from provisioning.ledger.tasks import open_tasks

    ledger.require_form()
    return list(ledger.read(open_tasks).tasks.values())


def _is(task: OpenTask, mac: str | None, device: str | None) -> bool:
    if bool(mac) == bool(device):
        raise InputError("bad-arguments", "Give --mac or --device, one of them.", "`twinroot ledger show` lists both.")
    return task.mac == mac.lower() if mac else task.device == device


def _passed(ledger: Ledger, mac: str | None, device: str | None, product: str) -> dict[str, Any]:
    """The rows of the newest PASS of a board or a device, as this product."""
    from provisioning.job.after_pass import rows_of
    from provisioning.ledger.entry import OUTCOME, Entry

    if bool(mac) == bool(device):
        raise InputError("bad-arguments", "Give --mac or --device, one of them.", "`twinroot ledger show` lists both.")
    entries: Sequence[Entry] = list(ledger.entries(mac=mac.lower() if mac else None, device=device))
    ends = [entry for entry in entries if entry.kind == OUTCOME and entry.fields.get("outcome") == "pass"]
    passed = [entry for entry in ends if entry.fields.get("product") == product]
    if not passed:
        raise InputError(
            "not-bound", f"The ledger has no PASS of {mac or device} as {product}.", "`twinroot ledger show` lists what it knows."
        )
    return rows_of(list(ledger.entries(attempt=passed[-1].attempt)))
