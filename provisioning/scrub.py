"""Texts that leave this computer, without what is secret in them: values that are known, and whatever looks like one.

What is known (the values of secrets.yaml, of variables such as PGPASSWORD, of a ledger's URL) is taken out in every form in which programs
write it. What is not known is recognised: private keys, passwords in URLs, signatures of tokens, and values behind words such as password.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "(hidden)"
_SHORTEST = 4  # characters: hiding shorter ones would make every text unreadable
_SHORT = 8

# A word whose value is secret, as a key, a column or a variable.
NAMES = re.compile(
    r"passw(?:or)?d|passphrase|(?:^|_)pass(?:$|_)|secret|token|credential|psk|(?:^|_)pin(?:$|_)|private_?key|(?:^|_)sig(?:nature)?$"
    r"|(?:^|_)sas(?:$|_)|access_?key|api_?key|account_?key|(?:^|_)auth(?:$|_)|connection_?string",
    re.IGNORECASE,
)
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&"'}\]]+)"""
_PATTERNS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    # scheme://user:password@ ; a password may have any character but white space
    (re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*:)[^\s]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(SharedAccessSignature\s+)\S+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"((?:SharedAccessKey|AccountKey)=)[^;\s]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), HIDDEN),  # a JSON web token
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"), HIDDEN),
    (
        re.compile(
            rf"""(["']?\b[\w-]*(?:password|passwd|passphrase|secret|token|credential|psk|pin|sig|signature|api_?key|access_?key)["']?\s*[=:]\s*)"""
            rf"{_VALUE}",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)


class Scrubber:
    """`known`: secret values; each is taken out wherever it stands. Short ones, such as a PIN, only where they stand alone: a
    hash may hold the same digits."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        forms = {form for value in known for form in _forms(value)}
        alone = [rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])" for form in _longest_first(forms) if len(form) < _SHORT]
        parts = [re.escape(form) for form in _longest_first(forms) if len(form) >= _SHORT]
        self._known = re.compile("|".join([*parts, *alone])) if forms else None

    def text(self, text: str) -> str:
        """`text`, without them."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value, its texts scrubbed, and hidden where their key says that they are secret."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): HIDDEN if NAMES.search(str(key)) and isinstance(one, str) and one else self.value(one)
                for key, one in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.value(one) for one in value]
        return value


def _longest_first(forms: Iterable[str]) -> list[str]:
    return sorted(forms, key=len, reverse=True)


def _forms(value: str) -> set[str]:
    """As it stands in texts, URLs, JSON and base64, whole and line by line."""
    lines = {line.strip() for line in value.splitlines() if len(line.strip()) >= _SHORTEST}
    forms: set[str] = set()
    for one in {value, *lines}:
        forms |= {one, quote(one, safe=""), quote(one), quote_plus(one), json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1]}
        forms.add(base64.b64encode(one.encode("utf-8", "surrogateescape")).decode().rstrip("="))
        forms.add(repr(one)[1:-1])
    return {form for form in forms if len(form) >= _SHORTEST}
