"""`{field}` in product texts, filled in per device. `{{` and `}}` are literal braces."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PIECE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_ -]*)\}|[{}]")


def fields_of(template: str) -> list[str]:
    """The fields that `template` names, in order. Raises ValueError with a sentence for a brace that is none of ours."""
    names: list[str] = []
    for piece in _PIECE.finditer(template):
        if piece.group() in "{}":
            raise ValueError(f"found a single '{piece.group()}', expected a field such as {{device}}")
        if piece.group(1):
            names.append(piece.group(1))
    return names


def fill(template: str, fields: Mapping[str, str]) -> str:
    """`template` with its fields filled in; KeyError with the field's name where `fields` has none of it."""

    def value(piece: re.Match[str]) -> str:
        return fields[piece.group(1)] if piece.group(1) else piece.group()[0]

    return _PIECE.sub(value, template)


def fits(template: str, fields: Mapping[str, str], text: str) -> bool:
    """Whether `text` is `template` filled in: with `fields`, and with anything printable for a field that `fields` does not have."""

    def pattern(name: str) -> str:
        return re.escape(fields[name]) if name in fields else r"[^\x00-\x1f\x7f]+"

    made = ""
    at = 0
    for piece in _PIECE.finditer(template):
        made += re.escape(template[at : piece.start()])
        made += pattern(piece.group(1)) if piece.group(1) else re.escape(piece.group()[0])
        at = piece.end()
    return re.fullmatch(made + re.escape(template[at:]), text) is not None
