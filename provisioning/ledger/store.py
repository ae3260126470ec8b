"""The ledger's table, through SQLAlchemy: SQLite beside the user's data by default, another database by URL.

Many worker processes append to one ledger. Each append is one transaction that holds the writer's lock from its start (BEGIN IMMEDIATE),
reads the head, and inserts the row that follows it; a waiting writer waits up to BUSY_SECONDS. With synchronous=FULL a row is on the disk
when `append` returns, so an intent survives a power cut of the station.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url

from provisioning.errors import InputError, StationError
from provisioning.ledger import anchor
from provisioning.ledger.entry import GENESIS, Entry, checked, parse

BUSY_SECONDS = 30.0
# Never another ledger: it would not know which serial numbers are taken, and give them to second boards.
MEND = "Make it usable again (disk, permissions, database), then run the same command: only this ledger knows which numbers are taken."

_metadata = sa.MetaData()
# `body` and `hash` are the record; the other columns are copies of fields of the body for queries, and `verify` compares them.
ENTRIES = sa.Table(
    "entries",
    _metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("attempt", sa.String(32), nullable=False, index=True),
    sa.Column("mac", sa.String(17), index=True),
    sa.Column("device", sa.String(64), index=True),
    sa.Column("certificate", sa.String(64), index=True),
    sa.Column("body", sa.Text, nullable=False),
)
for _verb in ("UPDATE", "DELETE"):
    _trigger: sa.DDL = sa.DDL(  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy 2.1
        f"CREATE TRIGGER IF NOT EXISTS entries_no_{_verb.lower()} BEFORE {_verb} ON entries "
        f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    )
    event.listen(ENTRIES, "after_create", _trigger.execute_if(dialect="sqlite"))


class NoLedger(InputError):
    """There is no ledger at the place, and none was to be made."""


def copies(entry: Entry) -> dict[str, Any]:
    """The columns of `entry` that repeat its body."""
    fields = entry.fields
    return {
        "kind": entry.kind,
        "attempt": entry.attempt,
        "mac": fields.get("mac"),
        "device": fields.get("device"),
        "certificate": fields.get("certificate_sha256"),
    }


def default_location() -> str:
    """TWINROOT_LEDGER, or ledger.sqlite in the user's data folder."""
    named = os.environ.get("TWINROOT_LEDGER")
    if named:
        return named
    import platformdirs

    return str(Path(platformdirs.user_data_dir("twinroot", appauthor=False)) / "ledger.sqlite")


def _url(location: str) -> URL:
    if "://" in location:
        try:
            return make_url(location)
        except sa.exc.ArgumentError:
            raise InputError(
                "bad-ledger", f"{location[:80]!r} is not a database URL.", "Give a path, or a URL such as sqlite:///PATH."
            ) from None
    return URL.create("sqlite", database=str(Path(location).expanduser().resolve()))


