"""Versions in order, as Semantic Versioning 2.0.0 (section 11) has it, with any number of numbers."""

from __future__ import annotations

import re

_FORM = re.compile(r"v?(\d{1,9}(?:\.\d{1,9}){0,5})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_NUMBERS = 6

Key = tuple[tuple[int, ...], int, tuple[tuple[int, int, str], ...]]


def key(text: str) -> Key | None:
    """What versions are compared by; None for a text that is not a version."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    numbers = [int(part) for part in found[1].split(".")]
    before = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in (found[2] or "").split(".") if part)
    padded = (*numbers, *([0] * (_NUMBERS - len(numbers))))
    return padded, int(not before), before
