"""The board's own programs, and what they are called once they no longer start by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from provisioning.rescue import cause

PROGRAMS = ("/boot.py", "/main.py")  # what MicroPython runs by itself, in this order
SUFFIX = ".rescued"
_RUNNER = b"# twinroot"  # how firmware/runner.py begins, which runs main.py of the set in use
_POINTER = "/trust/active"


class Files(Protocol):
    """The files of a board, by its prompt (prompt_files.py) or through its loader (blocks.py)."""

    def exists(self, path: str) -> bool: ...
    def walk(self) -> Iterator[tuple[str, bool, int]]: ...
    def read(self, path: str) -> bytes: ...
    def rename(self, old: str, new: str) -> None: ...
    def remove(self, path: str) -> None: ...
    def write(self, path: str, content: bytes) -> None: ...
    def make_folder(self, path: str) -> None: ...


Renamed = dict[str, str]  # old path -> new path


def programs(files: Files) -> dict[str, bytes]:
    """The board's own programs, path -> content."""
    return {path: files.read(path) for path in PROGRAMS if files.exists(path)}


def run_by(files: Files, found: dict[str, bytes]) -> dict[str, bytes]:
    """What these programs run: where /main.py runs the application of the set in use, path -> content of that. It stays in its place: a set
    without it would not be whole."""
    if not found.get(PROGRAMS[1], b"").startswith(_RUNNER) or not files.exists(_POINTER):
        return {}
    path = f"/trust/{files.read(_POINTER).strip().decode('ascii', 'replace')}/main.py"
    return {path: files.read(path)} if files.exists(path) else {}


def rename(files: Files, found: dict[str, bytes]) -> Renamed:
    """The programs get names under which they do not start. Power may go at any write: run it again then."""
    names: Renamed = {}
    for path, content in found.items():
        if cause.does_something(content):
            names[path] = _free_name(path, files)
            files.rename(path, names[path])
    return names


def _free_name(path: str, files: Files) -> str:
    """A name beside `path` that no file has: main.py.rescued, main.py.rescued2, …"""
    number = 1
    while files.exists(name := f"{path}{SUFFIX}{number if number > 1 else ''}"):
        number += 1
    return name
