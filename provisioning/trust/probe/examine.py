"""What one live server is: its chain and anchor, versions and key types, and what it says to other names."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from provisioning.pem.read import encode
from provisioning.pem.tlv import DerError
from provisioning.trust import der, signature
from provisioning.trust.probe.chain import verify
from provisioning.trust.probe.handshake import BY_KEY, ClientIdentity, HandshakeAttempt, ProbeTarget, handshake
from provisioning.trust.roots import Root
from provisioning.untrusted_text import one_line

# A name that nobody has (RFC 6761): what does the server send to somebody who asks for it?
OTHER_NAME = "another-name.invalid"


@dataclass(frozen=True)
class ShownCertificate:
    """One certificate of the chain, as sent. `name`: its common name, or all of the subject when it has none."""

    name: str
    subject: str
    issuer: str
    key: str
    not_before: str
    not_after: str
    days_left: int
    dns_names: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class Anchor:
    """Does this root alone anchor the chain: by mbedTLS's rules, and in a real handshake of OpenSSL that trusts nothing else?"""

    root: str
    device: bool
    openssl: bool
    why: str = ""


@dataclass(frozen=True)
class Examination:
    """What was found out. `error` is set when no chain was seen; the rest is then mostly empty."""

    host: str
    port: int
    address: str
    error: str = ""
    tls: str | None = None  # version and cipher suite of a device's handshake
    newest: str | None = None  # of this computer's, which may do TLS 1.3
    chain: tuple[ShownCertificate, ...] = ()
    anchors: tuple[Anchor, ...] = ()
    all_roots: str | None = None  # the anchor when all roots are loaded
    wanted: str | None = None  # who signed the top of the chain, when no root did
    by_key: Mapping[str, str | None] = field(default_factory=dict)  # RSA, ECC -> anchor; absent: the server has no such certificate
    other_name: str = ""
    no_name: str = ""
    client_certificate: str = ""
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        nested = {"chain": [vars(c) for c in self.chain], "anchors": [vars(a) for a in self.anchors], "by_key": dict(self.by_key)}
        return {**vars(self), **nested, "notes": list(self.notes)}


def examine(
    target: ProbeTarget,
    roots: Mapping[str, Root],
    *,
    identity: ClientIdentity | None = None,
    now: datetime | None = None,
    timeout: float = 10.0,
) -> Examination:
    """A dozen handshakes with one server. Never raises for what it does."""
    now = now or datetime.now(timezone.utc)
    first = handshake(target, identity=identity, timeout=timeout)
    known = {name: der.certificate(root.der) for name, root in roots.items()}
    if not first.chain:
        return Examination(target.host, target.port, first.peer, first.error)
    try:
        chain = [der.certificate(c) for c in first.chain]
        verified = verify(chain, known, target.host, now)
        rows = tuple(_row(c, now) for c in chain)
    except DerError as e:
        return Examination(target.host, target.port, first.peer, f"the server's certificate cannot be read: {e}")
    newest = handshake(target, newest=ssl.TLSVersion.TLSv1_3, identity=identity, timeout=timeout)
    by_key = dict(_by_key(target, known, identity, now, timeout))
    return Examination(
        host=target.host,
        port=target.port,
        address=first.peer,
        tls=_session(first),
        newest=_session(newest),
        chain=rows,
        anchors=tuple(_anchor(target, name, roots[name], known[name], chain, identity, now, timeout) for name in roots),
        all_roots=verified.anchor,
        wanted=verified.wanted,
        by_key=by_key,
        other_name=_told(handshake(target, sni=OTHER_NAME, identity=identity, timeout=timeout), first),
        no_name=_told(handshake(target, sni=None, identity=identity, timeout=timeout), first),
        client_certificate=_client_certificate(first, identity),
        notes=tuple(_notes(first, newest, by_key, verified.anchor)),
    )


