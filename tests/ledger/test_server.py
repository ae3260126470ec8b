"""The ledger on a real PostgreSQL server: turns, tries, silence, absence, roles, and a password that shows nowhere."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from provisioning.cli.main import run as twinroot
from provisioning.errors import InputError, StationError, TwinrootError
from provisioning.fleet.device import Device
from provisioning.fleet.plan_rows import PlanRows
from provisioning.fleet.store import FleetStore
from provisioning.ledger import claims
from provisioning.ledger import server as store
from provisioning.ledger.chain_check import verify
from provisioning.ledger.entry import CLAIM, OUTCOME, Entry
from provisioning.ledger.location import locate
from provisioning.ledger.patience import Patience
from provisioning.ledger.store import Ledger, LedgerDenied, insert
from tests.support import postgres
from tests.support.ledger_rows import MACS, run

DEVICES = [f"ws-{n}" for n in range(40)]
FACTORY = Path(__file__).resolve().parents[2] / "docs" / "factory.md"


@pytest.fixture
def proxy(server: postgres.Server) -> Iterator[postgres.Proxy]:
    made = postgres.Proxy(server.port)
    yield made
    made.close()


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    """For what waits while the test goes on."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


def whole(url: str, rows: int) -> None:
    with Ledger.open(url, create=False) as ledger:
        verdict = verify(ledger.rows(), {})
    assert verdict.ok and verdict.rows == rows, verdict


def test_many_writers_one_after_another(url: str, beside: ThreadPoolExecutor) -> None:
    """They start together, the tables not yet made; none is ended with an error, none gets another's device."""
    start = threading.Barrier(8)

    def work(who: int) -> list[str]:
        start.wait()
        with Ledger.open(url) as ledger:
            return [run(ledger, f"{who}-{n}", MACS[who], DEVICES) for n in range(3)]

    got = list(beside.map(work, range(8)))
    assert all(len(set(devices)) == 1 for devices in got) and len({devices[0] for devices in got}) == 8, got
    whole(url, 8 * 3 * 3)


def test_a_writer_that_took_no_turn_costs_a_try(url: str, beside: ThreadPoolExecutor) -> None:
    """A row with the same number is committed while ours waits at the index: ours follows it."""
    with Ledger.open(url) as ledger, Ledger.open(url) as rude:
        first = ledger.append(CLAIM, "a" * 32, {"mac": MACS[0]})
        with rude._engine.begin() as connection:
            row = Entry(2, first.at, CLAIM, "b" * 32, {"mac": MACS[1]}, first.hash)
            insert(connection, row)
            late = beside.submit(ledger.append, CLAIM, "c" * 32, {"mac": MACS[2]})
            _until(lambda: _waiting(rude))
        assert late.result(20).seq == 3
    whole(url, 3)


def _waiting(ledger: Ledger) -> bool:
    with ledger._engine.connect() as connection:
        return bool(connection.execute(sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).scalar())


