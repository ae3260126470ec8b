"""Values out of texts that others wrote: JSON, and Python's literals as boards print them. What they hold is checked by those who ask.

ValueError is all that is raised, whatever the text is: no text at all, nested a hundred thousand deep, a number of a million digits.
"""

from __future__ import annotations

import ast
import json
from typing import Any


def from_json(text: str | bytes) -> Any:
    """The value of a JSON text."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def literal(text: str | bytes) -> Any:
    """The value of a Python literal: numbers, texts, bytes, lists, tuples, dicts, sets, True, False, None."""
    plain = text.decode("utf-8") if isinstance(text, bytes) else text
    try:
        return ast.literal_eval(plain)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"it is no value ({type(error).__name__})") from None
