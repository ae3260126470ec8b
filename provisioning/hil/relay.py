"""Makes the cloud stand-in, which listens on this computer only, reachable for a board: TCP and UDP carried byte for byte."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading

_CHUNK = 65536
Address = tuple[str, int]


class Relay:
    """Listens on ports of its own on `host` and carries all to `targets`; a context manager.

    `ports` names, for each target, the port on `host`. Raises OSError when `host` is not an address of this computer.
    """

    def __init__(self, host: str, tcp: list[Address], udp: Address) -> None:
        self.host = host
        self._stop, self._stopper = socket.socketpair()
        self._listeners: list[tuple[socket.socket, Address]] = []
        self._udp = udp
        self._threads: list[threading.Thread] = []
        self.ports: dict[Address, int] = {}
        try:
            for target in tcp:
                listener = socket.create_server((host, 0))
                self._listeners.append((listener, target))
                self.ports[target] = listener.getsockname()[1]
            self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._datagrams.bind((host, 0))
        except OSError:
            for listener, _ in self._listeners:
                listener.close()
            raise
        self.ports[udp] = self._datagrams.getsockname()[1]

    def __enter__(self) -> Relay:
        self._spawn(self._serve)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopper.close()
        for thread in self._threads:
            thread.join(5)
        for listener, _ in self._listeners:
            listener.close()
        self._datagrams.close()
        self._stop.close()

    def _spawn(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(self._stop, selectors.EVENT_READ)
            ready.register(self._datagrams, selectors.EVENT_READ)
            for listener, target in self._listeners:
                ready.register(listener, selectors.EVENT_READ, target)
            while True:
                for key, _ in ready.select():
                    if key.fileobj is self._stop:
                        return
                    if key.fileobj is self._datagrams:
                        self._spawn(self._ask, *self._datagrams.recvfrom(_CHUNK))
                        continue
                    near, _ = key.fileobj.accept()  # type: ignore[union-attr]
                    self._spawn(self._carry, near, key.data)

    def _ask(self, question: bytes, sender: Address) -> None:
        """One datagram there and its answer back, when one comes."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far, contextlib.suppress(TimeoutError):
            far.settimeout(5)
            far.sendto(question, self._udp)
            self._datagrams.sendto(far.recv(_CHUNK), sender)

    def _carry(self, near: socket.socket, target: Address) -> None:
        """Both directions of one connection, until one side ends it or the relay stops."""
        with near, socket.create_connection(target) as far, selectors.DefaultSelector() as ready, contextlib.suppress(OSError):
            ready.register(self._stop, selectors.EVENT_READ)
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in ready.select():
                    data = b"" if key.fileobj is self._stop else key.fileobj.recv(_CHUNK)  # type: ignore[union-attr]
                    if not data:
                        return
                    key.data.sendall(data)
