"""The day's head, signed, and appended to a file in a second place: what shows that rows were cut off together with their anchor.

Who can write the ledger can write the anchor beside it. A seal lies on another disk or computer, and can be made only by who has the key: a
line of canonical JSON with the ledger's head, the hash of the line before, and a signature (RSASSA-PKCS1-v1_5 with SHA-256, as all
signatures of this toolkit) over the rest of it.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.errors import InputError, StationError
from provisioning.ledger.chain_check import ChainCheck, ChainFault
from provisioning.ledger.entry import GENESIS, canonical, sha256
from provisioning.ota.signed_set import Signer, verified

MAGIC = "twinroot ledger seal 1\n"  # before what is signed, so that no other signature of the same key passes for one


@dataclass(frozen=True)
class Seal:
    """A line of the file."""

    at: str  # UTC
    seq: int
    hash: str
    previous: str  # SHA-256 of the line before, zeros for the first
    signature: bytes

    def text(self) -> bytes:
        """What is signed."""
        return (MAGIC + canonical(self._body())).encode()

    def line(self) -> str:
        """The line, without its end."""
        return canonical({**self._body(), "signature": base64.b64encode(self.signature).decode()})

    def _body(self) -> dict[str, Any]:
        return {"at": self.at, "seq": self.seq, "hash": self.hash, "previous": self.previous}


def read(file: Path) -> list[Seal]:
    """The seals in order. Raises InputError for a file that cannot be read, or holds a line that is none."""
    try:
        lines = file.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("no-seals", f"{file} holds no seals: {error}.", "`twinroot ledger seal --out FILE` makes the first.") from None
    return [_parse(line, f"{file}:{number}") for number, line in enumerate(lines, 1)]


def _parse(line: str, where: str) -> Seal:
    try:
        data = json.loads(line)
        texts = [data[name] for name in ("at", "hash", "previous")]
        if type(data["seq"]) is not int or not all(isinstance(text, str) for text in texts):
            raise ValueError("a field of another type")
        made = Seal(data["at"], data["seq"], data["hash"], data["previous"], base64.b64decode(data["signature"], validate=True))
        if made.line() != line:
            raise ValueError("not in canonical form")
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        raise InputError("bad-seal", f"{where}: not a seal.", "The file was edited or damaged; compare it with a copy.") from None
    return made


def check(seals: Sequence[Seal], public: dict[str, Any]) -> list[ChainFault]:
    """What is wrong with the seals themselves. `public`: the numbers of the key that made them."""
    faults = []
    previous = GENESIS
    for number, seal in enumerate(seals, 1):
        if not verified(public, seal.signature, seal.text()):
            faults.append(ChainFault(seal.seq, "seal-forged", f"seal {number}, of {seal.at}, was not made with this key"))
        if seal.previous != previous:
            faults.append(ChainFault(seal.seq, "seal-missing", f"seal {number}, of {seal.at}, does not continue the one before it"))
        previous = sha256(seal.line())
    return faults


def heads(seals: Sequence[Seal]) -> dict[int, str]:
    """seq -> hash, for `verify`."""
    return {seal.seq: seal.hash for seal in seals if seal.seq}


def append(file: Path, verdict: ChainCheck, signer: Signer, public: dict[str, Any]) -> Seal:
    """Sign the head of a ledger that was found whole, and append it. Raises InputError for a key whose public half is not `public`,
    StationError for a file that cannot be written."""
    before = read(file) if file.exists() else []
    previous = sha256(before[-1].line()) if before else GENESIS
    at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    plain = Seal(at, *verdict.head, previous, b"")
    made = Seal(at, *verdict.head, previous, signer.sign(plain.text()))
    if not verified(public, made.signature, made.text()):
        raise InputError("seal-key", "The signature is not one of the public key that was named.", "Give both halves of one RSA key.")
    try:
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, made.line().encode() + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StationError("cannot-write", f"{file} cannot be written: {error.strerror}.", "Check the folder and the disk.") from None
    return made
