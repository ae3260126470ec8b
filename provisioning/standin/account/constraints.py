"""What a service model says of a value and botocore's own validator leaves to the service: words, patterns, longest and largest."""

from __future__ import annotations

import functools
import re
from typing import Any

# The Unicode classes of Java's regular expressions that AWS's patterns use, as Python has them.
_CLASSES = {
    r"\p{C}": r"\x00-\x1f\x7f-\x9f",
    r"\p{Upper}": "A-Z",
    r"\p{Digit}": "0-9",
    r"\p{Graph}": r"!-~",
    r"\p{Alpha}": "A-Za-z",
    r"\p{Alnum}": "A-Za-z0-9",
}


@functools.cache
def _pattern(text: str) -> re.Pattern[str] | None:
    """None for a pattern that Python cannot read: it is not checked."""
    for name, characters in _CLASSES.items():
        text = text.replace(name, characters)
    try:
        return re.compile(text, re.DOTALL)
    except re.error:
        return None


def violations(value: Any, shape: Any, path: str = "") -> list[str]:
    """One sentence for each value that the model does not allow. Types are right by then."""
    kind, found = shape.type_name, []
    if kind == "structure":
        for name, each in value.items():
            found += violations(each, shape.members[name], f"{path}.{name}" if path else name)
        return found
    if kind == "list":
        found = _size(len(value), shape, path, "length")
        for number, each in enumerate(value):
            found += violations(each, shape.member, f"{path}[{number}]")
        return found
    if kind == "map":
        found = _size(len(value), shape, path, "length")
        for key, each in value.items():
            found += violations(key, shape.key, f"{path} key '{key}'") + violations(each, shape.value, f"{path}.{key}")
        return found
    if kind in ("integer", "long", "float", "double"):
        return _size(value, shape, path, "value")
    if kind == "blob":
        return _size(len(value), shape, path, "length")
    return _text(value, shape, path) if kind == "string" and isinstance(value, str) else []


def _size(size: float, shape: Any, path: str, what: str) -> list[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        return [f"Value at '{path}' failed to satisfy constraint: Member must have {what} greater than or equal to {least}"]
    if most is not None and size > most:
        return [f"Value at '{path}' failed to satisfy constraint: Member must have {what} less than or equal to {most}"]
    return []


def _text(value: str, shape: Any, path: str) -> list[str]:
    found = _size(len(value), shape, path, "length")
    words = shape.metadata.get("enum")
    if words and value not in words:
        found.append(f"Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy enum value set: {list(words)}")
    pattern = _pattern(shape.metadata["pattern"]) if "pattern" in shape.metadata else None
    if pattern and not pattern.fullmatch(value):
        wanted = shape.metadata["pattern"]
        found.append(f"Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy regular expression pattern: {wanted}")
    return found
