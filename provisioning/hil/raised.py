"""What code raised on a board, as an exception of the test: of the same built-in class where there is one, so that pytest.raises(OSError)
is what it looks like."""

from __future__ import annotations

import builtins
import errno
import re
from collections.abc import Sequence
from typing import NamedTuple

from provisioning.parsed import literal

_LINE = re.compile(r'File "<stdin>", line (\d+)')
_LAST = re.compile(r"^([A-Za-z_][\w.]*)(?:: ?(.*))?$", re.DOTALL)
_ERRNO = re.compile(r"\[Errno (-?\d+)\] ?(.*)", re.DOTALL)
_SHARED_ERRNO = 34  # up to here newlib's numbers, which some ports have, are those of this computer


class Segment(NamedTuple):
    """A part of a program that comes from a file: `start` is its first line in the program, `first` that line's number in `file`."""

    start: int
    lines: int
    file: str
    first: int


class BoardRaised(Exception):
    """Code on the board raised an exception. `kind`: its class there; `text`: its text; `traceback`: as the board printed it, with
    the lines of the test's file where the code came from one.

    What is raised in a test is a subclass that is the built-in class of that name, too: OSError (with errno, and so FileNotFoundError
    and its like), ValueError, and so on.
    """

    kind = ""
    text = ""
    traceback = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}\n{self.traceback}".rstrip() if self.traceback else f"{self.kind}: {self.text}"


def _placed(traceback: str, segments: Sequence[Segment]) -> str:
    def place(match: re.Match[str]) -> str:
        line = int(match[1])
        for segment in segments:
            if segment.start <= line < segment.start + segment.lines:
                return f'File "{segment.file}", line {segment.first + line - segment.start}'
        return match[0]

    return _LINE.sub(place, traceback)


def _arguments(text: str) -> tuple[object, ...]:
    """The exception's arguments: MicroPython prints one as it is, several as a tuple."""
    if text.startswith("("):
        try:
            found = literal(text.encode())
        except ValueError:
            return (text,)
        if isinstance(found, tuple):
            return found
    return (text,) if text else ()


def _class_of(kind: str, error: OSError | None) -> type[BoardRaised]:
    base = type(error) if error is not None else getattr(builtins, kind, None)
    if isinstance(base, type) and issubclass(base, Exception) and base is not Exception:
        return type(kind, (BoardRaised, base), {"__module__": __name__})
    return BoardRaised


def raised(traceback: str, segments: Sequence[Segment] = ()) -> BoardRaised:
    """The exception for what a board printed as a traceback."""
    lines = traceback.replace("\r\n", "\n").strip()
    head, _, last = lines.rpartition("\n")
    while head and not _LAST.match(last):  # a text of several lines
        head, _, more = head.rpartition("\n")
        last = f"{more}\n{last}"
    match = _LAST.match(last)
    kind, text = (match[1].rpartition(".")[2], match[2] or "") if match else ("Exception", last)
    arguments = _arguments(text)
    error = None
    if kind == "OSError" and (numbered := _ERRNO.match(text) or re.match(r"(-?\d+)()$", text)):
        number = int(numbered[1])
        shared = 0 < number <= _SHARED_ERRNO
        name = numbered[2] or (errno.errorcode.get(number, "") if shared else "")
        text = f"[Errno {number}] {name}".rstrip()  # MicroPython has names for some numbers only
        arguments = (number, name)
        error = OSError(*arguments) if shared else OSError()
    try:
        made = _class_of(kind, error)(*arguments)
    except TypeError:  # a class that wants other arguments, such as UnicodeDecodeError
        made = BoardRaised(*arguments)
    made.kind, made.text, made.traceback = kind, text, _placed(lines, segments)
    return made
