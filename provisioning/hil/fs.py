"""The files of a board, used as pathlib is used: `(board.fs / "lib" / "driver.py").write_text(...)`."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

_READ = 1536  # bytes of a file in one answer
_WRITE = 768  # bytes in one command
_FOLDER = 0x4000
_Evaluate = Callable[[str, str], Any]  # (statements, expression) -> value


class BoardStat(NamedTuple):
    """`mtime`: seconds since the board's own epoch."""

    st_mode: int
    st_size: int
    st_mtime: int


class BoardPath:
    """A path on a board, relative ones from its root. Errors are OSError's subclasses with the board's errno, as pathlib's are."""

    def __init__(self, evaluate: _Evaluate, path: str | PurePosixPath = "/") -> None:
        self._evaluate = evaluate
        self._path = PurePosixPath("/") / path

    # -- the name ----------------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        return str(self._path)

    def __repr__(self) -> str:
        return f"BoardPath({str(self)!r})"

    def __truediv__(self, other: str | PurePosixPath) -> BoardPath:
        return BoardPath(self._evaluate, self._path / other)

    def __call__(self, *parts: str) -> BoardPath:
        return self.joinpath(*parts)

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, (str, BoardPath, PurePosixPath)) else NotImplemented

    def __lt__(self, other: BoardPath) -> bool:
        return self._path < other._path

    def __hash__(self) -> int:
        return hash(self._path)

    def joinpath(self, *parts: str) -> BoardPath:
        return BoardPath(self._evaluate, self._path.joinpath(*parts))

    def with_name(self, name: str) -> BoardPath:
        return BoardPath(self._evaluate, self._path.with_name(name))

    def with_suffix(self, suffix: str) -> BoardPath:
        return BoardPath(self._evaluate, self._path.with_suffix(suffix))

    @property
    def name(self) -> str:
        return self._path.name

    @property
    def stem(self) -> str:
        return self._path.stem

    @property
    def suffix(self) -> str:
        return self._path.suffix

    @property
    def parent(self) -> BoardPath:
        return BoardPath(self._evaluate, self._path.parent)

    @property
    def parts(self) -> tuple[str, ...]:
        return self._path.parts

    # -- what is there -----------------------------------------------------------------------------------------------

    def stat(self) -> BoardStat:
        mode, size, mtime = self._ask(f"(lambda s:(s[0],s[6],s[8]))(os.stat({str(self)!r}))")
        return BoardStat(mode, size, mtime)

    def exists(self) -> bool:
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        return self.exists() and bool(self.stat().st_mode & _FOLDER)

    def is_file(self) -> bool:
        return self.exists() and not self.stat().st_mode & _FOLDER

    def iterdir(self) -> Iterator[BoardPath]:
        """The entries of a folder, by name."""
        names = self._ask(f"[e[0] for e in os.ilistdir({str(self)!r})]")
        return iter([self / name for name in sorted(names)])

    def rglob(self, pattern: str = "*") -> Iterator[BoardPath]:
        """Every file and folder below this one whose name fits `pattern`, parents first."""
        for path in self.iterdir():
            if path._path.match(pattern):
                yield path
            if path.is_dir():
                yield from path.rglob(pattern)

    # -- contents ----------------------------------------------------------------------------------------------------

    def read_bytes(self) -> bytes:
        """Read piece by piece, so that the board needs no more than 4 KB of heap for it."""
        self._do(f"_f=open({str(self)!r},'rb')")
        data = bytearray()
        while piece := base64.b64decode(self._ask(f"ubinascii.b2a_base64(_f.read({_READ})).decode()", "import ubinascii")):
            data += piece
        self._do("_f.close()")
        return bytes(data)

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self.read_bytes().decode(encoding, errors)

    def write_bytes(self, data: bytes) -> int:
        self._do(f"import ubinascii\n_f=open({str(self)!r},'wb')")
        for at in range(0, len(data), _WRITE):
            text = base64.b64encode(data[at : at + _WRITE])
            # A write that fails must not leave the file open: littlefs would finish it when it is collected.
            self._do(f"try:\n _f.write(ubinascii.a2b_base64({text!r}))\nexcept:\n _f.close()\n raise")
        self._do("_f.close()")
        return len(data)

    def write_text(self, text: str, encoding: str = "utf-8") -> int:
        self.write_bytes(text.encode(encoding))
        return len(text)

    # -- changes -----------------------------------------------------------------------------------------------------

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        if parents and self.parent != self and not self.parent.exists():
            self.parent.mkdir(parents=True, exist_ok=True)
        if exist_ok and self.is_dir():
            return
        self._do(f"os.mkdir({str(self)!r})")

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            self._do(f"os.remove({str(self)!r})")
        except FileNotFoundError:
            if not missing_ok:
                raise

    def rmdir(self) -> None:
        self._do(f"os.rmdir({str(self)!r})")

    def rmtree(self) -> None:
        """This folder, or file, and all below it."""
        if self.is_dir():
            for path in self.iterdir():
                path.rmtree()
            self.rmdir()
        else:
            self.unlink(missing_ok=True)

    def rename(self, target: str | BoardPath) -> BoardPath:
        """To `target`, which is replaced where it is a file."""
        there = BoardPath(self._evaluate, str(target)) if str(target).startswith("/") else self.parent / str(target)
        self._do(f"os.rename({str(self)!r},{str(there)!r})")
        return there

    def touch(self) -> None:
        self._do(f"open({str(self)!r},'ab').close()")

    def free(self) -> int:
        """Bytes that the file system has left."""
        return int(self._ask(f"(lambda s:s[1]*s[3])(os.statvfs({str(self)!r}))"))

    # -- the board ---------------------------------------------------------------------------------------------------

    def _ask(self, expression: str, first: str = "") -> Any:
        return self._evaluate(f"import uos as os\n{first}", expression)

    def _do(self, statements: str) -> None:
        self._evaluate(f"import uos as os\n{statements}", "None")
