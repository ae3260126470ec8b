"""The checkout of MicroPython: which of its tests run on a board over a serial port, and a copy of them to run in."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

# What run-tests.py runs on an ESP32 by itself.
FOLDERS = ("basics", "extmod", "float", "micropython", "misc", "ports/esp32", "stress", "thread", "unicode")
# These open files and import modules that lie beside them, so they run where such files are on the board.
WITH_FILES = ("import", "io")
_LAST = ("io/file1.py",)  # writes to a file that the others of its folder read
_COPIED = ("tests", "tools", "extmod/asyncio")
_UNITTEST = "lib/micropython-lib/python-stdlib/unittest/unittest/__init__.py"


@dataclass(frozen=True)
class Checkout:
    """`root`: its folder."""

    root: Path

    @property
    def missing(self) -> str:
        """What a folder lacks that would make it a checkout of MicroPython; "" where nothing is."""
        needed = ("tests/run-tests.py", "tools/pyboard.py", "tools/mpremote/mpremote.py", "py/mpconfig.h")
        return next((name for name in needed if not (self.root / name).exists()), "")

    @property
    def version(self) -> tuple[int, int]:
        """Of the MicroPython that the tests are for."""
        text = (self.root / "py" / "mpconfig.h").read_text("utf-8")
        found = [re.search(rf"#define MICROPY_VERSION_{part} +(\d+)", text) for part in ("MAJOR", "MINOR")]
        return tuple(int(part[1]) for part in found if part)  # type: ignore[return-value]

    def tests(self) -> list[str]:
        """As run-tests.py names them: relative to its folder."""
        tests = self.root / "tests"
        found = [file.relative_to(tests).as_posix() for folder in (*FOLDERS, *WITH_FILES) for file in sorted((tests / folder).glob("*.py"))]
        return sorted(found, key=lambda test: test in _LAST)

    def mpremote_tests(self) -> list[str]:
        """Names of the scripts."""
        return sorted(file.name for file in (self.root / "tools" / "mpremote" / "tests").glob("test_*.sh"))

    def work_copy(self, target: Path) -> Checkout:
        """The tests write beside themselves."""
        for name in _COPIED:
            if (self.root / name).is_dir():
                shutil.copytree(self.root / name, target / name, symlinks=True)
        return Checkout(target)

    def on_board(self, folder: str) -> dict[str, Path]:
        """Files that the board needs for the tests of this folder: path on the board -> file.

        unittest is for all of them, where the checkout has its submodule.
        """
        files = {}
        if (self.root / _UNITTEST).exists():
            files["lib/unittest/__init__.py"] = self.root / _UNITTEST
        if folder in WITH_FILES:
            base = self.root / "tests" / folder
            files |= {file.relative_to(base).as_posix(): file for file in sorted(base.rglob("*")) if file.is_file()}
        return files
