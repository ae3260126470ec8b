"""One row of the ledger: which fields there are, its canonical bytes, its hash.

The chain: `hash` is the SHA-256 of the row's canonical JSON (UTF-8, sorted keys, no spaces, ASCII escapes), and the row's `previous` is the
hash of the row before it, 64 zeros for the first. So a row cannot be edited, removed or moved without every later hash changing.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.errors import StationError
from provisioning.parsed import from_json

FORMAT = 1
# The form of the tables: the newest file in migrations/versions. A constant, so that Alembic is loaded only where there is something to
# migrate.
FORM = "0005"
GENESIS = "0" * 64

CLAIM, INTENT, OUTCOME, RELEASE, MOVED, TASK, ERASE = "claim", "intent", "outcome", "release", "moved", "task", "erase"
RENEWAL = "renewal"

# kind -> what the row says happened.
KINDS = {
    CLAIM: "a device was promised to a board; nothing is written yet",
    INTENT: "the first write to the board is about to happen",
    OUTCOME: "the attempt has ended",
    RELEASE: "a person freed a board and its device for use with others",
    MOVED: "all rows were carried over into another ledger; this one takes no more",
    TASK: "what follows a PASS, a label or a command, was done or has failed",
    ERASE: "names of operators were erased by rule",
    RENEWAL: "a certificate for longer was made of a device's key; no board was touched",
}

# Fields that a row may carry besides seq, at, kind, attempt and previous; all of them may be shown to an auditor, none is a secret.
FIELDS = {
    "operator": "who ran the command: a pseudonym, whose name stands in a table of its own until it is erased; in older rows the name",
    "station": "host name, or TWINROOT_STATION",
    "toolkit": "version of this toolkit",
    "job": "command that wrote, or was about to write, the board",
    "product": "name of the product",
    "version": "version of the product",
    "board": "name of the board type",
    "board_sha256": "SHA-256 of the resolved board configuration",
    "chip": "chip as esptool names it",
    "revision": "revision of the chip",
    "flash_size": "bytes of flash that were found",
    "mac": "base MAC, aa:bb:cc:dd:ee:ff",
    "device": "serial number: the device's id",
    "port": "port of the station",
    "firmware_version": "MicroPython's version: of the image that flash wrote, or as the board said it",
    "firmware_sha256": "SHA-256 of the firmware image",
    "image_sha256": "SHA-256 of the file-system image",
    "set_sha256": "SHA-256 of the set",
    "sbom_sha256": "SHA-256 of the bill of materials (CycloneDX) of what is on the board",
    "roots": "root name -> SHA-256 fingerprint",
    "certificate_sha256": "fingerprint of the device certificate",
    "certificate_serial": "serial number of the device certificate, hex digits",
    "replaces": "fingerprint of the certificate that is the device's no more",
    "certificate_not_before": "UTC",
    "certificate_not_after": "UTC",
    "endpoints": "host:port of each route",
    "files": "path -> SHA-256",
    "steps": "list of {name, seconds}",
    "outcome": "pass, fail or error",
    "code": "short machine word",
    "message": "one sentence",
    "wrote": "whether flash was, or may have been, written",
    "log": "file with the whole output of esptool",
    "reason": "why a board was released or a task was closed, where the ledger goes on, which names were erased",
    "tasks": "what follows this PASS: label, on_pass",
    "task": "which of them",
    "result": "done or failed",
    "settles": "the attempt that this run ended in another's stead",
}

# Fields that are texts in any row that this toolkit wrote, and that people are shown.
_TEXTS = (
    "mac",
    "device",
    "certificate_sha256",
    "outcome",
    "code",
    "message",
    "reason",
    "product",
    "certificate_serial",
    "task",
    "result",
    "operator",
)
_REFUSED = ("PRIVATE KEY", "BEGIN RSA", "BEGIN EC")


@dataclass(frozen=True)
class Entry:
    """A row as it was written."""

    seq: int
    at: str  # UTC, RFC 3339 with milliseconds
    kind: str
    attempt: str  # 32 hex digits that the rows of one attempt share
    fields: dict[str, Any]
    previous: str

    def body(self) -> dict[str, Any]:
        """Everything that is hashed."""
        return {
            "format": FORMAT,
            "seq": self.seq,
            "at": self.at,
            "kind": self.kind,
            "attempt": self.attempt,
            "previous": self.previous,
            **self.fields,
        }

    def canonical(self) -> str:
        """The bytes of the hash, as text."""
        return canonical(self.body())

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, lower-case hex."""
        return sha256(self.canonical())

    def copies(self) -> dict[str, Any]:
        """The columns of the table that repeat the body, for queries."""
        fields = self.fields
        return {
            "kind": self.kind,
            "attempt": self.attempt,
            "mac": fields.get("mac"),
            "device": fields.get("device"),
            "certificate": fields.get("certificate_sha256"),
            "outcome": fields.get("outcome"),
            "wrote": fields.get("wrote"),
            "serial": fields.get("certificate_serial"),
            "task": self._task(),
        }

    def _task(self) -> str | None:
        """What is to follow a PASS ("label,on_pass"), or how that ended ("label=done")."""
        if self.kind == TASK:
            return f"{self.fields.get('task')}={self.fields.get('result')}"
        return ",".join(map(str, self.fields.get("tasks") or ())) or None

    def as_dict(self) -> dict[str, Any]:
        """The row for people and programs, its own hash last."""
        return {**self.body(), "hash": self.hash}


def now() -> str:
    """The moment, as rows have it."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def following(head: tuple[int, str] | None, at: str, kind: str, attempt: str, fields: dict[str, Any]) -> Entry:
    """The row after `head` (number and hash; None: the first row). `fields` are those of `checked`."""
    seq, previous = (head[0] + 1, head[1]) if head else (1, GENESIS)
    return Entry(seq, at, kind, attempt, fields, previous)


def canonical(value: Mapping[str, Any]) -> str:
    """JSON with one form only: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def sha256(text: str) -> str:
    """Lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def checked(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """`fields` without empty ones, or StationError: an unknown field or key material must never get into a record that nobody can edit."""
    if kind not in KINDS:
        raise StationError("ledger-field", f"The ledger knows no kind of row {kind!r}.", "This is a defect; report it.")
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise StationError("ledger-field", f"The ledger has no field {unknown[0]!r}.", "This is a defect; report it.")
    kept = {name: value for name, value in fields.items() if value is not None and value not in ("", {}, [])}
    if any(mark in canonical(kept) for mark in _REFUSED):
        raise StationError("ledger-secret", "A row for the ledger held a private key and was refused.", "This is a defect; report it.")
    return kept


def parse(body: str) -> Entry:
    """The entry whose canonical text is `body`. Raises ValueError for anything else."""
    data = from_json(body)
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
        raise ValueError("not a row of this format")
    try:
        core = {name: data.pop(name) for name in ("seq", "at", "kind", "attempt", "previous")}
    except KeyError as error:
        raise ValueError(f"no field {error}") from None
    texts = [core[name] for name in ("at", "kind", "attempt", "previous")] + [data[name] for name in _TEXTS if name in data]
    if type(core["seq"]) is not int or not all(isinstance(text, str) for text in texts):
        raise ValueError("a field of another type")
    return Entry(fields=data, **core)
