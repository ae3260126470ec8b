"""One TLS handshake that verifies nothing and keeps what the server sent: the caller judges.

The Certificate message of TLS 1.2 is not encrypted (RFC 5246 7.4.2), so the chain is seen even when the handshake fails afterwards, as it
is on the device. Python's own interface shows only the leaf of a chain that was not verified.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

# What an ESP32 build of MicroPython offers: ephemeral ECDH only. Security level 0, for weak certificates must be seen to be refused.
DEVICE_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:@SECLEVEL=0"
BY_KEY = {
    "RSA": "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:@SECLEVEL=0",
    "ECC": "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:@SECLEVEL=0",
}
TIMEOUT = 20.0  # seconds for TCP, and again for the handshake: what twinroot.connect() allows

# TLS record and handshake message types (RFC 5246 A.1, A.4).
_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE = 20, 21, 22
_SERVER_HELLO, _CERTIFICATE, _CERTIFICATE_REQUEST = 2, 11, 13
_TLS_1_2 = b"\x03\x03"
_FATAL = 2
ALERTS = {
    40: "handshake failure",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "certificate revoked",
    45: "certificate expired",
    46: "certificate unknown",
    47: "illegal parameter",
    48: "unknown CA",
    49: "access denied",
    70: "protocol version",
    71: "insufficient security",
    80: "internal error",
    112: "unrecognized name",
    116: "certificate required",
}


@dataclass(frozen=True)
class ProbeTarget:
    """The name that is verified, and where the TCP connection goes (`address` differs on a bench only)."""

    host: str
    port: int = 8883
    address: tuple[str, int] | None = None

    @property
    def where(self) -> tuple[str, int]:
        return self.address or (self.host, self.port)


@dataclass(frozen=True)
class ClientIdentity:
    """A client certificate and its key, as files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class HandshakeAttempt:
    """What came of one handshake. `chain`: DER, leaf first, as sent. `alert`: number of the server's fatal alert."""

    done: bool
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    version: str | None = None
    cipher: str | None = None
    wants_client_certificate: bool = False
    alert: int | None = None
    speaks_tls: bool = True
    error: str = ""
    seconds: float = 0.0
    peer: str = ""


def handshake(
    target: ProbeTarget,
    *,
    sni: str | None = "",
    ciphers: str = DEVICE_CIPHERS,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    identity: ClientIdentity | None = None,
    timeout: float = TIMEOUT,
) -> HandshakeAttempt:
    """Never raises for what the network or the server does. `sni`: the name sent, by default the target's; None for none.

    With `newest` above TLS 1.2 the chain stays empty: it is encrypted there.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, newest
    context.set_ciphers(ciphers)
    if identity:
        context.load_cert_chain(identity.certificate, identity.key)
    begin = time.monotonic()
    try:
        connection = socket.create_connection(target.where, timeout)
    except OSError as e:
        return HandshakeAttempt(False, error=_network_error(target, e), seconds=time.monotonic() - begin)
    with connection:
        peer = "{}:{}".format(*connection.getpeername()[:2])
        deadline = time.monotonic() + timeout
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=target.host if sni == "" else sni)
        received = bytearray()
        error = _converse(connection, tls, incoming, outgoing, received, deadline)
        seen = _Seen(bytes(received))
        cipher = tls.cipher()
        return HandshakeAttempt(
            done=not error,
            chain=seen.chain,
            version=tls.version() if not error else None,
            cipher=cipher[0] if cipher and not error else None,
            wants_client_certificate=seen.wants_client_certificate,
            alert=seen.alert,
            speaks_tls=seen.speaks_tls,
            error=_why(error, seen),
            seconds=time.monotonic() - begin,
            peer=peer,
        )


def _converse(
    connection: socket.socket, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, received: bytearray, deadline: float
) -> str:
    """Run the handshake to its end within the deadline; empty when it is complete, else why not."""
    broken = ""
    while True:
        done, failed = False, ""
        try:
            tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as e:
            failed = e.reason or "TLS error"
        if data := outgoing.read():
            # A server that refuses our certificate closes while we still write; why, is what it sent before.
            with suppress(OSError):
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                connection.sendall(data)
        if done or failed:
            return failed
        left = deadline - time.monotonic()
        if left <= 0:
            return "the time is up"
        try:
            connection.settimeout(left)
            data = connection.recv(16384)
        except TimeoutError:
            return "the time is up"
        except OSError as e:
            data, broken = b"", e.strerror or type(e).__name__
        received += data
        if data:
            incoming.write(data)
        else:
            incoming.write_eof()
            with suppress(ssl.SSLError):  # let it read an alert that came before the end
                tls.do_handshake()
            return broken.lower() or "the server closed the connection"


class _Seen:
    """What the server sent in the clear: handshake messages and alerts up to its ChangeCipherSpec."""

    def __init__(self, data: bytes) -> None:
        self.chain: tuple[bytes, ...] = ()
        self.wants_client_certificate = False
        self.alert: int | None = None
        self.speaks_tls = not data or data[0] in (_ALERT, _HANDSHAKE)
        messages = bytearray()
        at = 0
        while self.speaks_tls and at + 5 <= len(data):
            kind, size = data[at], int.from_bytes(data[at + 3 : at + 5], "big")
            body = data[at + 5 : at + 5 + size]
            if kind == _CHANGE_CIPHER_SPEC or len(body) < size:
                break
            if kind == _ALERT and size == 2 and body[0] == _FATAL:
                self.alert = body[1]
            if kind == _HANDSHAKE:
                messages += body
            at += 5 + size
        self._read(bytes(messages))

    def _read(self, messages: bytes) -> None:
        at = 0
        while at + 4 <= len(messages):
            size = int.from_bytes(messages[at + 1 : at + 4], "big")
            body = messages[at + 4 : at + 4 + size]
            if len(body) < size or (messages[at] == _SERVER_HELLO and body[:2] < _TLS_1_2):
                return  # an older version: the client stops reading here
            if messages[at] == _CERTIFICATE:
                self.chain = tuple(_certificates(body))
            elif messages[at] == _CERTIFICATE_REQUEST:
                self.wants_client_certificate = True
            at += 4 + size


def _certificates(body: bytes) -> list[bytes]:
    """RFC 5246 7.4.2: a length of three bytes for the list, and one for each certificate."""
    found, at = [], 3
    while at + 3 <= len(body):
        size = int.from_bytes(body[at : at + 3], "big")
        found.append(body[at + 3 : at + 3 + size])
        at += 3 + size
    return found


def _why(error: str, seen: _Seen) -> str:
    if not error:
        return ""
    if not seen.speaks_tls:
        return "the server does not speak TLS: a captive portal?"
    if seen.alert is not None:
        return f"the server refused: {ALERTS.get(seen.alert, f'alert {seen.alert}')}"
    return error.replace("_", " ").lower()


def _network_error(target: ProbeTarget, error: OSError) -> str:
    host, port = target.where
    if isinstance(error, socket.gaierror):
        return f"the name {host} cannot be resolved"
    if isinstance(error, TimeoutError):
        return f"{host}:{port} does not answer"
    return f"{host}:{port}: {(error.strerror or str(error)).lower()}"
