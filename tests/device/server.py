"""TLS servers on loopback for the device to meet: real sockets, Python's ssl (OpenSSL)."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.pki import Cert

Behaviour = Callable[[socket.socket], None]


class Server:
    """Accepts on a free port and runs `behaviour` with each connection in a thread of its own. Counts connections."""

    def __init__(self, behaviour: Behaviour, host: str = "127.0.0.1") -> None:
        self.host = host  # an address of this computer that the device reaches
        self.behaviour = behaviour
        self.count = 0
        self.errors: list[str] = []
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def counted(self, expected: int) -> int:
        """Connections so far. The thread that takes them may be behind on a busy computer: fewer than expected are waited for."""
        deadline = time.monotonic() + 5.0
        while self.count < expected and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.count

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.behaviour(connection)
            except OSError as e:
                self.errors.append(repr(e))

    def close(self) -> None:
        # shutdown() wakes accept(); close() alone does not on Linux.
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def context(folder: Path, chain: list[Cert], client_ca: Cert | None = None) -> ssl.SSLContext:
    """A server's context; `chain[0]` is the leaf, the rest is sent after it."""
    folder.mkdir(parents=True, exist_ok=True)
    crt, key = folder / "chain.pem", folder / "leaf.key.pem"
    crt.write_bytes(b"".join(c.pem for c in chain))
    key.write_bytes(chain[0].key_pem)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.load_cert_chain(crt, key)
    if client_ca:
        ca = folder / "client-ca.pem"
        ca.write_bytes(client_ca.pem)
        made.load_verify_locations(ca)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def echo(made: ssl.SSLContext) -> Behaviour:
    """A good server: TLS, then every byte comes back."""

    def behave(connection: socket.socket) -> None:
        with made.wrap_socket(connection, server_side=True) as tls:
            while data := tls.recv(4096):
                tls.sendall(data)

    return behave
