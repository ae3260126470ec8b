"""One root, three classes, each with its exit code; every error is one sentence that says what and where, and a hint that says what next.

`code` is a short machine word (kebab-case) that reports and scripts rely on, with a row in the table of codes (table.py, which raising an
error does not load); `message` and `hint` are for people. Code that depends on which error it was catches a subclass, defined here or
beside what raises it; it never compares codes or reads sentences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from provisioning.untrusted_text import one_line

if TYPE_CHECKING:
    from pathlib import Path


class TwinrootError(Exception):
    """Root of all errors a command reports. Raise one of the subclasses."""

    exit_code: ClassVar[int] = 3
    outcome: ClassVar[str] = "error"

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(one_line(message))
        self.code = code
        self.message = one_line(message)
        self.hint = one_line(hint)


class BoardError(TwinrootError):
    """The board failed: it answered wrongly, its report is bad, its flash does not hold what was written. Exit code 1."""

    exit_code = 1
    outcome = "fail"


class InputError(TwinrootError):
    """The input is wrong: YAML, CSV, PEM, arguments. Nothing was written. Exit code 2. `file`: the one that is wrong, where it is known."""

    exit_code = 2
    file: Path | None = None


class FileMissing(InputError):
    """A file that was named does not exist."""


class StationError(TwinrootError):
    """The station is wrong: port busy, no board there, a tool or package missing, a broken environment. Exit code 3."""

    exit_code = 3


class Interrupted(TwinrootError):
    """The operator stopped the run (control-C or a termination signal). Exit code 130."""

    exit_code = 130
