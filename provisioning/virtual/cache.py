"""Results that take a moment and depend only on what is installed; a cache that cannot be used costs that moment each time."""

from __future__ import annotations

import os
from pathlib import Path

from provisioning import private


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "twinroot" / "virtual"


def read(name: str) -> bytes | None:
    """What was kept under this name, or None."""
    try:
        return private.read(_folder() / name)
    except (OSError, RuntimeError):  # RuntimeError: no home directory
        return None


def write(name: str, content: bytes) -> None:
    """Keeps it; two writers at once do no harm."""
    try:
        private.write(_folder() / name, content)
    except (OSError, RuntimeError):
        return
