"""A TLS 1.2 server as far as its certificate: any bytes can be one. The client looks at the chain before anything else is proven, so
that a chain which no library would sign, or load, is met all the same."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random

from tests.device.server import Behaviour

# RFC 5246: handshake types, and TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 (RFC 5289).
_HELLO, _CERTIFICATE, _DONE = 2, 11, 14
_SUITES = (b"\xc0\x2b", b"\xc0\x2f")


def _message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def _records(data: bytes) -> bytes:
    """In TLS records of at most 16,384 bytes."""
    parts = [data[i : i + 16384] for i in range(0, len(data), 16384)]
    return b"".join(b"\x16\x03\x03" + len(p).to_bytes(2, "big") + p for p in parts)


def flight(chain: list[bytes], rsa: bool = False) -> bytes:
    """ServerHello, Certificate with these DER bytes, ServerHelloDone."""
    hello = b"\x03\x03" + os.urandom(32) + b"\0" + _SUITES[rsa] + b"\0" + b"\0\x0b\xff\x01\0\1\0\0\x0b\0\2\1\0"
    listed = b"".join(len(c).to_bytes(3, "big") + c for c in chain)
    certificate = len(listed).to_bytes(3, "big") + listed
    return _records(_message(_HELLO, hello) + _message(_CERTIFICATE, certificate) + _message(_DONE, b""))


def serve(chains: Callable[[], list[bytes]]) -> Behaviour:
    """Each connection gets the next chain."""

    def behave(connection: socket.socket) -> None:
        connection.settimeout(5)
        with suppress(OSError):
            connection.recv(4096)
            connection.sendall(flight(chains()))
            connection.recv(4096)  # the alert, or what comes after a chain that was accepted
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass

    return behave


def mutants(seeds: list[bytes], r: Random) -> Iterator[bytes]:
    """Endless broken DER: bits turned, pieces cut, doubled, swapped and blown up, lengths lied about."""

    while True:
        der = bytearray(r.choice(seeds))
        for _ in range(r.choice((1, 1, 1, 2, 5))):
            at, how = r.randrange(len(der)), r.randrange(7)
            if how == 0:
                der[at] ^= 1 << r.randrange(8)
            elif how == 1:
                der[at] = r.choice((0, 1, 0x7F, 0x80, 0x81, 0x84, 0xFF, 0x30, 0x0C, 0x1E, 0x1C))
            elif how == 2:
                del der[at:]
            elif how == 3:
                del der[at : at + r.randrange(1, 40)]
            elif how == 4:
                der[at:at] = der[at : at + r.randrange(1, 200)]
            elif how == 5:
                der[at:at] = bytes(r.randrange(256) for _ in range(r.randrange(1, 30)))
            else:
                der[at : at + 2] = b"\x82\xff"
            if not der:
                break
        yield bytes(der)
