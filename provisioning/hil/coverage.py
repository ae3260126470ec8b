"""Which lines of a project ran on boards, as a data file of coverage.py: what `--board-cov PATH` does.

Functions of `Board.call` and files of `Board.put` are sent with marks (marks.py); the marks are read before each reset that the test
asks for and at its end. What ran before a crash is lost.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from provisioning.errors import StationError, TwinrootError
from provisioning.hil import marks
from provisioning.hil.board import Board
from provisioning.hil.raised import BoardRaised
from provisioning.hil.remote import as_is

_SECONDS = 10.0
_LIBRARY = "/lib"


class BoardCoverage:
    """`include`: files, and folders with all below them."""

    def __init__(self, include: Iterable[Path]) -> None:
        self._include = [path.resolve() for path in include]
        self._marked: dict[str, list[marks.Marked]] = {}
        self._ran: dict[str, set[int]] = {}

    def covers(self, file: str) -> bool:
        path = Path(file).resolve()
        return any(path == each or each in path.parents for each in self._include)

    def watch(self, board: Board) -> None:
        """`board` sends what it runs of the covered files with marks from now on."""
        board.instrument = self._function
        board.instrument_file = self._file_for(board)
        board.before_reset = self.collect

    def unwatch(self, board: Board) -> None:
        """`board` sends its code as it is again."""
        board.instrument, board.instrument_file = as_is, lambda source, _file: source
        board.before_reset = lambda _board: None

    def _function(self, source: str, file: str, first: int) -> tuple[str, str]:
        """(lines before it, the source with marks) of a function or class that `call` sends."""
        if not self.covers(file):
            return "", source
        name = str(Path(file).resolve())
        made = marks.mark(source, first)
        self._marked.setdefault(name, []).append(made)
        return marks.called() + marks.header(name, first + source.count("\n")) + "\n", made.source

    def _file_for(self, board: Board) -> Callable[[str, Path], str]:
        def instrumented(source: str, file: Path) -> str:
            if not self.covers(str(file)):
                return source
            name = str(file.resolve())
            made = marks.mark(source)
            self._marked.setdefault(name, []).append(made)
            library = board.fs / _LIBRARY
            library.mkdir(exist_ok=True)
            module = library / f"{marks.MODULE}.py"
            if not module.exists():
                module.write_text(marks.module())
            return marks.with_header(made.source, name, source.count("\n") + 1)

        return instrumented

    def collect(self, board: Board) -> None:
        """Reads the marks of what has run on `board` since it started; nothing where it cannot be asked."""
        if not self._marked:
            return
        with contextlib.suppress(TwinrootError, BoardRaised, TypeError):
            for file, found in board.eval(marks.COLLECTED, _SECONDS, first=marks.COLLECT).items():
                self._ran.setdefault(file, set()).update(*(made.ran(*found) for made in self._marked.get(file, [])))

    def save(self, folder: Path) -> Path | None:
        """The data file, which `coverage combine` takes; None where nothing has run. Raises StationError without the package coverage."""
        if not self._ran:
            return None
        try:
            from coverage import CoverageData
        except ImportError:
            raise StationError("coverage-missing", "--board-cov needs the package coverage.", "pip install coverage") from None
        file = folder / f".coverage.board.{socket.gethostname()}.{os.getpid()}"
        data = CoverageData(basename=str(file))
        data.erase()
        data.add_lines({name: sorted(lines) for name, lines in self._ran.items()})
        data.write()
        return file
