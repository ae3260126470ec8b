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
