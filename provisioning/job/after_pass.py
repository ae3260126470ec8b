"""What follows a PASS of `flash` and `station`: the product's label and its command. Neither can fail the board; each has its row in the
ledger, done or failed, and is open until it is done (`ledger/tasks.py`). `update`, which is used in the field, prints nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from provisioning.config.product import Product
from provisioning.config.template import fields_of
from provisioning.errors import InputError, TwinrootError
from provisioning.job import fingerprints
from provisioning.job.report import Report
from provisioning.ledger.entry import TASK, Entry
from provisioning.link import port_names
from provisioning.link.events import Event, Listener

if TYPE_CHECKING:
    from provisioning.ledger.store import Ledger

PRINTER = "TWINROOT_PRINTER"  # of this station, instead of the product's


def check(product: Product, *, at_station: bool = True) -> None:
    """Raises InputError for a label that could not be printed for any board. Where it is printed, only a station has to know."""
    wanted = product.label
    if wanted is None:
        return
    from provisioning.labels import make, zpl
    from provisioning.labels.fields import FIELDS

    texts = {"qr": wanted.qr or "", "printer": wanted.printer if isinstance(wanted.printer, str) else ""}
    for key, text in texts.items():
        unknown = [name for name in fields_of(text) if name not in FIELDS]
        if unknown:
            problem = f"{{{unknown[0]}}} is not a field of a label"
            raise product.error(("label", key), "bad-label", problem, f"There are {', '.join(FIELDS)}.")
    try:
        if wanted.qr is None:
            zpl.check(wanted.template)
    except zpl.BadTemplate as error:
        raise product.error(("label", "template"), "bad-label", str(error), "docs/labels.md shows a template.") from None
    if wanted.printer is None and not at_station:
        return
    try:
        make.printer(wanted, product.folder, os.environ.get(PRINTER))
    except InputError as error:
        raise product.document.placed(error, ("label", "printer") if wanted.printer else ("label",)) from None


def wanted(product: Product, ledger: Ledger, mac: str | None, device: str | None) -> list[str]:
    """What is to follow the PASS of this board, for its outcome row: a command each time, a label once for a board and its device."""
    if not mac or not device or (product.label is None and product.on_pass is None) or port_names.rehearsed():
        return []
    from provisioning.ledger import tasks

    label = product.label is not None and not ledger.read(lambda connection: tasks.is_done(connection, tasks.LABEL, mac, device))
    return [tasks.LABEL] * label + [tasks.ON_PASS] * (product.on_pass is not None)


def follow(product: Product, ledger: Ledger, names: Sequence[str], rows: Mapping[str, Any], report: Report, events: Listener) -> None:
    """Do them, after the outcome row. `rows`: the fields of the board's rows, the outcome's with `seq` and `hash` among them. Raises
    nothing but a control-C: a board that passed has passed."""
    for name in names:
        with report.step(name):
            error = _one(product, name, rows)
        message = f"{error.message} {error.hint}" if error else ""
        events(Event("task", {"task": name, "result": "failed" if error else "done", "device": rows.get("device"), "message": message}))
        if error is not None:
            report.note(f"PASS, and the {WORDS[name]} failed: {message} `twinroot label retry` does it again.")
        try:
            note(ledger, rows, name, error)
        except TwinrootError as lost:
            report.note(f"The ledger does not know how the {WORDS[name]} ended: {lost.message}")


WORDS = {"label": "label", "on_pass": "command on_pass"}


def _one(product: Product, name: str, rows: Mapping[str, Any]) -> TwinrootError | None:
    try:
        TASKS[name](product, rows)
    except TwinrootError as error:
        return error
    return None


def note(ledger: Ledger, rows: Mapping[str, Any], name: str, error: TwinrootError | None, reason: str | None = None) -> Entry:
    """The row of a task that was done (`error` None), by a person's word where there is a `reason`, or has failed."""
    of_board = {field: rows.get(field) for field in ("mac", "device", "product")}
    end = {"result": "done"} if error is None else {"result": "failed", "code": error.code, "message": error.message}
    return ledger.append(TASK, str(rows["attempt"]), {**fingerprints.who_and_where(), **of_board, "task": name, "reason": reason, **end})


def label(product: Product, rows: Mapping[str, Any], where: str | None = None) -> None:
    """Print the label of a board. `where`: another printer. Raises TwinrootError."""
    from provisioning.labels import make
    from provisioning.labels.fields import of_rows

    wanted = product.label
    if wanted is None:
        raise InputError("no-label", f"The product {product.name} has no label.", "Add a block `label:` to its file.")
    fields = of_rows(rows)
    made = make.render(wanted, fields)
    make.printer(wanted, product.folder, where or os.environ.get(PRINTER)).send(made, fields)


def on_pass(product: Product, rows: Mapping[str, Any]) -> None:
    """Run the product's command with the rows as one JSON object on its standard input. Raises TwinrootError."""
    from provisioning.labels import command

    hook = product.on_pass
    if hook is None:
        raise InputError("no-label", f"The product {product.name} has no command on_pass.", "Add a block `on_pass:` to its file.")
    data = json.dumps(dict(rows), sort_keys=True).encode() + b"\n"
    environment = {name: secret.reveal() for name, secret in hook.env.items()}
    command.run(hook.command, data, hook.timeout, environment, product.folder)


TASKS: dict[str, Callable[[Product, Mapping[str, Any]], None]] = {"label": label, "on_pass": on_pass}


def rows_of(entries: Sequence[Entry]) -> dict[str, Any]:
    """The fields of one attempt's rows, later ones over earlier, as `follow` and the label take them."""
    made: dict[str, Any] = {}
    for entry in entries:
        if entry.kind != TASK:
            with suppress(KeyError):
                del made["hash"]
            made.update(entry.as_dict())
    return made
