"""ZPL II, as Zebra printers take it, from a template with {fields}. Source: Zebra's Programming Guide for ZPL II, ^FD, ^FH, ^CI, ^PQ.

A field may stand only in the data of ^FD or ^FV. What is filled in there is written as hexadecimal wherever it is not a plain letter, digit
or sign, which needs ^FH before the data: it is put there where the template has none. So no text can end its field and begin a command, and
text that is not ASCII is UTF-8, with ^CI28 after ^XA. A ^CI, ^CC, ^CT or ^CD of the template's own would change what that means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from provisioning.config.template import fields_of
from provisioning.labels.fields import FIELDS

LONGEST = 64 * 1024  # characters of a template
_COMMAND = re.compile(r"[\^~]([A-Za-z@][A-Za-z0-9@]?)([^\^~]*)")
_DATA = ("FD", "FV")
_CHANGES = {"CC": "the caret", "CT": "the tilde", "CD": "the delimiter"}
_PLAIN = re.compile(r"[A-Za-z0-9 ./:;,()*#@=+?!'\"|-]")


class BadTemplate(ValueError):
    """What is wrong with a template, with its line."""


@dataclass(frozen=True)
class _Piece:
    """One command with all that follows it up to the next."""

    sign: str
    name: str
    rest: str
    line: int


def check(template: str) -> None:
    """Raises BadTemplate."""
    pieces = _pieces(template)
    names = [piece.name for piece in pieces]
    if "XA" not in names or "XZ" not in names:
        raise BadTemplate("has no ^XA … ^XZ: it is not a label in ZPL")
    for piece in pieces:
        if piece.name in _CHANGES:
            raise BadTemplate(f"line {piece.line}: ^{piece.name} changes {_CHANGES[piece.name]}, and what is filled in would not be safe")
        if piece.name == "CI" and piece.rest.strip() != "28":
            raise BadTemplate(f"line {piece.line}: ^CI{piece.rest.strip()[:8]} is another character set than UTF-8, which is ^CI28")
        _check_fields(piece)


def _check_fields(piece: _Piece) -> None:
    # Braces are ZPL's too, in graphics: only where data stands are they fields.
    found = re.findall(r"\{[A-Za-z_][A-Za-z0-9_ -]*\}", piece.rest)
    if piece.name not in _DATA:
        if found and found[0][1:-1] in FIELDS:
            raise BadTemplate(f"line {piece.line}: {found[0]} is not in the data of ^FD or ^FV")
        return
    try:
        names = fields_of(piece.rest)
    except ValueError as error:
        raise BadTemplate(f"line {piece.line}: {error}") from None
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        raise BadTemplate(f"line {piece.line}: {{{unknown[0]}}} is not a field of a label; there are {', '.join(FIELDS)}")


def fields_in(template: str) -> set[str]:
    """The fields that a template needs."""
    return {name for piece in _pieces(template) if piece.name in _DATA for name in fields_of(piece.rest)}


def render(template: str, fields: Mapping[str, str], copies: int = 1) -> bytes:
    """The label for the printer. KeyError for a field that is not in `fields`."""
    made: list[str] = [template[: _start(template)]]
    indicator: str | None = None  # of this field's ^FH, where the template has one
    for piece in _pieces(template):
        rest = piece.rest
        if piece.name == "FH":
            indicator = rest.strip()[:1] or "_"
        elif piece.name in _DATA and ("{" in rest or "}" in rest):
            if indicator is None:
                made.append("^FH_")
            rest = _filled(rest, fields, indicator)
        elif piece.name == "XA":
            rest = f"^CI28{rest}"
        elif piece.name == "XZ" and copies > 1:
            made.append(f"^PQ{copies}")
        made.append(f"{piece.sign}{piece.name}{rest}")
        if piece.name == "FS":
            indicator = None
    return "".join(made).encode()


def _filled(data: str, fields: Mapping[str, str], indicator: str | None) -> str:
    """The data of one field. What the template has there stands as it is behind an ^FH (`indicator`), and is text without one."""
    sign = indicator or "_"
    body = data.rstrip()
    made = []
    for part in re.split(r"(\{\w[\w -]*\}|\{\{|\}\})", body):
        if part in ("{{", "}}"):
            made.append(_hex(part[0], sign))
        elif part.startswith("{"):
            made.append(_hex(fields[part[1:-1]], sign))
        else:
            made.append(part if indicator else _hex(part, sign))
    return "".join(made) + data[len(body) :]


def _hex(text: str, sign: str) -> str:
    made = []
    for character in text:
        if _PLAIN.fullmatch(character) and character != sign:
            made.append(character)
        else:
            made += [f"{sign}{byte:02X}" for byte in character.encode("utf-8", "replace")]
    return "".join(made)


def _start(template: str) -> int:
    first = _COMMAND.search(template)
    return first.start() if first else len(template)


def _pieces(template: str) -> list[_Piece]:
    return [
        _Piece(found.group()[0], found[1].upper(), found[2], template.count("\n", 0, found.start()) + 1)
        for found in _COMMAND.finditer(template)
    ]
