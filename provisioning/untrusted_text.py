"""Text from elsewhere (servers, boards, certificates, files and their names) on its way to a terminal: the one place to make it harmless.

A terminal obeys what it is sent: an escape sequence retitles the window, writes to the clipboard or answers in the user's place, a carriage
return covers what stood there, a right-to-left override turns a name round. Every line that a command prints passes `lines`; a text from
elsewhere inside of a line passes `one_line` besides, so that it cannot begin a line of its own.
"""

from __future__ import annotations

_LAYOUT = frozenset("\n\t")


def one_line(text: str) -> str:
    """`text` as one line a terminal can show: line ends, escapes, invisible characters and bytes that are no text become "?"."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def lines(text: str) -> str:
    """`text` with its line ends and tabs, and nothing else that is not printable."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c in _LAYOUT else "?" for c in text)


def json_text(text: str) -> str:
    """`text`, which is JSON, with everything that is not printable as an escape: the same value, harmless on a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c in _LAYOUT else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[i : i + 2], 'big'):04x}" for i in range(0, len(units), 2))
