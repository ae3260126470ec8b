"""The build record of one board as one HTML page: what went into it, when, where and by whom, for whoever audits a product.

The page needs nothing else, shows nothing that is not in the ledger, and may end with a signature over all bytes before it, in a comment.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from provisioning.errors import InputError
from provisioning.ledger.entry import FIELDS, OUTCOME, RELEASE, RENEWAL, TASK, Entry
from provisioning.ota.signed_set import Signer, verified

MAGIC = b"twinroot build record 1\n"  # before what is signed
_SIGNATURE = re.compile(rb"<!-- signature RSASSA-PKCS1-v1_5 SHA-256 ([A-Za-z0-9+/=]+) -->\n\Z")

# Sections of single values: title -> fields, in the words of `entry.FIELDS`.
_SECTIONS = {
    "Product": (
        "product",
        "version",
        "device",
        "certificate_sha256",
        "certificate_serial",
        "certificate_not_before",
        "certificate_not_after",
        "endpoints",
    ),
    "Board": ("mac", "board", "board_sha256", "chip", "revision", "flash_size"),
    "Software": ("firmware_version", "firmware_sha256", "image_sha256", "set_sha256", "toolkit"),
}
_TABLES = {"Roots it trusts": "roots", "Files": "files"}  # name -> SHA-256
_ATTEMPT = ("at", "job", "station", "operator", "outcome", "code", "message")
_TASK = ("task", "result", "message", "reason")
_STYLE = """:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}th,td{text-align:left;vertical-align:top;padding:.25rem .6rem;
border-bottom:1px solid #8884}td{overflow-wrap:anywhere}.pass{color:#087f23}.fail,.error{color:#b00020}h1 small{font-weight:normal}
@media(prefers-color-scheme:dark){.pass{color:#6fdc8c}.fail,.error{color:#ff8a95}}@media print{body{margin:0;max-width:none}}"""


def render(entries: Sequence[Entry], ledger: str, head: tuple[int, str], operators: Mapping[str, str] | None = None) -> str:
    """The page of the board that all `entries` are of, in order, from the ledger that ends with `head`. `operators`: pseudonym -> name.
    Raises InputError without any."""
    if not entries:
        raise InputError("not-bound", "The ledger knows nothing of this board or device.", "`twinroot ledger show` lists what it knows.")
    attempts = _attempts(entries)
    for attempt in attempts:
        name = (operators or {}).get(attempt.get("operator", ""))
        if name is not None:
            attempt["operator"] = f"{name} ({attempt['operator']})"
    ended = [fields for fields in attempts if fields.get("outcome")]
    # What is in the board is what the last attempt that passed has put there.
    told: Mapping[str, Any] = next((fields for fields in reversed(ended) if fields["outcome"] == "pass"), attempts[-1])
    last = attempts[-1].get("outcome", "not ended")
    title = f"Build record {told.get('device', '')} {told.get('mac', '')}"
    result = f'<b class="{_text(last)}">{_text(last.upper())}</b>, {_text(entries[-1].at)}'
    parts = [f"<h1>{_text(title)}<br><small>last attempt: {result}</small></h1>"]
    if entries[-1].kind == RELEASE:
        parts.append(f"<p><b>Released:</b> {_text(entries[-1].fields.get('reason', ''))}</p>")
    for name, fields in _SECTIONS.items():
        parts += [f"<h2>{name}</h2>", _table((), [(FIELDS[field], told[field]) for field in fields if field in told])]
    for name, field in _TABLES.items():
        if told.get(field):
            parts += [f"<h2>{name}</h2>", _table(("name", "SHA-256"), sorted(told[field].items()))]
    parts += ["<h2>Attempts</h2>", _table(_ATTEMPT, [[fields.get(name, "") for name in _ATTEMPT] for fields in attempts])]
    tasks = [(entry.at, *(entry.fields.get(name, "") for name in _TASK)) for entry in entries if entry.kind == TASK]
    if tasks:
        parts += ["<h2>Labels and commands</h2>", _table(("at", *_TASK), tasks)]
    rows = [(entry.seq, entry.at, entry.kind, entry.hash) for entry in entries]
    parts += [
        "<h2>Rows of the ledger</h2>",
        _table(("row", "time (UTC)", "kind", "SHA-256"), rows),
        f"<p>{len(entries)} of the {head[0]} rows of {_text(ledger)}, whose chain was whole when this page was made. Its head:</p>",
        f"<p><code>{head[0]}:{_text(head[1])}</code></p>",
    ]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def signed(page: str, signer: Signer, public: dict[str, Any]) -> bytes:
    """The page with its signature. Raises InputError for a key whose public half is not `public`."""
    content = page.encode()
    signature = signer.sign(MAGIC + content)
    if not verified(public, signature, MAGIC + content):
        raise InputError("seal-key", "The signature is not one of the public key that was named.", "Give both halves of one RSA key.")
    return content + b"<!-- signature RSASSA-PKCS1-v1_5 SHA-256 " + base64.b64encode(signature) + b" -->\n"


def is_signed(content: bytes, public: dict[str, Any]) -> bool:
    """Whether a page is as the key `public` signed it."""
    found = _SIGNATURE.search(content)
    if found is None:
        return False
    try:
        signature = base64.b64decode(found[1], validate=True)
    except binascii.Error:
        return False
    return verified(public, signature, MAGIC + content[: found.start()])


def _attempts(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The fields of each attempt, later rows over earlier ones; `at` is when it began."""
    made: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.kind == TASK:
            continue
        fields = made.setdefault(entry.attempt, {"at": entry.at})
        fields.update(
            entry.fields if entry.kind != RELEASE else {"job": "release", "outcome": "released", "message": entry.fields.get("reason")}
        )
        if entry.kind == RENEWAL:
            fields["outcome"] = "renewed"
        if entry.kind == OUTCOME and "settles" in entry.fields:
            fields["message"] = f"{fields.get('message', '')} (settled by a later run)"
    return list(made.values())


def _table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = f"<tr>{''.join(f'<th>{_text(name)}</th>' for name in names)}</tr>" if names else ""
    lines = []
    for first, *others in rows:
        cells = "".join(f"<td>{_text(value)}</td>" for value in others)
        lines.append(f"<tr><th>{_text(first)}</th>{cells}</tr>")
    return f"<table>{head}{''.join(lines)}</table>"


def _text(value: Any) -> str:
    return escape(", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value))
