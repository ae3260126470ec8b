"""The nearest right word, for hints."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The entry of `words` that `word` was most likely meant to be."""
    lower = {known.lower(): known for known in words}
    found = difflib.get_close_matches(word.lower()[:80], lower, n=1, cutoff=0.6)
    return lower[found[0]] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """`Did you mean 'x'?`, or an empty string."""
    found = nearest(word, words)
    return f"Did you mean '{found}'?" if found else ""
