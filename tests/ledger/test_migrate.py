"""A ledger of an older form is brought up to date, record and chain as they were; a new one is made in the newest form at once."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from provisioning.cli.main import run as twinroot
from provisioning.errors import StationError
from provisioning.ledger import anchor
from provisioning.ledger.chain_check import verify
from provisioning.ledger.entry import CLAIM, FORM, GENESIS, INTENT, OUTCOME, Entry
from provisioning.ledger.migrate import SCRIPTS
from provisioning.ledger.store import Ledger
from tests.support import postgres
from tests.support.ledger_rows import MACS, run, tamper

# The tables as the first form had them, without a number.
FIRST = """
CREATE TABLE entries (
  seq INTEGER NOT NULL, hash VARCHAR(64) NOT NULL, kind VARCHAR(16) NOT NULL, attempt VARCHAR(32) NOT NULL, mac VARCHAR(17),
  device VARCHAR(64), certificate VARCHAR(64), body TEXT NOT NULL, PRIMARY KEY (seq), UNIQUE (hash));
CREATE INDEX ix_entries_attempt ON entries (attempt);
CREATE INDEX ix_entries_certificate ON entries (certificate);
CREATE INDEX ix_entries_device ON entries (device);
CREATE INDEX ix_entries_mac ON entries (mac);
"""
GUARDS = """
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


def rows(count: int) -> list[tuple[object, ...]]:
    """As the first form wrote them: boards that passed, failed, and were never ended."""
    made: list[tuple[object, ...]] = []
    previous = GENESIS
    for n in range(count):
        about = {"mac": MACS[n], "device": f"ws-{n}", "certificate_sha256": f"{n:064x}"}
        ends = {"outcome": ["pass", "fail", "error"][n % 3], "wrote": n % 3 != 2}
        for kind, more in ((CLAIM, {}), (INTENT, {}), (OUTCOME, ends))[: 2 if n % 4 == 3 else 3]:
            entry = Entry(len(made) + 1, "2026-01-01T00:00:00.000Z", kind, f"{n:032x}", {**about, **more}, previous)
            previous = entry.hash
            made.append((entry.seq, entry.hash, kind, entry.attempt, MACS[n], f"ws-{n}", f"{n:064x}", entry.canonical()))
    return made


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(FIRST + GUARDS)
    connection.executemany("INSERT INTO entries VALUES (?,?,?,?,?,?,?,?)", rows(12))
    connection.commit()
    connection.close()
    path.with_name(path.name + ".anchor").write_text("".join(f"{row[0]} {row[1]}\n" for row in rows(12)))
    return path


def filled(ledger: Ledger) -> None:
    """The chain holds, and the new columns say what the record says."""
    verdict = verify(ledger.rows(), anchor.read(ledger.anchor_file) if ledger.anchor_file else {})
    assert verdict.ok and verdict.rows == len(rows(12)), verdict.faults
    ends = [(row["kind"], row["outcome"], row["wrote"]) for row in ledger.rows() if row["outcome"]]
    assert ends[:3] == [("outcome", "pass", True), ("outcome", "fail", True), ("outcome", "error", False)] and len(ends) == 9
    devices = [f"ws-{n}" for n in range(20)]
    assert run(ledger, "a" * 32, MACS[0], devices) == "ws-0"
    assert run(ledger, "b" * 32, MACS[40], devices) == "ws-2", "nothing was written on that board"
    assert run(ledger, "c" * 32, MACS[3], devices) == "ws-3", "an attempt without an outcome binds"


