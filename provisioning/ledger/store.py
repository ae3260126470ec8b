"""The ledger, open: rows are read, and appended one transaction at a time. SQLite beside the user's data by default, PostgreSQL by URL.

Many worker processes append to one ledger. Each append has the writer's turn from its start, reads the head, and inserts the row that
follows it; the row is on the disk when `append` returns. What differs between the stores is in `embedded.py` and `server.py`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from provisioning.errors import InputError, StationError
from provisioning.ledger import anchor, names
from provisioning.ledger.embedded import BUSY_SECONDS, Embedded
from provisioning.ledger.entry import ERASE, FORM, MOVED, Entry, checked, following, now, parse
from provisioning.ledger.fleet_tables import metadata
from provisioning.ledger.location import Location, locate
from provisioning.ledger.patience import Absence, Patience
from provisioning.ledger.place import default
from provisioning.ledger.pseudonym import without_home
from provisioning.ledger.server import AGAIN, AWAY, BUSY, Server
from provisioning.ledger.table import ENTRIES, VERSION

# Never another ledger: it would not know which serial numbers are taken, and give them to second boards.
MEND = "Make it usable again (disk, permissions, database), then run the same command: only this ledger knows which numbers are taken."
AGAIN_TRIES = 10  # for one transaction that another one spoiled

_Result = TypeVar("_Result")
Decide = Callable[[Connection], tuple[str, str, Mapping[str, Any]]]


class NoLedger(InputError):
    """There is no ledger at the place, and none was to be made."""


class LedgerDenied(StationError):
    """The database does not let this user do that."""


class Ledger:
    """An open ledger. Use `with Ledger.open(…) as ledger`; safe in many processes, not shared between threads."""

    def __init__(self, location: Location, patience: Patience) -> None:
        self._place = location
        self._store: Embedded | Server = Server() if location.url.get_backend_name() == "postgresql" else Embedded()
        self._engine: Engine = self._store.engine(location)
        self._patience = patience
        self._ready = False  # whether the tables are known to have the newest form
        self.made = False  # whether there was none before
        self.location = location.shown
        self.anchor_file = location.path.with_name(location.path.name + ".anchor") if location.path else None

    @classmethod
    def open(
        cls, location: str | Path | None = None, *, create: bool = True, new: bool = False, patience: Patience | None = None
    ) -> Ledger:
        """Open the ledger at a path or a database URL; with `create`, make it, or bring an older form up to date. `new`: it may be that
        there is none, and `migrate` follows.

        `patience`: for how long this call, and every later one, waits for a server that is away. Raises InputError or StationError.
        """
        place = locate(str(location) if location is not None else default())
        if place.path is not None:
            _refuse_other(place.path)
            _make_room(place.path, create or new)
        try:
            ledger = cls(place, patience or Patience())
        except ImportError:
            raise StationError(
                "ledger-driver", f"The driver for {place.shown} is not installed.", "pip install 'twinroot[postgres]'"
            ) from None
        try:
            if not new:
                ledger._prepare(create)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def wait_with(self, patience: Patience) -> None:
        """From now on, wait for a server that is away."""
        self._patience = patience

    # What the tables are like.

    def _prepare(self, create: bool) -> None:
        if not create and self._place.path is None and self.form() is None:
            raise NoLedger(
                "no-ledger",
                f"There is no ledger in {self.location}.",
                "Check the URL; `twinroot ledger migrate` makes one in an empty database.",
            )
        if create:
            self._current()

    def form(self) -> str | None:
        """The number of the tables' form; "" for those that are older than numbers, None where there are none."""
        return self.read(self._form)

    def _form(self, connection: Connection) -> str | None:
        tables = self._store.tables(connection)
        if VERSION.name in tables:
            return connection.execute(sa.select(VERSION.c.version_num)).scalar() or ""
        return "" if ENTRIES.name in tables else None

    def _current(self) -> None:
        """Tables of the newest form: made where there are none, brought up to date where this store does that by itself."""
        if self._ready:
            return
        form = self.form()
        if form is None or (form != FORM and self._store.migrates_itself):
            self.migrate()
        elif form != FORM:
            raise _form_error(self.location, form)
        self._ready = True

    def require_form(self) -> None:
        """For who only reads, and needs every column. Raises StationError for tables of another form."""
        form = self.form()
        if form is not None and form != FORM:
            raise _form_error(self.location, form)

    def migrate(self) -> tuple[str | None, str]:
        """Make the tables, or bring them up to date, in one transaction; returns the form before and now."""

        def work(connection: Connection) -> str | None:
            form = self._form(connection)  # once more, now that nobody else can be at it
            if form is None:
                metadata.create_all(connection)
                connection.execute(VERSION.insert().values(version_num=FORM))
            elif form != FORM:
                from provisioning.ledger.migrate import upgrade

                upgrade(connection, form, self.location)
            return form

        before = self._do(work, reading=False)
        self._ready = True
        self.made = self.made or before is None
        return before, FORM

    def import_rows(self, entries: Sequence[Entry], operators: Sequence[Mapping[str, Any]] = ()) -> None:
        """Take over the rows of another ledger as they are; this one is empty, or has the first of them from a try before. Raises
        InputError."""
        self._current()

        def work(connection: Connection) -> int:
            held = connection.execute(sa.select(ENTRIES.c.hash).order_by(ENTRIES.c.seq)).scalars().all()
            if list(held) != [entry.hash for entry in entries[: len(held)]]:
                raise InputError(
                    "ledger-not-empty", f"The ledger {self.location} has rows of its own.", "Give an empty database, or another file."
                )
            for entry in entries[len(held) :]:
                insert(connection, entry)
            names.take_over(connection, [dict(row) for row in operators])
            return len(held)

        for entry in entries[self._do(work, reading=False) :]:
            if self.anchor_file is not None:
                anchor.note(self.anchor_file, entry)

    # Transactions.

    def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """What `work` reads, from one connection; it waits for no writer, and is done again where the server went away meanwhile."""
        return self._do(work, reading=True)

    def append(self, kind: str, attempt: str, fields: Mapping[str, Any]) -> Entry:
        """Add one row in a transaction of its own; it is on the disk when this returns."""
        return self.append_checked(lambda _connection: (kind, attempt, fields))

    def append_checked(self, decide: Decide) -> Entry:
        """Add the row that `decide` returns, in the same transaction in which it looked; what it raises leaves the ledger as it was.

        `decide` is called again when the transaction has to be done again.
        """
        self._current()
        sent: Entry | None = None

        def work(connection: Connection) -> Entry:
            nonlocal sent
            # A connection that ended during a commit leaves it open whether the row is there. Its number and hash tell: they are
            # looked up in the writer's turn, which the server gives on only when the transaction before has ended either way.
            if sent is not None and _hash_of(connection, sent.seq) == sent.hash:
                return sent
            kind, attempt, fields = decide(connection)
            sent = self._next(connection, kind, attempt, checked(kind, without_home(fields)))
            insert(connection, sent)
            return sent

        entry = self._do(work, reading=False)
        if self.anchor_file is not None:
            anchor.note(self.anchor_file, entry)
        return entry

    def beside(self, work: Callable[[Connection], _Result]) -> _Result:
        """A transaction of `work` that writes tables beside the chain; done again where the server went away meanwhile, so that doing it
        twice has to come to the same. Writers of the chain do not wait for it on a server; in a file everybody waits for everybody."""
        self._current()
        return self._do(work, reading=False, beside=True)

    def _next(self, connection: Connection, kind: str, attempt: str, fields: dict[str, Any]) -> Entry:
        columns = sa.select(ENTRIES.c.seq, ENTRIES.c.hash, ENTRIES.c.kind)
        head = connection.execute(columns.order_by(ENTRIES.c.seq.desc()).limit(1)).first()
        if head and head.kind == MOVED:
            raise InputError(
                "ledger-moved", f"The ledger {self.location} ended with a move: it goes on elsewhere.", "`twinroot ledger show` says where."
            )
        at = now()
        if fields.get("operator"):
            fields["operator"] = names.pseudonym(connection, fields["operator"], at)
        return following((head.seq, head.hash) if head else None, at, kind, attempt, fields)

    def _do(self, work: Callable[[Connection], _Result], *, reading: bool, beside: bool = False) -> _Result:
        """One transaction, done again with bounds: where another one spoiled it, and while the server is away."""
        absence = Absence(self._patience, self.location)
        spoiled, began = 0, time.monotonic()
        while True:
            try:
                with self._sentences(), self._store.watched(self._engine) as connection:
                    connection.execution_options(reading=reading)
                    with connection.begin():
                        if not reading:
                            self._store.lock(connection, beside)
                        result = work(connection)
                absence.over(time.monotonic())
                return result
            except _Failed as failed:
                now = time.monotonic()
                if failed.verdict == AGAIN:
                    spoiled += 1
                    if spoiled >= AGAIN_TRIES:
                        raise failed.error from None
                    time.sleep(random.uniform(0.0, min(0.2, 0.01 * 2**spoiled)))
                elif failed.verdict == BUSY:
                    # The server answers, and others write before this one: no pause, which would be a place in the queue.
                    if now - began > max(BUSY_SECONDS, self._patience.seconds):
                        raise failed.error from None
                    self._patience.tell(f"The ledger {self.location} has many writers: waiting for a turn for {now - began:.0f} s.")
                elif failed.verdict == AWAY and absence.goes_on(now, failed.why):
                    if absence.tries > 1:
                        time.sleep(random.uniform(0.2, min(2.0, 0.2 * 2**absence.tries)))
                elif failed.verdict == AWAY and self._patience.seconds:
                    self._patience = Patience()  # what comes after it, such as the outcome of this board, waits no second time
                    raise StationError(
                        "ledger-away",
                        f"The ledger {self.location} was away for {absence.lasted(now):.0f} s: {failed.why}.",
                        "A board keeps its claim, and the next run settles it. " + MEND,
                    ) from None
                else:
                    raise failed.error from None

    # Names of operators, which are no part of a row.

    def operators(self) -> dict[str, str]:
        """pseudonym -> name; empty where they are erased, or this user may not see them."""
        try:
            return self.read(lambda connection: names.of(connection) if names.TABLE in self._store.tables(connection) else {})
        except LedgerDenied:
            return {}

    def erase_names(self, decide: Callable[[Connection], tuple[int, Mapping[str, Any]]], attempt: str) -> int:
        """Erase what `decide` erases, and append the row that says so, in one transaction; returns how many. `compact` follows."""
        count = 0

        def both(connection: Connection) -> tuple[str, str, Mapping[str, Any]]:
            nonlocal count
            count, fields = decide(connection)
            return ERASE, attempt, fields

        self.append_checked(both)
        return count

    def compact(self) -> None:
        """What was erased leaves the database's files as well. Raises StationError."""
        with self._sentences_raised():
            done = self._store.compact(self._engine)
        if not done:
            raise StationError(
                "ledger-busy",
                f"The names are erased, and another program that reads {self.location} keeps a copy of them in its log.",
                "Run the command again when no other program has the ledger open.",
            )

    @contextmanager
    def _sentences_raised(self) -> Iterator[None]:
        try:
            with self._sentences():
                yield
        except _Failed as failed:
            raise failed.error from None

    # Rows.

    def rows(self) -> Iterator[dict[str, Any]]:
        """The stored rows as they are, in order, unchecked and in whatever form: for `verify`."""
        with self._reading() as connection:
            every = sa.text("SELECT * FROM entries ORDER BY seq")
            for row in connection.execution_options(stream_results=True).execute(every):
                yield dict(row._mapping)

    def entries(self, **equal: str | None) -> Iterator[Entry]:
        """The entries in order; keywords name columns (mac, device, attempt, kind) and the value that they must have."""
        with self._reading() as connection:
            yield from select(connection, **equal)

    def last(self, count: int) -> list[Entry]:
        """The newest `count` entries, in order."""
        newest = sa.select(ENTRIES.c.body).order_by(ENTRIES.c.seq.desc()).limit(count)
        return self.read(lambda connection: [parse(row.body) for row in connection.execute(newest)])[::-1]

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection for a long read, which is not done again."""
        with self._sentences_raised(), self._engine.connect() as connection:
            yield connection.execution_options(reading=True)

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        """What the database raises, as one sentence, and whether another try may change it."""
        shown = self.location
        try:
            yield
        except sa.exc.DBAPIError as error:
            why = self._place.scrub(str(error.orig).strip().split("\n")[0].rstrip("."))
            verdict = self._store.verdict(error)
            if verdict == BUSY or (verdict is None and ("locked" in why or "busy" in why)):
                failed = StationError(
                    "ledger-busy",
                    f"The ledger {shown} was locked by another program for {BUSY_SECONDS:.0f} s.",
                    "Close the program that has it open.",
                )
            elif verdict == AGAIN:
                failed = StationError(
                    "ledger-busy", f"The ledger {shown} did not take a row in {AGAIN_TRIES} tries: {why}.", "Run the command again."
                )
            elif getattr(error.orig, "sqlstate", None) == "42501":
                failed = LedgerDenied(
                    "ledger-denied",
                    f"The ledger {shown} does not let this user do that: {why}.",
                    "docs/factory.md lists the roles and their grants.",
                )
            elif verdict == AWAY or isinstance(error, sa.exc.OperationalError):
                failed = StationError("ledger-unusable", f"The ledger {shown} cannot be used: {why}.", MEND)
            else:
                failed = StationError("ledger-unusable", f"{shown} is not a ledger of this toolkit: {why}.", MEND)
            raise _Failed(failed, verdict, why) from None
        except ValueError as error:
            raise StationError("ledger-unusable", f"{shown} is not a ledger of this toolkit: {error}.", MEND) from None


class _Failed(Exception):
    """A transaction that the database ended: the error to report, what the store thinks of another try, and its reason in one line."""

    def __init__(self, error: StationError, verdict: str | None, why: str) -> None:
        super().__init__(why)
        self.error = error
        self.verdict = verdict
        self.why = why


def insert(connection: Connection, entry: Entry) -> None:
    """Write `entry` as it is."""
    connection.execute(ENTRIES.insert().values(seq=entry.seq, hash=entry.hash, body=entry.canonical(), **entry.copies()))


def select(connection: Connection, **equal: str | None) -> list[Entry]:
    """The entries whose columns equal the given values, in order, within a transaction."""
    query = sa.select(ENTRIES.c.body).order_by(ENTRIES.c.seq)
    for column, value in equal.items():
        if value is not None:
            query = query.where(ENTRIES.c[column] == value)
    return [parse(row.body) for row in connection.execute(query)]


def _hash_of(connection: Connection, seq: int) -> str | None:
    return connection.execute(sa.select(ENTRIES.c.hash).where(ENTRIES.c.seq == seq)).scalar()


_TEXTS = (".yaml", ".yml", ".csv", ".json", ".jsonl", ".pem", ".md", ".txt")  # ends of names that no ledger has


def _refuse_other(path: Path) -> None:
    """Raises InputError for a text that was named by mistake. Whatever else is no ledger may be a damaged one."""
    if path.suffix.lower() not in _TEXTS:
        return
    try:
        with path.open("rb") as file:
            begin = file.read(4096)
    except OSError:
        return
    if begin and b"\0" not in begin:  # the head of an SQLite file has several
        raise InputError(
            "not-a-ledger",
            f"{path} is a text and not a ledger. It stays as it is.",
            "Correct --ledger, or TWINROOT_LEDGER: a ledger is an SQLite file, or a database by URL.",
        )


def _make_room(path: Path, create: bool) -> None:
    if not create and not path.is_file():
        hint = "Check the path: the ledger lies where boards are flashed (--ledger, TWINROOT_LEDGER)."
        raise NoLedger("no-ledger", f"There is no ledger at {path}.", hint)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StationError("ledger-unusable", f"The ledger's folder cannot be made: {error}.", MEND) from None


def _form_error(shown: str, form: str) -> StationError:
    if form > FORM:
        return StationError(
            "ledger-newer", f"The ledger {shown} has form {form}, and this toolkit knows up to {FORM}.", "Install the newer toolkit here."
        )
    return StationError(
        "ledger-older",
        f"The ledger {shown} has form {form or 'without a number'}, and this toolkit writes {FORM}.",
        "Its owner runs `twinroot ledger migrate`; the stations need the new toolkit, too.",
    )
