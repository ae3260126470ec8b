"""Queries of the fleet index ("Query syntax" in the developer guide of AWS IoT): parsed once, then asked of each document.

    thingName:ws-*              connectivity.connected:false       shadow.name.twinroot.reported.s:2
    NOT thingGroupNames:canary  attributes.floor:[1 TO 3]          shadow.name.twinroot.reported.p>1      thingName:(a* OR b*)

Terms are joined by AND, also without the word; OR, NOT, a hyphen before a term and parentheses are there. Comparison does not tell capitals
from small letters. A value with a colon is written in quotes, or with a backslash before the colon. What is not there: wildcards at a
beginning (but * alone), regular expressions, fuzzy terms, places.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from typing import Any

Document = dict[str, Any]
Matches = Callable[[Document], bool]

_TOKENS = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|(?P<compare>>=|<=|>|<)|(?P<colon>:)|(?P<range>\[[^\]]*\]|\{[^}]*\})
    |"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>(?:[^\s():"<>\[\]{}\\]|\\.)+))""",
    re.VERBOSE,
)
_WORDS = ("AND", "OR", "NOT")


class NotAQuery(ValueError):
    """The text is not a query of the fleet index."""


def parse(text: str) -> Matches:
    """Raises NotAQuery."""
    return _Parser(text).whole()


def value_of(document: Document, field: str) -> Any:
    """What a document has in `field`, whose parts have dots between; None when it is not there."""
    found: Any = document
    for part in field.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, kind: str) -> str:
        found, text = self._next()
        if found != kind:
            raise NotAQuery(f"'{text or 'the end'}' is where {kind} should be")
        self._at += 1
        return text

    def whole(self) -> Matches:
        found = self._either("")
        self._take("end") if self._next()[0] != "end" else None
        return found

    def _either(self, field: str) -> Matches:
        parts = [self._all(field)]
        while self._next() == ("word", "OR"):
            self._at += 1
            parts.append(self._all(field))
        return parts[0] if len(parts) == 1 else lambda document: any(part(document) for part in parts)

    def _all(self, field: str) -> Matches:
        parts = [self._one(field)]
        while self._next()[0] not in ("end", "close") and self._next() != ("word", "OR"):
            if self._next() == ("word", "AND"):
                self._at += 1
            parts.append(self._one(field))
        return parts[0] if len(parts) == 1 else lambda document: all(part(document) for part in parts)

    def _one(self, field: str) -> Matches:
        kind, text = self._next()
        if (kind, text) == ("word", "NOT"):
            self._at += 1
            inner = self._one(field)
            return lambda document: not inner(document)
        if kind == "word" and text.startswith("-") and len(text) > 1:
            self._tokens[self._at] = (kind, text[1:])
            inner = self._one(field)
            return lambda document: not inner(document)
        if kind == "open":
            return self._group(field)
        if kind == "word" and text in _WORDS:
            raise NotAQuery(f"{text} joins nothing")
        return self._term(field)

    def _group(self, field: str) -> Matches:
        self._take("open")
        found = self._either(field)
        self._take("close")
        return found

    def _term(self, field: str) -> Matches:
        kind, text = self._next()
        if kind not in ("word", "quoted") and not (field and kind in ("compare", "range")):
            raise NotAQuery(f"'{text or 'the end'}' is where a term should be")
        following = self._tokens[self._at + 1][0] if self._at + 1 < len(self._tokens) else "end"
        if not field and kind == "word" and following in ("colon", "compare"):
            self._at += 2 if following == "colon" else 1
            return self._group(text) if self._next()[0] == "open" else self._value(text)
        if not field:
            self._at += 1
            return _anywhere(text)
        return self._value(field)

    def _value(self, field: str) -> Matches:
        kind, text = self._next()
        self._at += 1
        if kind == "compare":
            return _compared(field, text, _number(self._take("word")))
        if kind == "range":
            return _ranged(field, text)
        if kind == "quoted":
            return _equal(field, text)
        if kind != "word":
            raise NotAQuery(f"'{text or 'the end'}' is where a value of {field} should be")
        return _like(field, text)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text.rstrip()):
        found = _TOKENS.match(text, at)
        if found is None or found.lastgroup is None:
            raise NotAQuery(f"'{text[at:].strip()[:20]}' is not part of a query")
        at = found.end()
        value = found[found.lastgroup]
        yield found.lastgroup, re.sub(r"\\(.)", r"\1", value) if found.lastgroup == "quoted" else value


def _texts(value: Any) -> list[str]:
    """The values of a field as queries see them."""
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    if isinstance(value, bool):
        return [str(value).lower()]
    if value is None or isinstance(value, dict):
        return []
    return [str(value).lower()]


def _equal(field: str, text: str) -> Matches:
    wanted = text.lower()
    return lambda document: wanted in _texts(value_of(document, field))


def _like(field: str, text: str) -> Matches:
    plain = re.sub(r"\\(.)", r"\1", text)
    if text == "*":
        return lambda document: value_of(document, field) is not None
    if text[0] in "*?":
        raise NotAQuery(f"{text} begins with a wildcard")
    if not re.search(r"(?<!\\)[*?]", text):
        return _equal(field, plain)
    pattern = re.compile(fnmatch.translate(re.sub(r"\\(.)|(\[)", r"[\1\2]", text).lower()))
    return lambda document: any(pattern.match(value) for value in _texts(value_of(document, field)))


def _anywhere(text: str) -> Matches:
    """A term without a field: in any of them; * alone is every thing."""
    if text == "*":
        return lambda _document: True
    at_any = _like("any", text)
    return lambda document: any(at_any({"any": value}) for value in _leaves(document))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    else:
        yield value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise NotAQuery(f"{text} is not a number") from error


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
}


def _compared(field: str, how: str, limit: float) -> Matches:
    def matches(document: Document) -> bool:
        value = value_of(document, field)
        try:
            return not isinstance(value, bool) and value is not None and _COMPARE[how](float(value), limit)
        except (TypeError, ValueError):
            return False

    return matches


def _ranged(field: str, text: str) -> Matches:
    found = re.fullmatch(r"[\[{]\s*(\S+)\s+TO\s+(\S+)\s*[\]}]", text)
    if not found:
        raise NotAQuery(f"{text} is not a range such as [1 TO 5]")
    closed = text[0] == "["
    bounds: list[Matches] = []
    for bound, how in ((found[1], ">=" if closed else ">"), (found[2], "<=" if closed else "<")):
        if bound != "*":
            bounds.append(_compared(field, how, _number(bound)))
    return lambda document: all(bound(document) for bound in bounds)
