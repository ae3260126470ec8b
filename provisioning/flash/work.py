"""Files of a run: images that hold a device's key, in a private folder that goes with the run; logs, which stay.

A killed process cannot remove its images, so folders of runs that are older than a day are removed by the next run.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provisioning import logs, result_cache
from provisioning.errors import StationError

_STALE = 24 * 3600.0  # seconds; no run takes that long


def log_file(attempt: str) -> Path:
    """Where esptool's whole output of this attempt goes."""
    day, moment = time.strftime("%Y-%m-%d %H%M%S", time.gmtime()).split()
    return logs.folder() / day / f"{moment}-{attempt[:8]}.log"


@contextmanager
def folder(attempt: str) -> Iterator[Path]:
    """A folder of mode 0700 that is removed on the way out."""
    home = result_cache.folder() / "work"
    made = home / attempt
    try:
        made.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise StationError(
            "cache-unusable", f"The cache folder cannot be written: {error}.", "Set TWINROOT_CACHE to another folder."
        ) from None
    sweep(home)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def discard(attempt: str) -> None:
    """Remove what a killed run left."""
    shutil.rmtree(result_cache.folder() / "work" / attempt, ignore_errors=True)


def sweep(home: Path) -> None:
    """Remove the folders of runs that ended long ago."""
    limit = time.time() - _STALE
    for left in home.iterdir():
        try:
            if left.stat().st_mtime < limit:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue  # another process removed it first
