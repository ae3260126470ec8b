"""The board's own programs, and what they are called once they no longer start by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from provisioning.rescue import cause

PROGRAMS = ("/boot.py", "/main.py")  # what MicroPython runs by itself, in this order
SUFFIX = ".rescued"


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
