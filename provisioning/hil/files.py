"""All files of a board, remembered by content and put back where they differ: the known state of a board without a flash image at hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Protocol

from provisioning.hil.fs import BoardPath
from provisioning.link.agent import small
from provisioning.parsed import literal

OURS = ("/trust", "/lib/twinroot")  # what twinroot writes
_MOST = 256 * 1024  # bytes that are read from a board to be put back later
_SECONDS = 240.0  # for the hashes of a full file system on slow flash


class Prompt(Protocol):
    """What this file needs of a board."""

    @property
    def fs(self) -> BoardPath: ...
    def exec(self, code: str, timeout: float = ...) -> str: ...


@dataclass
class Files:
    """`found`: path -> (size, digest), a folder has size -1; `contents`: of the files that were read."""

    found: dict[str, tuple[int, bytes]]
    contents: dict[str, bytes] = field(default_factory=dict)


def look(board: Prompt) -> dict[str, tuple[int, bytes]]:
    """Every file and folder of the board: path -> (size, digest)."""
    rows = [literal(line) for line in board.exec(small("tree") + "\nlook('')", timeout=_SECONDS).splitlines() if line.startswith("(")]
    return {path: (size, digest) for path, size, digest in rows}


def remember(board: Prompt) -> Files:
    """What is on the board now, with the contents of as many files as can be read in a reasonable time, small ones first."""
    files = Files(look(board))
    left = _MOST
    for path, (size, _) in sorted(files.found.items(), key=lambda row: row[1][0]):
        if 0 <= size <= left:
            files.contents[path] = (board.fs / path).read_bytes()
            left -= size
    return files


def remove(board: Prompt, paths: tuple[str, ...] | list[str]) -> None:
    """Removes files and whole folders; what is not there is not missed."""
    board.exec(f"{small('tree')}\nfor p in {list(paths)!r}:remove(p)", timeout=_SECONDS)


def put_back(board: Prompt, files: Files, leave: tuple[str, ...] = ()) -> list[str]:
    """Makes the board's files those of `files`, except below `leave`; the paths that differ and whose content nobody has."""
    now = look(board)
    skipped = {path for path in {*now, *files.found} if any(path == top or path.startswith(f"{top}/") for top in leave)}
    new = [path for path in now if path not in files.found and path not in skipped and not any(top.startswith(f"{path}/") for top in leave)]
    changed = [path for path, row in files.found.items() if path not in skipped and now.get(path) != row]
    tops = [path for path in new if str(PurePosixPath(path).parent) not in new]
    if tops:
        remove(board, tops)
    lost = []
    for path in changed:
        there = board.fs / path
        if files.found[path][0] < 0:
            there.mkdir(parents=True, exist_ok=True)
        elif path in files.contents:
            there.write_bytes(files.contents[path])
        else:
            lost.append(path)
    return lost
