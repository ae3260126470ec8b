"""A ledger that cannot be used: nothing is flashed, and no hint leads to another one, which would give serial numbers twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from provisioning.errors import StationError, TwinrootError
from provisioning.ledger import store
from provisioning.ledger.store import Ledger


def _no_ledger(path: Path) -> str:
    path.write_bytes(b"this is no database, and long enough to be seen as one" * 40)
    return str(path)


def _folder_in_the_way(path: Path) -> str:
    path.parent.joinpath("file").write_text("")
    return str(path.parent / "file" / "ledger.sqlite")


def _nobody_listens(path: Path) -> str:
    return "postgresql+psycopg://user@127.0.0.1:9/ledger"


@pytest.mark.parametrize("make", [_no_ledger, _folder_in_the_way, _nobody_listens])
def test_no_hint_names_another_ledger(tmp_path: Path, make: Callable[[Path], str]) -> None:
    with pytest.raises(TwinrootError) as caught:
        Ledger.open(make(tmp_path / "ledger.sqlite"))
    assert isinstance(caught.value, StationError)
    assert "another" not in caught.value.hint and "--ledger" not in caught.value.hint


def test_a_full_disk(tmp_path: Path) -> None:
    """SQLite's own limit of pages stands for the disk's end: the same error comes from it."""
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path) as ledger:
        event.listen(ledger._engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=1"))
        with pytest.raises(StationError) as caught:
            for number in range(100):
                ledger.append("claim", f"{number:032x}", {"mac": "24:0a:c4:00:00:01", "device": f"ws-{number}", "reason": "x" * 2000})
    assert (caught.value.code, caught.value.hint) == ("ledger-unusable", store.MEND), caught.value.message
    assert "full" in caught.value.message
    assert sqlite3.connect(path).execute("select count(*) from entries").fetchone()[0] < 100