class Ledger:
    """An open ledger. Use `with Ledger.open(…) as ledger`; safe in many processes, not shared between threads."""

    def __init__(self, engine: Engine, shown: str, anchor_file: Path | None) -> None:
        self._engine = engine
        self.location = shown
        self.anchor_file = anchor_file

    @classmethod
    def open(cls, location: str | Path | None = None, *, create: bool = True) -> Ledger:
        """Open, and with `create` make, the ledger at a path or a database URL. Raises InputError or StationError."""
        url = _url(str(location) if location is not None else default_location())
        shown = url.render_as_string(hide_password=True)
        anchor_file = None
        if url.get_backend_name() == "sqlite" and url.database:
            path = Path(url.database)
            shown = str(path)
            anchor_file = path.with_name(path.name + ".anchor")
            if not create and not path.is_file():
                hint = "Check the path: the ledger lies where boards are flashed (--ledger, TWINROOT_LEDGER)."
                raise NoLedger("no-ledger", f"There is no ledger at {shown}.", hint)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StationError("ledger-unusable", f"The ledger's folder cannot be made: {error}.", MEND) from None
        try:
            ledger = cls(_engine(url), shown, anchor_file)
            if create:
                ledger._create()
        except sa.exc.NoSuchModuleError as error:
            raise InputError("bad-ledger", f"No driver for this database: {error}.", "Install it, or use SQLite.") from None
        except ImportError as error:
            raise StationError(
                "ledger-driver", f"The database's driver is not installed: {error.name}.", f"pip install {error.name}"
            ) from None
        return ledger

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _create(self) -> None:
        with self.transaction() as connection:
            _metadata.create_all(connection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One writing transaction, which no other process's can overlap."""
        with _sentences(self.location), self._engine.begin() as connection:
            if connection.dialect.name != "sqlite":
                # SERIALIZABLE alone would end one of two writers with an error instead of letting it wait.
                connection.execute(sa.text("LOCK TABLE entries IN EXCLUSIVE MODE")) if sa.inspect(connection).has_table("entries") else None
            yield connection

    def append(self, kind: str, attempt: str, fields: Mapping[str, Any]) -> Entry:
        """Add one row in a transaction of its own; it is on the disk when this returns."""
        return self.append_checked(lambda _connection: (kind, attempt, fields))

    def append_checked(self, decide: Callable[[Connection], tuple[str, str, Mapping[str, Any]]]) -> Entry:
        """Add the row that `decide` returns, in the same transaction in which it looked; what it raises leaves the ledger as it was."""
        with self.transaction() as connection:
            kind, attempt, fields = decide(connection)
            entry = self._insert(connection, kind, attempt, checked(kind, fields))
        if self.anchor_file is not None:
            anchor.note(self.anchor_file, entry)
        return entry

    def _insert(self, connection: Connection, kind: str, attempt: str, fields: dict[str, Any]) -> Entry:
        head = connection.execute(sa.select(ENTRIES.c.seq, ENTRIES.c.hash).order_by(ENTRIES.c.seq.desc()).limit(1)).first()
        seq, previous = (head.seq + 1, head.hash) if head else (1, GENESIS)
        at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = Entry(seq, at, kind, attempt, fields, previous)
        connection.execute(ENTRIES.insert().values(seq=seq, hash=entry.hash, body=entry.canonical(), **copies(entry)))
        return entry

    def rows(self) -> Iterator[dict[str, Any]]:
        """The stored rows as they are, in order, unchecked: for `verify`."""
        with _sentences(self.location), self._engine.connect() as connection:
            for row in connection.execution_options(stream_results=True).execute(sa.select(ENTRIES).order_by(ENTRIES.c.seq)):
                yield dict(row._mapping)

    def entries(self, **equal: str | None) -> Iterator[Entry]:
        """The entries in order; keywords name columns (mac, device, attempt, kind) and the value that they must have."""
        with _sentences(self.location), self._engine.connect() as connection:
            yield from select(connection, **equal)


def select(connection: Connection, **equal: str | None) -> list[Entry]:
    """The entries whose columns equal the given values, in order, within a transaction."""
    query = sa.select(ENTRIES.c.body).order_by(ENTRIES.c.seq)
    for column, value in equal.items():
        if value is not None:
            query = query.where(ENTRIES.c[column] == value)
    return [parse(row.body) for row in connection.execute(query)]


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, isolation_level="SERIALIZABLE")
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def _durable(dbapi_connection: Any, _record: Any) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _writer_first(connection: Connection) -> None:
        # Taking the lock at the start: two readers that both want to write later would end in a deadlock error.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@contextmanager
def _sentences(location: str) -> Iterator[None]:
    """What the database raises, as one sentence."""
    try:
        yield
    except sa.exc.OperationalError as error:
        text = str(error.orig)
        if "locked" in text or "busy" in text:
            raise StationError(
                "ledger-busy",
                f"The ledger {location} was locked by another program for {BUSY_SECONDS:.0f} s.",
                "Close the program that has it open.",
            ) from None
        raise StationError("ledger-unusable", f"The ledger {location} cannot be used: {text}.", MEND) from None
    except (sa.exc.DatabaseError, ValueError) as error:
        text = str(getattr(error, "orig", error))
        raise StationError("ledger-unusable", f"{location} is not a ledger of this toolkit: {text}.", MEND) from None
