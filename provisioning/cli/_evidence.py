"""`twinroot ledger seal | record | check-record`: what a ledger proves to somebody who does not have it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning.cli import _options as option
from provisioning.cli._options import PATH
from provisioning.cli._output import conclude, emit
from provisioning.cli._signing import signer_of
from provisioning.errors import BoardError, InputError

if TYPE_CHECKING:
    from provisioning.ota.signed_set import Signer

_signs = option.signer("The signing key (`twinroot sign new-key`); not the one that devices know.")


def _signer(key: Path | None, program: str | None, public: Path | None, passphrase_env: str) -> tuple[Signer, dict[str, Any]]:
    """Who signs, and the public numbers that prove it."""
    from provisioning.ledger.proof import numbers_of

    if (key is None) == (program is None) or (program is not None and public is None):
        raise InputError("which-signer", "Give --key, or --command with --public.", "twinroot sign new-key FILE makes a key.")
    signer = signer_of(key, program, passphrase_env)
    return signer, numbers_of(signer, public)


@click.command()
@option.ledger
@click.option("--out", type=PATH, required=True, help="The file of signed heads, in a second place: another disk, or computer.")
@_signs
@option.public
def seal(location: str | None, out: Path, key: Path | None, program: str | None, public: Path | None, passphrase_env: str) -> None:
    """Check the ledger, sign its head, and append that to a file: once a day, or at the end of each shift."""
    from provisioning.ledger.proof import seal_head
    from provisioning.ledger.store import Ledger

    signer, numbers = _signer(key, program, public, passphrase_env)
    with Ledger.open(location, create=False) as ledger:
        made = seal_head(ledger, out, signer, numbers)
    emit({"ledger": ledger.location, "head": f"{made.seq}:{made.hash}", "at": made.at, "file": str(out)}, f"row {made.seq} sealed in {out}")


@click.command()
@option.ledger
@click.option("--mac", help="The board.")
@click.option("--device", help="Or the device, with every board that it was.")
@click.option("--all", "every", is_flag=True, help="A page for every board, in the folder --out.")
@click.option(
    "--names/--no-names", default=True, show_default=True, help="Operators' names beside their pseudonyms, where they are not erased."
)
@click.option("--out", type=PATH, required=True, help="The page to write; with --all, a folder.")
@_signs
@option.public
def record(
    location: str | None,
    mac: str | None,
    device: str | None,
    every: bool,
    names: bool,
    out: Path,
    key: Path | None,
    program: str | None,
    public: Path | None,
    passphrase_env: str,
) -> None:
    """The build record of a board as one HTML page, signed where a key is given: what went into it, when, where, by whom."""
    from provisioning import output_file
    from provisioning.ledger import page, proof
    from provisioning.ledger.store import Ledger

    if [bool(mac), bool(device), every].count(True) != 1:
        raise InputError("bad-arguments", "Give --mac, --device or --all, one of them.", "`twinroot ledger show` lists boards and devices.")
    signer = _signer(key, program, public, passphrase_env) if key or program else None
    with Ledger.open(location, create=False) as ledger:
        found = proof.pages(ledger, mac, device, every=every, names=names)
    pages = {out / f"{board.replace(':', '')}.html" if board else out: text for board, text in found.items()}
    for file in pages:
        output_file.check(file, output_file.BUILD_RECORD)
    try:
        if every:
            out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("cannot-write", f"{out} cannot be written: {error.strerror}.", "Choose another place with --out.") from None
    for file, text in pages.items():
        output_file.write(file, page.signed(text, *signer) if signer else text.encode(), output_file.BUILD_RECORD)
    emit({"ledger": ledger.location, "files": [str(file) for file in pages], "signed": signer is not None}, f"{len(pages)} in {out}")


@click.command("check-record")
@click.argument("file", type=PATH)
@click.option("--public", type=PATH, required=True, help="The public half of the signing key, PEM.")
def check_record(file: Path, public: Path) -> int:
    """Whether a build record is as it was signed. Needs no ledger."""
    from provisioning.ledger import page
    from provisioning.pem.public_key import load_public

    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError("no-file", f"{file} cannot be read: {error.strerror}.", "Give a page of `twinroot ledger record`.") from None
    good = page.is_signed(content, load_public(public))
    failure = None if good else BoardError("not-as-written", f"{file} is not as this key signed it.", "Ask for the page again.")
    return conclude({"ok": good, "file": str(file)}, f"{file}: as it was signed", failure)
