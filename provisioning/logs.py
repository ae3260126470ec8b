"""Where logs are, and how much of them stays: a folder for each day (UTC), the oldest of which go when all of them are too much.

`TWINROOT_LOGS` names the folder; else it is `logs` in the folder that `TWINROOT_CACHE` names; else the system's own place for logs.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

LIMIT = 64 * 1024 * 1024  # bytes in all; a board's run is some thousand
_EACH = 50  # files of a day between two looks at the size
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def folder() -> Path:
    """Not made yet. Raises RuntimeError where there is no home directory."""
    for variable, below in (("TWINROOT_LOGS", ""), ("TWINROOT_CACHE", "logs")):
        named = os.environ.get(variable, "")
        if named.strip():
            return Path(named).expanduser() / below
    import platformdirs

    return Path(platformdirs.user_log_dir("twinroot", appauthor=False))


def today() -> Path:
    """Today's folder, made where it is missing; now and then old days go. Raises OSError, RuntimeError."""
    home = folder()
    day = home / time.strftime("%Y-%m-%d", time.gmtime())
    day.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sum(1 for _ in day.iterdir()) % _EACH == 0:
        prune(home)
    return day


def days(home: Path) -> list[Path]:
    """The folders of days, oldest first. Nothing else in the folder is ours."""
    try:
        return sorted(path for path in home.iterdir() if _DAY.fullmatch(path.name) and path.is_dir())
    except OSError:
        return []


def prune(home: Path, limit: int = LIMIT) -> None:
    """Remove the oldest until `limit` bytes hold: whole days, and of the newest day its oldest files."""
    found = [(day, sorted(_files(day))) for day in days(home)]
    left = sum(size for _, files in found for _, size, _ in files)
    for day, files in found[:-1]:
        if left <= limit:
            return
        shutil.rmtree(day, ignore_errors=True)
        left -= sum(size for _, size, _ in files)
    for _, size, path in found[-1][1] if found else []:
        if left <= limit:
            return
        path.unlink(missing_ok=True)
        left -= size


def _files(day: Path) -> list[tuple[float, int, Path]]:
    """Time of the last change, size in bytes, path."""
    found = []
    for path in day.iterdir():
        try:
            state = path.stat()
        except OSError:
            continue  # another process removed it first
        found.append((state.st_mtime, state.st_size, path))
    return found
