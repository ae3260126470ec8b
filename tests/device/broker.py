"""As much of an MQTT 3.1.1 broker as one client needs; it can be told to refuse. Whole packets are read and checked,
so that a client which writes a wrong length fails."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field

from tests.device.server import Behaviour


@dataclass
class Broker:
    connack: int | None = 0  # return code; None: close after CONNECT
    echo: bool = True  # send back what is published
    packets: list[tuple[int, bytes]] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)  # a client has disconnected, all it sent is in `packets`

    def behaviour(self, made: ssl.SSLContext) -> Behaviour:
        def behave(connection: socket.socket) -> None:
            with made.wrap_socket(connection, server_side=True) as tls:
                stream = tls.makefile("rb")
                while head := stream.read(1):
                    size, shift = 0, 0
                    while True:
                        byte = stream.read(1)[0]
                        size |= (byte & 127) << shift
                        shift += 7
                        if byte < 128:
                            break
                    body = stream.read(size)
                    self.packets.append((head[0], body))
                    if head[0] >> 4 == 14:
                        self.gone.set()
                    if not self.answer(tls, head[0], body):
                        return

        return behave

    def answer(self, tls: ssl.SSLSocket, head: int, body: bytes) -> bool:
        kind = head >> 4
        if kind == 1:  # CONNECT
            if self.connack is None:
                return False
            tls.sendall(bytes((0x20, 2, 0, self.connack)))
            return not self.connack
        if kind == 3:  # PUBLISH: acknowledged, and echoed to topic "echo"
            length = struct.unpack("!H", body[:2])[0]
            qos = head >> 1 & 3
            if qos:
                tls.sendall(b"\x40\x02" + body[2 + length : 4 + length])
            payload = body[2 + length + (2 if qos else 0) :]
            if self.echo:
                tls.sendall(b"\x30" + self.length(6 + len(payload)) + b"\0\4echo" + payload)
        elif kind == 8:  # SUBSCRIBE
            tls.sendall(b"\x90\x03" + body[:2] + body[-1:])
        elif kind == 12:
            tls.sendall(b"\xd0\0")
        return kind != 14

    @staticmethod
    def length(n: int) -> bytes:
        """Remaining Length (MQTT 3.1.1, 2.2.3)."""
        out = bytearray()
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        return bytes((*out, n))

    def published(self) -> list[tuple[str, bytes, int]]:
        """(topic, payload, QoS) of each PUBLISH."""
        out = []
        for head, body in self.packets:
            if head >> 4 == 3:
                length, qos = struct.unpack("!H", body[:2])[0], head >> 1 & 3
                out.append((body[2 : 2 + length].decode(), body[2 + length + (2 if qos else 0) :], qos))
        return out
