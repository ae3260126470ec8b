"""What a hostile, broken or merely unlucky server does with a connection. Each function makes a Behaviour."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from contextlib import suppress

from tests.device.server import Behaviour


def reset(connection: socket.socket) -> None:
    """Close with RST: linger 0."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def at_once(connection: socket.socket) -> None:
    """Close without a byte."""
    connection.shutdown(socket.SHUT_WR)


def eof_after_hello(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.shutdown(socket.SHUT_WR)


def reset_after_hello(connection: socket.socket) -> None:
    connection.recv(4096)
    reset(connection)


def says(data: bytes, first: bool = False) -> Behaviour:
    """Answer with `data` whatever comes; `first`: without waiting for the client."""

    def behave(connection: socket.socket) -> None:
        if not first:
            connection.recv(4096)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while connection.recv(4096):
                pass

    return behave


PORTAL = says(b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\nContent-Length: 0\r\n\r\n")
PORTAL_FIRST = says(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", first=True)
GARBAGE = says(bytes(range(7, 250)) * 4)
ALERT_UNRECOGNIZED_NAME = says(b"\x15\x03\x03\x00\x02\x02\x70")
ALERT_HANDSHAKE_FAILURE = says(b"\x15\x03\x03\x00\x02\x02\x28")
HUGE_RECORD = says(b"\x16\x03\x03\xff\xff" + bytes(2000))


def half_open(connection: socket.socket) -> None:
    """Accept and never answer, until the client goes away."""
    with suppress(OSError):
        while connection.recv(4096):
            pass


class Memory:
    """The server's side of a handshake in memory, so that its records can be counted, cut and delayed."""

    def __init__(self, made: ssl.SSLContext) -> None:
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = made.wrap_bio(self.inward, self.outward, server_side=True)
        self.done = False

    def turn(self, data: bytes) -> list[bytes]:
        """Records that the server answers with."""
        self.inward.write(data)
        with suppress(ssl.SSLWantReadError):
            if not self.done:
                self.tls.do_handshake()
                self.done = True
        out, records = self.outward.read(), []
        while out:
            size = 5 + int.from_bytes(out[3:5], "big")
            records.append(out[:size])
            out = out[size:]
        return records


def reset_at_record(made: ssl.SSLContext, number: int, part: bool = False) -> Behaviour:
    """Send `number` whole records of the handshake (and half of the next one if `part`), then RST."""

    def behave(connection: socket.socket) -> None:
        server, sent = Memory(made), 0
        while data := connection.recv(8192):
            for record in server.turn(data):
                if sent == number:
                    if part:
                        connection.sendall(record[: len(record) // 2])
                    return reset(connection)
                connection.sendall(record)
                sent += 1
        return None

    return behave


def loris(made: ssl.SSLContext, pause: float = 0.05) -> Behaviour:
    """A good server, one byte at a time: never silent for long, never finished in time."""

    def behave(connection: socket.socket) -> None:
        server = Memory(made)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := connection.recv(8192):
            for record in server.turn(data):
                for i in range(len(record)):
                    connection.sendall(record[i : i + 1])
                    time.sleep(pause)

    return behave


def sequence(*steps: Behaviour) -> Behaviour:
    """One behaviour for each connection in turn, the last one from then on."""
    queue = list(steps)

    def behave(connection: socket.socket) -> None:
        (queue.pop(0) if len(queue) > 1 else queue[0])(connection)

    return behave
