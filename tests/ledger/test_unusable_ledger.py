"""A ledger that cannot be used: nothing is flashed, and no hint leads to another one, which would give serial numbers twice."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from provisioning.cli.main import run
from provisioning.errors import InputError, StationError, TwinrootError
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


@pytest.mark.parametrize(("name", "content"), [("pump.yaml", "product: pump\n"), ("devices.csv", "device\nws-1\n")])
def test_a_file_that_was_named_by_mistake(tmp_path: Path, name: str, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error and no ledger that could be made usable again; a ledger with such a name is one all the same."""
    path = tmp_path / name
    path.write_text(content)
    for words in (["show"], ["verify"], ["export"]):
        assert run(["ledger", *words, "--ledger", str(path), "--json"]) == 2
        said = json.loads(capsys.readouterr().out)
        assert said["code"] == "not-a-ledger" and name in said["message"] and "--ledger" in said["hint"]
    with pytest.raises(InputError):
        Ledger.open(path)
    assert path.read_text() == content
    path.unlink()
    with Ledger.open(path) as ledger:
        ledger.append("claim", "0" * 32, {"mac": "24:0a:c4:00:00:01", "device": "ws-1"})
    with Ledger.open(path, create=False) as ledger:
        assert ledger.form()


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
