"""What held a board: what it said on the way to its prompt, and what its own programs say in their source."""

from __future__ import annotations

import re
from typing import NamedTuple


class Sign(NamedTuple):
    pattern: bytes  # regular expression
    sentence: str


# In boot.py, main.py, or the application that this runs; the first group is where the line is counted to.
SOURCE = (
    Sign(rb"kbd_intr\s*\(\s*-\s*1", "switches control-C off (kbd_intr(-1))"),
    Sign(rb"dupterm\s*\(\s*None", "takes the terminal away (dupterm(None))"),
    Sign(rb"\bWDT\s*\(", "starts a watchdog"),
    Sign(rb"\bdeepsleep\s*\(", "puts the chip to deep sleep"),
    Sign(rb"\bUART\s*\(\s*0\b", "takes the UART of the prompt"),
    Sign(rb"except\s*:|except\s+BaseException|except[^\n:]*KeyboardInterrupt", "catches control-C"),
    Sign(rb"\b(?:machine\.)?reset\s*\(\s*\)", "resets the chip"),
)

# In what the board prints while the prompt is asked for.
OUTPUT_SIGNS = (
    Sign(rb"rst:0x[0-9a-f]+ \([A-Z0-9_]*TG\dWDT|Task watchdog got triggered", "its watchdog reset it"),
    Sign(rb"\bD(?:EEP)?SLEEP", "it goes to deep sleep as soon as it is awake"),
    Sign(rb"\x18[\x01-\x0c]", "it asks for files of a computer that had mounted a folder on it"),
)


_TEXT_OR_COMMENT = re.compile(rb"""('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")|#[^\n]*""")


def in_source(files: dict[str, bytes]) -> list[str]:
    """What in these files (path -> content) may hold a board: "/main.py, line 3, switches control-C off (kbd_intr(-1))"."""
    found = []
    for path, content in files.items():
        for sign in SOURCE:
            match = re.search(sign.pattern, _code(content))
            if match:
                line = content[: match.start()].count(b"\n") + 1
                found.append(f"{path}, line {line}, {sign.sentence}")
    return found


def starts_watchdog(files: dict[str, bytes]) -> bool:
    """Whether one of these programs would let a watchdog loose that nobody feeds at the prompt."""
    return any(re.search(rb"\bWDT\s*\(", _code(content)) for content in files.values())


def in_output(said: bytes) -> list[str]:
    """What the board's own words tell."""
    return [sign.sentence for sign in OUTPUT_SIGNS if re.search(sign.pattern, said)]


def does_something(content: bytes) -> bool:
    """Whether a program has a line that is neither empty nor a comment: the boot.py of stock firmware has none."""
    return bool(_code(content).strip())


def _code(content: bytes) -> bytes:
    """The source with its comments blanked, every line and column where it was."""
    return _TEXT_OR_COMMENT.sub(lambda match: match[1] or b" " * len(match[0]), content)