def _row(cert: der.Certificate, now: datetime) -> ShownCertificate:
    return ShownCertificate(
        name=one_line(cert.common_name or cert.subject),
        subject=cert.subject,
        issuer=cert.issuer,
        key=signature.key_text(cert),
        not_before=cert.not_before.strftime("%Y-%m-%d"),
        not_after=cert.not_after.strftime("%Y-%m-%d"),
        days_left=(cert.not_after - now).days,
        dns_names=tuple(map(one_line, cert.dns_names)),
        sha256=hashlib.sha256(cert.der).hexdigest(),
    )


def _anchor(
    target: ProbeTarget,
    name: str,
    root: Root,
    known: der.Certificate,
    chain: list[der.Certificate],
    identity: ClientIdentity | None,
    now: datetime,
    timeout: float,
) -> Anchor:
    device = verify(chain, {name: known}, target.host, now)
    error = _openssl(target, root, identity, timeout)
    return Anchor(name, device.anchor == name, not error, "" if device.anchor else error or "")


def _openssl(target: ProbeTarget, root: Root, identity: ClientIdentity | None, timeout: float) -> str:
    """A handshake of this computer's OpenSSL with this root alone; empty when the chain was accepted, else why not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=encode("CERTIFICATE", root.der).decode())
    if identity:
        context.load_cert_chain(identity.certificate, identity.key)
    try:
        with (
            socket.create_connection(target.where, timeout) as connection,
            context.wrap_socket(connection, server_hostname=target.host) as tls,
        ):
            tls.version()
    except ssl.SSLCertVerificationError as e:
        return e.verify_message
    except ssl.SSLError as e:
        # Refused for want of a client certificate: that comes after the chain was accepted.
        return "" if "ALERT" in (e.reason or "") else (e.reason or "TLS error").replace("_", " ").lower()
    except OSError as e:
        return (e.strerror or str(e)).lower()
    return ""


def _by_key(
    target: ProbeTarget, known: Mapping[str, der.Certificate], identity: ClientIdentity | None, now: datetime, timeout: float
) -> Iterable[tuple[str, str | None]]:
    """The anchor when only cipher suites for RSA, or only those for ECC certificates, are offered."""
    for kind, ciphers in BY_KEY.items():
        attempt = handshake(target, ciphers=ciphers, identity=identity, timeout=timeout)
        if not attempt.chain:
            continue
        try:
            yield kind, verify([der.certificate(c) for c in attempt.chain], known, target.host, now).anchor
        except DerError:
            yield kind, None


def _session(attempt: HandshakeAttempt) -> str | None:
    return f"{attempt.version} {attempt.cipher}" if attempt.done else None


def _told(attempt: HandshakeAttempt, first: HandshakeAttempt) -> str:
    """What a server does that is told another name, or none."""
    if not attempt.chain:
        return attempt.error
    if attempt.chain[0] == first.chain[0]:
        return "the same certificate"
    try:
        other = der.certificate(attempt.chain[0])
    except DerError:
        return "another certificate, which cannot be read"
    return one_line(f"another certificate, for {', '.join(other.dns_names) or other.common_name or 'no name'}")


def _client_certificate(attempt: HandshakeAttempt, identity: ClientIdentity | None) -> str:
    if not attempt.wants_client_certificate:
        return "not asked for"
    if attempt.done:
        return "asked for, and accepted" if identity else "asked for, and not needed"
    return f"asked for, and {attempt.error}" if identity else "asked for, and needed; none was shown"


def _notes(first: HandshakeAttempt, newest: HandshakeAttempt, by_key: Mapping[str, str | None], anchor: str | None) -> Iterable[str]:
    if not first.done and newest.done and not first.wants_client_certificate:
        yield "this computer connects and a device does not: it needs more than TLS 1.2 with ephemeral ECDH"
    anchors = {kind: root for kind, root in by_key.items() if root}
    if len(set(anchors.values())) > 1:
        yield f"the anchor changes with the cipher suite: {', '.join(f'{k} {r}' for k, r in anchors.items())}; a device needs each of them"
    if len(by_key) == 1 and anchor:
        yield f"the server has a certificate of one key type alone, {next(iter(by_key))}: a device needs no root for the other"
