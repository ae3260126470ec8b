"""What a ledger proves to somebody who does not have it: checked against what is known of it, its head sealed, a page for each board."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from provisioning.errors import BoardError, InputError
from provisioning.ledger import anchor, page, seal
from provisioning.ledger.chain_check import ChainCheck, verify
from provisioning.ledger.store import Ledger
from provisioning.ota.signed_set import KeySigner, Signer, public_numbers
from provisioning.pem.public_key import load_public


def checked(
    ledger: Ledger, known: dict[int, str], seals: Path | None = None, public: Path | None = None, anchor_file: Path | None = None
) -> ChainCheck:
    """The ledger, held against its anchor (`anchor_file`: another than the one beside it), heads that are `known`, and seals.

    Raises InputError.
    """
    if (seals is None) != (public is None):
        raise InputError("bad-arguments", "--seals and --public belong together.", "A seal that is not checked proves nothing.")
    found = seal.read(seals) if seals else []
    wrong = seal.check(found, load_public(public)) if public else []
    file = anchor_file or ledger.anchor_file
    verdict = verify(ledger.rows(), {**(anchor.read(file) if file else {}), **known, **seal.heads(found)})
    return replace(verdict, faults=(*verdict.faults, *wrong))


def seal_head(ledger: Ledger, out: Path, signer: Signer, numbers: dict[str, Any]) -> seal.Seal:
    """Check the ledger and the seals in `out`, then sign the head and append it there. Raises BoardError, and nothing is signed."""
    before = seal.read(out) if out.exists() else []
    verdict = checked(ledger, seal.heads(before))
    wrong = [*verdict.faults, *seal.check(before, numbers)]
    if wrong:
        raise BoardError(
            "not-as-written",
            f"The ledger {ledger.location} is not as it was when it was sealed before ({wrong[0].message}); nothing was signed.",
            "`twinroot ledger verify --seals FILE --public KEY` says what is wrong.",
        )
    return seal.append(out, verdict, signer, numbers)


def pages(ledger: Ledger, mac: str | None, device: str | None, *, every: bool, names: bool) -> dict[str | None, str]:
    """The build record of a board or device, under None; with `every`, MAC -> record of each board. `names`: operators by name.

    Raises BoardError.
    """
    verdict = checked(ledger, {})
    if not verdict.ok:
        raise BoardError(
            "not-as-written",
            f"The ledger {ledger.location} is not as it was written ({verdict.faults[0].message}); nothing was signed.",
            "`twinroot ledger verify` says what is wrong.",
        )
    found = list(ledger.entries(mac=mac and mac.lower(), device=device))
    operators = ledger.operators() if names else None
    boards = sorted({entry.fields["mac"] for entry in found if "mac" in entry.fields}) if every else [None]
    return {
        board: page.render([entry for entry in found if board in (None, entry.fields.get("mac"))], ledger.location, verdict.head, operators)
        for board in boards
    }


def numbers_of(signer: Signer, public: Path | None) -> dict[str, Any]:
    """The public numbers that prove what `signer` signs. Raises InputError."""
    if public is not None:
        return load_public(public)
    if not isinstance(signer, KeySigner):
        raise InputError("which-signer", "A command's signature is checked with --public.", "Give the public half.")
    return public_numbers(signer.public)
