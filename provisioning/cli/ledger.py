"""`twinroot ledger`: what was done to which board."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioning.cli import _evidence, _retain
from provisioning.cli import _options as option
from provisioning.cli._options import PATH
from provisioning.cli._output import conclude, emit, mode, say
from provisioning.cli._output import show as show_line
from provisioning.errors import FileMissing
from provisioning.untrusted_text import one_line

if TYPE_CHECKING:
    from provisioning.ledger.entry import Entry
    from provisioning.ledger.store import Ledger

_MARK = {"pass": "PASS", "fail": "FAIL", "error": "ERROR"}


def _open(location: str | None) -> Ledger:
    from provisioning.ledger.store import Ledger

    return Ledger.open(location, create=False)


@click.group()
def command() -> None:
    """What was done to which board. Append-only, each row holds the hash of the row before."""


@command.command()
@option.ledger
@click.option("--mac", help="Only this board.")
@click.option("--device", help="Only this device.")
@click.option(
    "--kind",
    type=click.Choice(["claim", "intent", "outcome", "release", "moved", "task", "erase", "renewal"]),
    help="Only rows of this kind.",
)
@click.option("--last", type=click.IntRange(1), default=50, show_default=True, help="At most this many rows, the newest.")
def show(location: str | None, mac: str | None, device: str | None, kind: str | None, last: int) -> None:
    """The newest rows."""
    with _open(location) as ledger:
        found = list(ledger.entries(mac=mac and mac.lower(), device=device, kind=kind))[-last:]
    emit({"ledger": ledger.location, "entries": [entry.as_dict() for entry in found]}, lambda: _table(found))


def _table(entries: list[Entry]) -> str:
    if not entries:
        return "no rows"
    lines = [f"{'row':>5}  {'time (UTC)':<19}  {'kind':<8}{'board':<19}{'device':<18}what"]
    for entry in entries:
        fields = entry.fields
        outcome = fields.get("outcome")
        what = (
            f"{_MARK.get(outcome, outcome)} {fields.get('code', '')}".strip()
            if outcome
            else f"{fields.get('task', '')} {fields.get('result', '')} {fields.get('reason') or fields.get('message') or ''}".strip()
            if entry.kind == "task"
            else fields.get("message", "")
            if entry.kind == "renewal"
            else fields.get("reason") or fields.get("product") or ""
        )
        at = entry.at[:19].replace("T", " ")
        row = f"{entry.seq:>5}  {at:<19}  {entry.kind:<8}{fields.get('mac', ''):<19}{fields.get('device', ''):<18}{what}"
        lines.append(one_line(row))
    return "\n".join(lines)


@command.command()
@option.ledger
@click.option("--head", "heads", multiple=True, metavar="SEQ:HASH", help="A head that was noted elsewhere; may be given several times.")
@click.option("--anchor", type=PATH, help="A copy of the anchor file, instead of the one beside the ledger.")
@click.option("--seals", type=PATH, help="The file of signed heads; needs --public.")
@option.public
def verify(location: str | None, heads: tuple[str, ...], anchor: Path | None, seals: Path | None, public: Path | None) -> int:
    """Check every hash, the chain, and the heads that are known. Exit code 1 when the ledger is not as it was written."""
    from provisioning.errors import BoardError
    from provisioning.ledger import anchor as anchors
    from provisioning.ledger.proof import checked

    known = dict(anchors.parse_head(text) for text in heads)
    if anchor is not None and not anchor.is_file():
        raise FileMissing("file-missing", f"There is no anchor file {anchor}.", "Leave --anchor out to use the one beside the ledger.")
    with _open(location) as ledger:
        verdict = checked(ledger, known, seals, public, anchor)
    head = f"{verdict.head[0]}:{verdict.head[1]}"

    def text() -> str:
        lines = [f"{'ok' if verdict.ok else 'NOT AS IT WAS WRITTEN'}: {verdict.rows} rows, {ledger.location}"]
        lines += [f"  {fault.code}: {fault.message}" for fault in verdict.faults[:20]]
        if len(verdict.faults) > 20:
            lines.append(f"  and {len(verdict.faults) - 20} more")
        lines.append(f"  head {head}")
        if verdict.ok and verdict.anchored < verdict.rows:
            lines.append(f"  rows after {verdict.anchored} have no anchor: that rows were cut off behind them would not show")
        return "\n".join(lines)

    faults = [{"seq": fault.seq, "code": fault.code, "message": fault.message} for fault in verdict.faults]
    hint = "Compare it with a copy; `ledger export` writes what it holds now."
    failure = None if verdict.ok else BoardError("not-as-written", f"The ledger {ledger.location} is not as it was written.", hint)
    return conclude(
        {"ok": verdict.ok, "ledger": ledger.location, "rows": verdict.rows, "head": head, "anchored": verdict.anchored, "faults": faults},
        text,
        failure,
    )


@command.command()
@option.ledger
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--names", is_flag=True, help="Operators' names beside their pseudonyms, where they are not erased.")
@click.option("--out", type=PATH, help="The file to write; default standard output.")
def export(location: str | None, form: str, names: bool, out: Path | None) -> None:
    """All rows, for a spreadsheet (csv) or for programs (jsonl)."""
    from provisioning import output_file
    from provisioning.ledger.export import FORMATS

    with _open(location) as ledger:
        entries = list(ledger.entries())
        operators = ledger.operators() if names else None
    lines = list(FORMATS[form](entries, operators))
    if out is not None:
        output_file.write(out, ("\n".join(lines) + "\n").encode(), output_file.LEDGER_ROWS)
        emit({"ledger": ledger.location, "rows": len(entries), "file": str(out)}, f"{len(entries)} rows in {out}")
    elif mode.json:
        emit({"ledger": ledger.location, "rows": len(entries), "format": form, "lines": lines})
    else:
        for line in lines:
            show_line(line)


@command.command()
@option.ledger
@click.option("--mac", help="The board to free.")
@click.option("--device", help="The device to free.")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
def release(location: str | None, mac: str | None, device: str | None, reason: str) -> None:
    """Free a board and its device, when the board was scrapped, and retire its certificate. Adds a row; nothing is removed."""
    from provisioning.errors import InputError
    from provisioning.job.fingerprints import who_and_where
    from provisioning.ledger.claims import release as free

    if bool(mac) == bool(device):
        raise InputError("bad-arguments", "Give --mac or --device, one of them.", "`twinroot ledger show` lists both.")
    with _open(location) as ledger:
        freed = free(ledger, uuid.uuid4().hex, mac=mac.lower() if mac else None, device=device, fields=who_and_where(reason=reason))
    say(f"Board {freed[0]} and device {freed[1]} are free. The next board gets the number with a certificate of its own.")
    say("The old certificate is retired here: revoke it in the cloud. The old board still holds its key: scrap it.")
    emit({"mac": freed[0], "device": freed[1], "reason": reason})


@command.command()
@option.ledger
def migrate(location: str | None) -> None:
    """Make the ledger's tables, or bring them up to date. An SQLite ledger does it by itself; a server's is done by its owner."""
    from provisioning.ledger.store import Ledger

    with Ledger.open(location, create=False, new=True) as ledger:
        before, now = ledger.migrate()
        text = "made" if before is None else "had it already" if before == now else f"brought up from form {before or 'without a number'}"
        emit({"ledger": ledger.location, "before": before, "now": now}, f"{ledger.location}: form {now}, {text}")


@command.command()
@click.option("--from", "source", metavar="PATH|URL", required=True, callback=option.without_password, help="The ledger that ends.")
@option.ledger
def move(source: str, location: str | None) -> None:
    """Carry all rows over into an empty ledger, --ledger, and end the old one: it takes no more rows. Hashes and chain stay."""
    from provisioning.job.fingerprints import who_and_where
    from provisioning.ledger.move import move as carry
    from provisioning.ledger.store import Ledger

    with Ledger.open(source, create=False) as old, Ledger.open(location) as new:
        count = carry(old, new, uuid.uuid4().hex, who_and_where())
        emit({"from": old.location, "ledger": new.location, "rows": count}, f"{count} rows are in {new.location}; {old.location} has ended")


for _more in (_retain.retain, _evidence.seal, _evidence.record, _evidence.check_record):
    command.add_command(_more)