def _until(true: Callable[[], object], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("condition", ["40001", "40P01"])
def test_serialization_failures_are_tried_again_with_a_bound(url: str, condition: str) -> None:
    """The server itself raises the condition, the first times or every time."""
    with Ledger.open(url) as ledger:
        tries = 0

        def decide(connection: sa.Connection, spoiled: int) -> tuple[str, str, dict[str, str]]:
            nonlocal tries
            tries += 1
            if tries <= spoiled:
                connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{condition}'; END $$")
            return CLAIM, "a" * 32, {"mac": MACS[0]}

        assert ledger.append_checked(lambda connection: decide(connection, 3)).seq == 1 and tries == 4
        tries = 0
        with pytest.raises(StationError) as caught:
            ledger.append_checked(lambda connection: decide(connection, 99))
        assert caught.value.code == "ledger-busy" and tries == 10
    whole(url, 1)


def test_a_station_cut_off_in_its_turn_does_not_hold_the_others(
    server: postgres.Server, proxy: postgres.Proxy, beside: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "IDLE_SECONDS", 1)
    name = server.database()
    inside, cut = threading.Event(), threading.Event()

    def decide(_connection: sa.Connection) -> tuple[str, str, dict[str, str]]:
        inside.set()
        assert cut.wait(20)
        return CLAIM, "a" * 32, {"mac": MACS[0]}

    with Ledger.open(server.url(name)) as other, Ledger.open(server.url(name, port=proxy.port), patience=Patience(60)) as ledger:
        held = beside.submit(ledger.append_checked, decide)
        assert inside.wait(20)
        proxy.cut()
        began = time.monotonic()
        assert other.append(CLAIM, "b" * 32, {"mac": MACS[1]}).seq == 1
        assert time.monotonic() - began < 3.0
        cut.set()
        proxy.mend()
        assert held.result(30).seq == 2
    whole(server.url(name), 2)


def test_an_answer_to_a_commit_that_is_lost_makes_no_second_row(
    server: postgres.Server, proxy: postgres.Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is cut after COMMIT has left and before its answer: silence, a hang-up, and the question whether the row is there."""
    name = server.database()
    told: list[str] = []
    with Ledger.open(server.url(name, port=proxy.port), patience=Patience(60, told.append)) as ledger:
        before = len(told)
        calls = 0

        def decide(_connection: sa.Connection) -> tuple[str, str, dict[str, str]]:
            nonlocal calls
            calls += 1
            return CLAIM, "a" * 32, {"mac": MACS[0]}

        @event.listens_for(ledger._engine, "commit", once=True)
        def swallow(_connection: sa.Connection) -> None:
            proxy.swallow_answers()
            threading.Timer(1.5, proxy.mend).start()

        with monkeypatch.context() as short:
            short.setattr(store, "ANSWER_SECONDS", 1.0)
            assert ledger.append_checked(decide).seq == 1
        assert calls == 1, "the row was found, not written again"
        assert before == 0
    whole(server.url(name), 1)


def test_a_server_that_goes_away_is_waited_for(url: str, server: postgres.Server, beside: ThreadPoolExecutor) -> None:
    told: list[str] = []
    with Ledger.open(url, patience=Patience(60, told.append)) as ledger:
        device = claims.claim(ledger, "a" * 32, MACS[0], DEVICES, {})
        server.stop()
        try:
            late: Future[Entry] = beside.submit(claims.intend, ledger, "a" * 32, {"mac": MACS[0], "device": device})
            _until(lambda: told)
            assert not late.done() and "away, waiting up to" in told[0] and "s more" in told[0]
        finally:
            server.start()
        assert late.result(30).seq == 2
        assert "is back after" in told[-1]
    whole(url, 2)


def test_the_wait_has_an_end_and_the_claim_stays(url: str, server: postgres.Server) -> None:
    with Ledger.open(url, patience=Patience(0.5)) as ledger:
        assert claims.claim(ledger, "a" * 32, MACS[0], DEVICES, {}) == "ws-0"
        server.stop()
        try:
            began = time.monotonic()
            with pytest.raises(StationError) as caught:
                ledger.append("outcome", "a" * 32, {"mac": MACS[0], "outcome": "pass"})
            assert caught.value.code == "ledger-away" and time.monotonic() - began < 5
            with pytest.raises(StationError) as at_once:
                Ledger.open(url)
            assert at_once.value.code == "ledger-unusable", "before anything has begun, nothing is waited for"
        finally:
            server.start()
        assert claims.claim(ledger, "b" * 32, MACS[1], DEVICES, {}) == "ws-1"
        assert claims.claim(ledger, "c" * 32, MACS[0], DEVICES, {}) == "ws-0"


# Roles: the statements are those of the documentation.


def _sql_of_the_documentation(database: str) -> list[list[str]]:
    blocks = re.findall(r"```sql\n(.*?)```", FACTORY.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 3
    return [[line.replace("DATABASE ledger", f"DATABASE {database}") for line in block.splitlines()] for block in blocks]


@pytest.fixture(scope="module")
def plant(server: postgres.Server) -> Iterator[str]:
    """A database as docs/factory.md sets it up: its name."""
    name = "ledger_roles"
    once, granted, each = _sql_of_the_documentation(name)
    server.sql("postgres", *once, f"ALTER ROLE twinroot_owner PASSWORD '{postgres.PASSWORD}'")
    Ledger.open(server.url(name, "twinroot_owner"), create=False, new=True).migrate()
    server.sql(name, *granted, user="twinroot_owner")
    server.sql("postgres", *each, *(f"ALTER ROLE {role} PASSWORD '{postgres.PASSWORD}'" for role in ("station1", "auditor1", "fleet1")))
    with Ledger.open(server.url(name, "station1")) as ledger:
        run(ledger, "a" * 32, MACS[0], DEVICES)
    yield name


CHANGES = [
    "UPDATE entries SET device = 'x' WHERE seq = 1",
    "DELETE FROM entries WHERE seq = 1",
    "TRUNCATE entries",
    "DROP TABLE entries",
    "DROP TRIGGER entries_append_only ON entries",
    "ALTER TABLE entries DISABLE TRIGGER ALL",
    "CREATE OR REPLACE FUNCTION entries_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    "UPDATE alembic_version SET version_num = '0001'",
    "CREATE TABLE mine (x int)",
    "SELECT * FROM entries FOR UPDATE",
]


@pytest.mark.parametrize("statement", CHANGES)
@pytest.mark.parametrize("role", ["station1", "auditor1", "fleet1"])
def test_a_station_may_append_and_not_change(server: postgres.Server, plant: str, role: str, statement: str) -> None:
    import psycopg

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        server.sql(plant, statement, user=role)


@pytest.mark.parametrize("statement", CHANGES[:3])
def test_even_the_owner_is_refused(server: postgres.Server, plant: str, statement: str) -> None:
    import psycopg

    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        server.sql(plant, statement, user="twinroot_owner")


def test_a_reader_verifies_and_does_not_append(server: postgres.Server, plant: str) -> None:
    with Ledger.open(server.url(plant, "auditor1"), create=False) as ledger:
        assert verify(ledger.rows(), {}).ok
        with pytest.raises(StationError) as caught:
            ledger.append(CLAIM, "b" * 32, {"mac": MACS[1]})
        assert caught.value.code == "ledger-denied"


@pytest.mark.parametrize(("role", "may"), [("fleet1", True), ("auditor1", False), ("station1", False)])
def test_only_one_role_changes_what_is_known_of_a_fleet(server: postgres.Server, plant: str, role: str, may: bool) -> None:
    with Ledger.open(server.url(plant, role), create=False) as ledger:
        store = FleetStore(ledger)
        try:
            store.put([Device("p", "ws-1", "file", seen=1)])
            PlanRows(ledger).take_turn("plan", role, 60)
            PlanRows(ledger).give_turn("plan", role)
            done = True
        except LedgerDenied:
            done = False
        assert done == may
        if role != "station1":
            assert [device.device for device in store.devices("p")] == ["ws-1"]


def test_a_station_without_tables_says_who_makes_them(server: postgres.Server, plant: str) -> None:
    name = server.database()
    with pytest.raises(StationError) as caught:
        Ledger.open(server.url(name, "station1"))
    assert caught.value.code == "ledger-denied" and "docs/factory.md" in caught.value.hint


def test_on_a_server_its_owner_erases_and_a_reader_sees_no_name(
    server: postgres.Server, plant: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger.open(server.url(plant, "station1")) as ledger:
        op = str(ledger.append(OUTCOME, "d" * 32, {"mac": MACS[5], "outcome": "fail", "operator": "Kim"}).fields["operator"])
        assert ledger.operators()[op] == "Kim"
    with Ledger.open(server.url(plant, "auditor1"), create=False) as ledger:
        assert ledger.operators() == {}
    for role, code in (("station1", 3), ("twinroot_owner", 0)):
        monkeypatch.setenv("TWINROOT_LEDGER", server.url(plant, role))
        assert twinroot(["ledger", "retain", "--operator", "Kim", "--json"]) == code, capsys.readouterr()
    with Ledger.open(server.url(plant, "station1")) as ledger:
        assert op not in ledger.operators() and verify(ledger.rows(), {}).ok


# The password.


def test_the_password_shows_nowhere(
    server: postgres.Server, plant: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    word = postgres.PASSWORD
    url = server.url(plant, "station1")
    wrong = server.url(plant, "station1", password=word + "x")
    inside = f"postgresql://127.0.0.1:{server.port}/{plant}?user=station1&password={quote_plus(word)}"
    said = ""
    codes: list[int] = []
    for location in (
        url,
        inside,
        wrong,
        server.url("no_such_database", "station1"),
        server.url(plant, "nobody_here"),
        server.url(plant, "station1", port=9),
        url.replace(f":{server.port}/", ":nonsense/"),
        url + "?sslmode=nonsense",
        url + "?sslmode=require",
        url + "?nonsense=1",
        f"postgresql://station1:{word}@127.0.0.1:{server.port}/{plant}",  # nothing is escaped, so it means something else
        f"mysql://u:{quote(word, safe='')}@127.0.0.1/x",
    ):
        for arguments in (["show"], ["verify", "--json"], ["release", "--mac", MACS[9], "--reason", "x", "--debug"]):
            monkeypatch.setenv("TWINROOT_LEDGER", location)
            codes.append(twinroot(["ledger", *arguments]))
            out, err = capfd.readouterr()
            said += out + err
        codes.append(twinroot(["ledger", "show", "--ledger", location]))
        out, err = capfd.readouterr()
        said += out + err
        assert "list of processes" in err
    assert codes[:3] == [0, 0, 2] and {0, 2, 3} == set(codes)
    assert "127.0.0.1" in said and "PASS" in said
    for form in (word, quote(word, safe=""), quote_plus(word), word.replace("%", "%25")):
        assert form not in said
    assert "kanary" not in said
    with Ledger.open(url) as ledger:
        assert "kanary" not in "".join(entry.canonical() for entry in ledger.entries())


def test_show_names_the_ledger_without_it(server: postgres.Server, plant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert twinroot(["ledger", "show", "--json", "--ledger", server.url(plant, "station1")]) == 0
    assert json.loads(capsys.readouterr().out)["ledger"] == f"postgresql://station1:***@127.0.0.1:{server.port}/{plant}"


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgresql://u@127.0.0.1/x", "prefer"),
        ("postgresql://u@localhost:5433/x", "prefer"),
        ("postgresql:///x", "prefer"),
        ("postgresql:///x?host=/run/postgresql", "prefer"),
        ("postgresql://u@db.plant.example/x", "verify-full"),
        ("postgresql://u@10.0.0.7/x", "verify-full"),
        ("postgresql:///x?host=localhost,db2.plant.example", "verify-full"),
        ("postgresql:///x?host=localhost&host=db2.plant.example", "verify-full"),
        ("postgresql://u@127.0.0.1.example/x", "verify-full"),
        ("postgresql://u@db.plant.example/x?sslmode=require", None),
    ],
)
def test_a_server_elsewhere_proves_who_it_is(url: str, mode: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    monkeypatch.delenv("PGHOST", raising=False)
    assert store.arguments(locate(url).url).get("sslmode") == mode


# From one store to another.


def test_a_ledger_is_moved_to_a_server(url: str, tmp_path: Path) -> None:
    from provisioning.ledger.move import move

    with Ledger.open(tmp_path / "ledger.sqlite") as old, Ledger.open(url) as new:
        for n in range(5):
            run(old, f"{n:032x}", MACS[n], DEVICES)
        head = list(old.entries())[-1]
        assert move(old, new, "m" * 32, {"operator": "o"}) == 15
        assert verify(new.rows(), {head.seq: head.hash}).ok
        assert run(new, "a" * 32, MACS[2], DEVICES) == "ws-2" and run(new, "b" * 32, MACS[9], DEVICES) == "ws-5"
        with pytest.raises(InputError) as ended:
            run(old, "c" * 32, MACS[10], DEVICES)
        assert ended.value.code == "ledger-moved"
        with pytest.raises(InputError):
            move(old, new, "d" * 32, {})
    with Ledger.open(tmp_path / "second.sqlite") as other, Ledger.open(url) as new:
        run(other, "e" * 32, MACS[0], DEVICES)
        with pytest.raises(InputError) as full:
            move(other, new, "f" * 32, {})
        assert full.value.code == "ledger-not-empty"
        assert run(other, "g" * 32, MACS[0], DEVICES) == "ws-0", "one that was not moved goes on"


def test_a_move_that_was_cut_off_goes_on(url: str, tmp_path: Path) -> None:
    from provisioning.ledger.move import move

    with Ledger.open(tmp_path / "ledger.sqlite") as old, Ledger.open(url) as new:
        for n in range(3):
            run(old, f"{n:032x}", MACS[n], DEVICES)
        new.import_rows(list(old.entries())[:4])
        assert move(old, new, "m" * 32, {}) == 9
    whole(url, 9)


def test_other_databases_are_refused() -> None:
    for location in ("mysql://h/x", "nosuchdb://h/x"):
        with pytest.raises(TwinrootError) as caught:
            Ledger.open(location)
        assert caught.value.code == "bad-ledger"


def test_a_list_that_is_long_is_looked_through_before_the_turn(url: str) -> None:
    """What is asked in the turn does not grow with the number of devices that are taken."""
    with Ledger.open(url) as ledger:
        many = [f"d-{n:04d}-" for n in range(1200)]
        statements: list[str] = []

        @event.listens_for(ledger._engine, "before_cursor_execute")
        def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        for n in range(60):
            run(ledger, f"{n:032x}", f"24:0a:c4:00:01:{n:02x}", many)
        statements.clear()
        assert run(ledger, "f" * 32, MACS[0], many) == "d-0060-"
        assert len(statements) < 25
        claims.release(ledger, "r" * 32, mac=None, device="d-0007-", fields={"reason": "scrapped"})
        assert run(ledger, "e" * 32, MACS[1], many) == "d-0007-", "a number that was freed is the first again"


def test_a_turn_stays_short_where_others_took_what_was_free(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a board's look at the list and its turn, other boards take all that it found: it looks again before another turn, and no
    turn walks through the list, which would hold every station up."""
    monkeypatch.setattr(claims, "_ENOUGH", 3)
    many = [f"d-{n:04d}-" for n in range(600)]
    with Ledger.open(url) as ledger, Ledger.open(url) as others:
        turns: list[int] = []

        @event.listens_for(ledger._engine, "before_cursor_execute")
        def watch(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if "pg_advisory_xact_lock" in statement:
                turns.append(0)
                if len(turns) == 1:
                    for n in range(5):
                        run(others, f"{n:032x}", MACS[n], many)
            elif turns:
                turns[-1] += 1

        device = claims.claim(ledger, "f" * 32, MACS[9], many, {})
        assert device == "d-0005-" and len(turns) == 2
        assert max(turns) < 10, "statements of a turn, and of the look before the next"
    with Ledger.open(url, create=False) as ledger, pytest.raises(InputError) as none:
        claims.claim(ledger, "e" * 32, MACS[10], many[:5], {})
    assert none.value.code == "no-device-left"
