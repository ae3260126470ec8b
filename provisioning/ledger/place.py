"""Which ledger is meant, without the database layer: loading that takes longer than a row."""

from __future__ import annotations

import os
from pathlib import Path


def default() -> str:
    """TWINROOT_LEDGER, or ledger.sqlite in the user's data folder."""
    named = os.environ.get("TWINROOT_LEDGER")
    if named:
        return named
    import platformdirs

    return str(Path(platformdirs.user_data_dir("twinroot", appauthor=False)) / "ledger.sqlite")


def path_of(text: str) -> Path | None:
    """The SQLite file that `text` names as a path; None for a URL."""
    return None if "://" in text else Path(text).expanduser().resolve()
