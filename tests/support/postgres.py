"""A PostgreSQL server of the tests' own: in a temporary folder, on a free port of the loopback interface, with passwords asked (SCRAM).

PostgreSQL refuses to run as root, so as root it is started as an unprivileged user. `fsync=off` is the one thing that differs from a server
of a plant: no test here cuts the machine's power.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

PASSWORD = "kanary-Zaun+7/:@%"  # with everything that a URL has to escape: the tests look for each of its forms in all output
_UNPRIVILEGED = ("postgres", "nobody")


def binaries() -> Path | None:
    """The folder with `postgres` and `initdb`, None where no server is installed."""
    found = [Path(file).resolve().parent for file in [shutil.which("postgres")] if file]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    found += [Path(prefix) / "bin" for prefix in ("/opt/homebrew/opt/postgresql", "/usr/local/pgsql")]
    return next((folder for folder in found if (folder / "postgres").exists() and (folder / "initdb").exists()), None)


class ServerEnded(Exception):
    """The server did not start; its log."""


def _free_port() -> int:
    """A port below those that systems give to outgoing connections, one of which might take it while the server is stopped."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


class Server:
    """`start` and `stop` as often as a test likes; `database` makes an empty one."""

    def __init__(self, bin_folder: Path) -> None:
        self._bin = bin_folder
        self.folder = Path(tempfile.mkdtemp(prefix="twinroot-pg-"))
        self._user: dict[str, str] = {}
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            import pwd

            names = {entry.pw_name for entry in pwd.getpwall()}
            name = next(name for name in _UNPRIVILEGED if name in names)
            shutil.chown(self.folder, name)
            self._user = {"user": name}
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if self._user:
            shutil.chown(password, self._user["user"])
        password.chmod(0o600)
        self._data = self.folder / "data"
        self._run(
            "initdb",
            "-D",
            str(self._data),
            "-U",
            "admin",
            "-A",
            "scram-sha-256",
            f"--pwfile={password}",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        )
        self._process: subprocess.Popen[bytes] | None = None
        for _ in range(5):
            self.port = _free_port()
            (self._data / "postgresql.auto.conf").write_text(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = ''\nfsync = off\nshared_buffers = 16MB\n"
                "max_connections = 120\nautovacuum = off\n"
            )
            try:
                self.start()
                return
            except ServerEnded as error:  # somebody took the port meanwhile
                self._process, why = None, error
        raise why

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([self._bin / program, *arguments], check=True, capture_output=True, cwd=self.folder, **self._user)  # type: ignore[call-overload]

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data], stdout=log, stderr=log, cwd=self.folder, **self._user
            )  # type: ignore[call-overload]
        until = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise ServerEnded((self.folder / "log").read_text()[-2000:])
            time.sleep(0.02)

    def _answers(self) -> bool:
        import psycopg

        try:
            self.sql("postgres", "SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    @property
    def stopped(self) -> bool:
        """Whether it is stopped."""
        return self._process is None

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is the "fast" stop: sessions are ended, what they had not committed is undone. SIGQUIT is a crash: recovery at start."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(30)
        self._process = None

    def remove(self) -> None:
        """Stop it, and remove all it had."""
        if self._process is not None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, user: str = "admin", password: str = PASSWORD, port: int | None = None) -> str:
        """For `--ledger`."""
        from urllib.parse import quote

        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{port or self.port}/{database}"

    def sql(self, database: str, *statements: str, user: str = "admin", password: str = PASSWORD) -> list[tuple[object, ...]]:
        """Run statements, each by itself; the rows of the last one."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=database, user=user, password=password, autocommit=True
        ) as connection:
            done = None
            for statement in statements:
                done = connection.execute(statement)
            return done.fetchall() if done is not None and done.description else []

    def database(self) -> str:
        """The name of a new, empty database."""
        name = f"ledger_{uuid.uuid4().hex[:12]}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        return name


class Proxy:
    """A TCP proxy before the server, whose cable can be pulled: nothing passes then, nobody is told; what was open dies at its return."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._passes = threading.Event()
        self._passes.set()
        self._mute = False
        self._lock = threading.Lock()
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Pull the cable."""
        self._passes.clear()

    def swallow_answers(self) -> None:
        """What is sent arrives, and what is answered does not."""
        self._mute = True

    def mend(self) -> None:
        """Plug it in again."""
        self._mute = False
        with self._lock:
            lines, self._lines = self._lines, []
        self._passes.set()
        for line in lines:
            _shut(line)

    def close(self) -> None:
        """The end."""
        self._listener.close()
        self.mend()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._lines.append(near)
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        self._passes.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            _shut(near)
            return
        far.settimeout(None)
        with self._lock:
            self._lines.append(far)
        threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
        self._pump(far, near, True)

    def _pump(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(65536):
                self._passes.wait()
                if not (answers and self._mute):
                    target.sendall(data)
        except OSError:
            pass
        # An end is news, too, and does not pass a cable that is not there.
        self._passes.wait()
        _shut(source)
        _shut(target)


def _shut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