def test_an_sqlite_ledger_is_carried_over_by_opening_it(old: Path) -> None:
    with Ledger.open(old) as ledger:
        assert ledger.form() == FORM
        filled(ledger)
    connection = sqlite3.connect(old)
    for statement in ("UPDATE entries SET device='x' WHERE seq=3", "DELETE FROM entries WHERE seq=3"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_reading_changes_nothing_and_the_first_append_carries_over(old: Path) -> None:
    before = old.read_bytes()
    with Ledger.open(old, create=False) as ledger:
        assert ledger.form() == "" and len(list(ledger.entries())) == len(rows(12))
        assert verify(ledger.rows(), {}).ok
        assert old.read_bytes()[100:] == before[100:], "all but the header, which says that a journal may be there"
        ledger.append(CLAIM, "a" * 32, {"mac": MACS[50]})
        assert ledger.form() == FORM and verify(ledger.rows(), {}).ok


def test_a_damaged_ledger_is_carried_over_with_its_damage(old: Path) -> None:
    tamper(old, "UPDATE entries SET body='{' WHERE seq=3", "UPDATE entries SET device='x' WHERE seq=6")
    with Ledger.open(old) as ledger:
        assert {(fault.seq, fault.code) for fault in verify(ledger.rows(), {}).faults} == {(3, "row-edited"), (6, "column-edited")}


def test_a_server_is_migrated_by_its_owner_only(server: postgres.Server) -> None:
    name = server.database()
    url = server.url(name)
    server.sql(name, *FIRST.strip().split(";")[:-1])
    with sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:")).begin() as connection:
        for row in rows(12):
            marks = ", ".join(f":v{n}" for n in range(8))
            connection.execute(sa.text(f"INSERT INTO entries VALUES ({marks})"), {f"v{n}": value for n, value in enumerate(row)})
    with pytest.raises(StationError) as caught:
        Ledger.open(url)
    assert caught.value.code == "ledger-older" and "migrate" in caught.value.hint
    with Ledger.open(url, create=False) as ledger:
        assert ledger.migrate() == ("", FORM)
        assert ledger.migrate() == (FORM, FORM)
        filled(ledger)


def test_a_form_that_is_newer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num='0999'")
    connection.commit()
    connection.close()
    with pytest.raises(StationError) as caught:
        Ledger.open(path)
    assert caught.value.code == "ledger-newer"


def test_the_constant_is_the_newest_script() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory(str(SCRIPTS)).get_heads() == [FORM]


def _shape(url: str) -> dict[str, object]:
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    look = sa.inspect(engine)
    triggers = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type='trigger' ORDER BY name",
        "postgresql": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname",
    }
    with engine.connect() as connection:
        guards = [
            (name, str(sql).replace(" IF NOT EXISTS", "")) for name, sql in connection.execute(sa.text(triggers[engine.dialect.name]))
        ]
    shape = {
        name: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in look.get_columns(name)],
            sorted(str((index["column_names"], bool(index["unique"]))) for index in look.get_indexes(name)),
            look.get_pk_constraint(name)["constrained_columns"],
            [unique["column_names"] for unique in look.get_unique_constraints(name)],
        )
        for name in look.get_table_names()
    }
    engine.dispose()
    return {**shape, "guards": guards}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_made_and_migrated_are_the_same(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    from alembic import command
    from alembic.config import Config

    if kind == "sqlite":
        made, migrated = (f"sqlite:///{tmp_path / name}" for name in ("made", "migrated"))
    else:
        server = request.getfixturevalue("server")
        made, migrated = server.url(server.database()), server.url(server.database())
    Ledger.open(made).close()
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    engine = sa.create_engine(migrated.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
    assert _shape(made) == _shape(migrated)
    Ledger.open(migrated).close()


def test_an_sqlite_ledger_loads_neither_alembic_nor_a_driver(tmp_path: Path) -> None:
    """What a station loads at its start, with a ledger that is new and with one that is not."""
    code = (
        "import sys; from provisioning.ledger.store import Ledger\n"
        "for _ in range(2):\n"
        "    with Ledger.open(sys.argv[1]) as ledger: ledger.append('claim', 'a' * 32, {'device': 'x'})\n"
        "print([name for name in ('alembic', 'mako', 'psycopg') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "l.sqlite")], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("arguments", [["label", "status"], ["dashboard", "--port", "0"]])
def test_who_only_reads_says_that_the_form_is_older(old: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert twinroot([*arguments, "--ledger", str(old), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["code"] == "ledger-older"
    assert twinroot(["ledger", "migrate", "--ledger", str(old)]) == 0
    capsys.readouterr()
    assert twinroot(["label", "status", "--ledger", str(old)]) == 0
