"""The ledger on a PostgreSQL server, for many stations: whose turn it is, what is worth another try, and how silence ends.

Writers take one advisory lock as the first statement of their transaction and are served in the order in which they asked. Under READ
COMMITTED every statement after it sees what the writer before has committed, so the head that is read is the head; there is nothing to
serialize afterwards, and SERIALIZABLE, whose snapshot is older than the lock, would end all writers but one with an error. The lock needs
no privilege, where LOCK TABLE asks for that of changing rows.

A station whose network is cut in the middle of a transaction holds the lock: the server ends a transaction that is idle for IDLE_SECONDS.
A server that does not answer a statement is given ANSWER_SECONDS, the time until the turn comes not counted, then the connection is hung
up and the ledger counts as away. Until the turn comes nothing is sent, so there it is the keep-alive of TCP that notices a dead network.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine

from provisioning.ledger.location import Location

LOCK_KEY = 0x7477696E726F6F74  # "twinroot"
LOCK_SECONDS = 30  # one wait for the turn; whoever gives up goes to the end of the queue, so it is long
IDLE_SECONDS = 3  # of a transaction between two statements
ANSWER_SECONDS = 8.0  # of connecting, and of one statement
AGAIN, AWAY, BUSY = "again", "away", "busy"

# Conditions of PostgreSQL, by SQLSTATE (its appendix A), or by class.
_VERDICTS = {
    "40": AGAIN,  # serialization failure, deadlock
    "23505": AGAIN,  # a row with this number is there: its writer took no lock
    "57014": AGAIN,  # cancelled
    "55P03": BUSY,  # the lock was not had in LOCK_SECONDS
    "08": AWAY,  # connection
    "53": AWAY,  # no connection, memory or disk left: the administrator's to mend, and then it goes on
    "57P": AWAY,  # shutting down, starting up
    "25006": AWAY,  # read-only: a standby that is not promoted yet
    "25P03": AWAY,  # ended for being idle
}

_HERE = re.compile(r"127(\.[0-9]{1,3}){3}|[/@].*")

_BEGIN = sa.text(
    "SELECT set_config('lock_timeout', :lock, true), set_config('idle_in_transaction_session_timeout', :idle, true), "
    "set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') = 'off' THEN 'on' "
    "ELSE current_setting('synchronous_commit') END, true), pg_advisory_xact_lock(:key)"
)

# libpq's names. What the URL says stands.
_CONNECT = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8000,
    "application_name": "twinroot",
}


def arguments(url: URL) -> dict[str, Any]:
    """What the driver is told beside the URL. libpq by itself takes any server, with TLS or without: one that is not on this computer
    has to prove who it is, unless the URL or PGSSLMODE says otherwise."""
    made: dict[str, Any] = {**_CONNECT, "sslmode": os.environ.get("PGSSLMODE") or ("prefer" if _is_here(url) else "verify-full")}
    # Prepared statements belong to a session, and behind a pooler the next transaction may have another one.
    return {name: value for name, value in made.items() if name not in url.query} | {"prepare_threshold": None}


def _is_here(url: URL) -> bool:
    """Whether every server that the URL names is this computer: by its loopback interface, or a socket in the file system."""
    named = url.query.get("host", url.host or os.environ.get("PGHOST", ""))
    hosts = (named if isinstance(named, str) else ",".join(named)).split(",")
    return all(host in ("", "localhost", "::1") or _HERE.fullmatch(host) for host in hosts)


class Server:
    """A PostgreSQL database as the ledger's store."""

    migrates_itself = False  # stations of several versions may be at it: its administrator says when

    def __init__(self) -> None:
        self._line: Any = None  # the driver's connection that is in use
        self._changed = threading.Condition()
        self._until: float | None = None  # when the connection is hung up, in monotonic time
        self._watching = False
        self._given: float | None = None  # what the next statement is given; None where nobody watches, as in a long read

    def engine(self, location: Location) -> Engine:
        """One connection, kept between transactions. Raises ImportError without the driver."""
        engine = sa.create_engine(
            location.url,
            isolation_level="READ COMMITTED",
            pool_size=1,
            max_overflow=2,
            connect_args=arguments(location.url),
            hide_parameters=True,
        )

        @event.listens_for(engine, "do_connect")
        def _watch_from_the_start(dialect: Any, _record: Any, args: Any, kwargs: Any) -> Any:
            self._line = dialect.connect(*args, **kwargs)
            return self._line

        @event.listens_for(engine, "before_cursor_execute")
        def _each_statement(*_: Any) -> None:
            if self._given is not None:
                self._limit(self._given)

        return engine

    def lock(self, connection: Connection, beside: bool = False) -> None:
        """Wait for this writer's turn, as the first statement of a transaction; its end gives the turn on. `beside`: the turn of those who
        write the tables beside the chain, for whom its writers do not wait."""
        self._given = LOCK_SECONDS + ANSWER_SECONDS
        key = LOCK_KEY + 1 if beside else LOCK_KEY
        try:
            connection.execute(_BEGIN, {"lock": f"{LOCK_SECONDS}s", "idle": f"{IDLE_SECONDS}s", "key": key})
        finally:
            self._given = ANSWER_SECONDS
        self._limit(ANSWER_SECONDS)

    def compact(self, engine: Engine) -> bool:
        """The table of names is written anew without its dead rows, which only its owner may. Backups and archived WAL have them still."""
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM (FULL) operators"))
        return True

    def tables(self, connection: Connection) -> set[str]:
        """The names of the tables. From pg_class itself: to_regclass answers from a cache that a wait for the turn does not renew."""
        query = "SELECT relname FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(oid)"
        return set(connection.execute(sa.text(query)).scalars())

    @contextmanager
    def watched(self, engine: Engine) -> Iterator[Connection]:
        """A connection that is hung up when the work with it takes too long: the driver's reads have no limit of their own."""
        self._given = ANSWER_SECONDS
        self._limit(ANSWER_SECONDS)
        try:
            with engine.connect() as connection:
                self._line = connection.connection.dbapi_connection
                yield connection
        finally:
            self._given = None
            self._limit(None)

    def _limit(self, seconds: float | None) -> None:
        """From now on, so long; None for no limit."""
        with self._changed:
            self._until = None if seconds is None else time.monotonic() + seconds
            self._changed.notify()
            if seconds is not None and not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        with self._changed:
            while self._until is not None:
                left = self._until - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                else:
                    self._until = None
                    self._hang_up()
            self._watching = False

    def _hang_up(self) -> None:
        try:
            handle = self._line.pgconn.socket
            line = socket.socket(fileno=handle)
        except Exception:  # noqa: BLE001  the connection has ended meanwhile, each driver with its own error
            return
        try:
            line.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        finally:
            line.detach()  # the descriptor is the driver's

    def verdict(self, error: sa.exc.DBAPIError) -> str | None:
        """AGAIN, BUSY, AWAY, or None for what no other try changes."""
        state = getattr(error.orig, "sqlstate", None) or ""
        for condition, verdict in _VERDICTS.items():
            if state.startswith(condition):
                return verdict
        # A connection that was not made, or ended, has no SQLSTATE.
        ended = error.connection_invalidated or isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError))
        return AWAY if ended and not state else None
