"""mbedTLS's verification of a server's chain, as a function of what was sent, the anchors, the name and the time.

Written after the rules of mbedTLS 3 (x509_crt.c: x509_crt_verify_chain, x509_crt_find_parent_in, default profile), which differ from
OpenSSL's: a parent is looked for among the anchors first, then among the certificates *after* the child, never before it; every problem of
every certificate on the path is collected, for a device reports them all at once and classifies by the worst excuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from provisioning.pem.tlv import DerError
from provisioning.trust import der, signature
from provisioning.untrusted_text import one_line

_MAX_INTERMEDIATES = 8  # MBEDTLS_X509_MAX_INTERMEDIATE_CA
_MIN_RSA_BITS = 2048  # mbedtls_x509_crt_profile_default
_GOOD_HASHES = ("SHA256", "SHA384", "SHA512")
_GOOD_CURVES = ("P-256", "P-384", "P-521")
_DIGITAL_SIGNATURE = 0  # bit of KeyUsage that an ephemeral key exchange needs
_SERVER_AUTH, _ANY_USAGE = "1.3.6.1.5.5.7.3.1", "2.5.29.37.0"


@dataclass(frozen=True)
class Problem:
    """`kind`: clock | hostname | trust, as the device's error classes have them."""

    kind: str
    text: str


@dataclass(frozen=True)
class Verified:
    """`anchor`: name of the root that the path ends in; `path`: certificates on it, leaf first, the anchor last when there is one;
    `wanted`: who signed the top of what the server sent, when no anchor did."""

    anchor: str | None
    path: tuple[der.Certificate, ...]
    problems: tuple[Problem, ...]
    wanted: str | None = None

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def kind(self) -> str | None:
        """The one kind that a device raises: with a wrong clock or another server's name, a signature is not evidence about a root."""
        kinds = {p.kind for p in self.problems}
        return next((k for k in ("clock", "hostname", "trust") if k in kinds), None)


def verify(chain: Sequence[der.Certificate], anchors: Mapping[str, der.Certificate], host: str, now: datetime) -> Verified:
    """Raises DerError when a key of the chain cannot be read: a device cannot parse such a certificate either."""
    problems: list[Problem] = []
    path = [chain[0]]
    rest = list(chain[1:])
    anchor = None
    while True:
        child = path[-1]
        problems += _dates(child, now)
        if anchor is not None:
            break
        anchor, parent = _parent(child, anchors, rest, len(path) - 1, _self_issued(path), now)
        if parent is None:
            problems.append(Problem("trust", f"{child.subject} was not signed by a root of the route"))
            break
        problems += _strength(child)
        if anchor is None:
            rest = rest[rest.index(parent) + 1 :]
            if len(path) > _MAX_INTERMEDIATES:
                problems.append(Problem("trust", "the chain is too long"))
                break
        path.append(parent)
    problems += _leaf(chain[0], host)
    return Verified(anchor, tuple(path), tuple(problems), None if anchor else path[-1].issuer)


def _parent(
    child: der.Certificate,
    anchors: Mapping[str, der.Certificate],
    rest: list[der.Certificate],
    below: int,
    self_issued: int,
    now: datetime,
) -> tuple[str | None, der.Certificate | None]:
    """The anchor's name (None for an intermediate) and the certificate whose key signed the child."""
    for named in (list(anchors.items()), [(None, c) for c in rest]):
        outdated: tuple[str | None, der.Certificate] | None = None
        for name, candidate in named:
            if not _may_have_signed(candidate, child, below, self_issued):
                continue
            if candidate.not_before <= now <= candidate.not_after:
                return name, candidate
            outdated = outdated or (name, candidate)
        if outdated:
            return outdated
    return None, None


def _may_have_signed(parent: der.Certificate, child: der.Certificate, below: int, self_issued: int) -> bool:
    if parent.subject.casefold() != child.issuer.casefold() or not parent.may_sign:
        return False
    if parent.path_length is not None and parent.path_length < below - self_issued:
        return False
    try:
        return signature.signed_by(child, parent)
    except DerError:
        return False


def _self_issued(path: list[der.Certificate]) -> int:
    return sum(c.self_issued for c in path[1:])


def _dates(cert: der.Certificate, now: datetime) -> list[Problem]:
    if now > cert.not_after:
        return [Problem("clock", f"{cert.subject} expired on {cert.not_after:%Y-%m-%d}")]
    if now < cert.not_before:
        return [Problem("clock", f"{cert.subject} is valid from {cert.not_before:%Y-%m-%d} on")]
    return []


def _strength(cert: der.Certificate) -> list[Problem]:
    """The default profile, which does not apply to anchors: hash of the signature, and the key."""
    found = []
    known = signature.SIGNATURE.get(cert.signature_oid)
    if known is None or known[1] not in _GOOD_HASHES:
        found.append(Problem("trust", f"{cert.subject} is signed with an unacceptable hash ({signature.signature_text(cert)})"))
    family, _, size = signature.key_text(cert).partition(" ")
    if not (family == "RSA" and int(size) >= _MIN_RSA_BITS) and not (family == "EC" and size in _GOOD_CURVES):
        found.append(Problem("trust", f"{cert.subject} has an unacceptable key ({family} {size})"))
    return found


def _leaf(leaf: der.Certificate, host: str) -> list[Problem]:
    found = []
    if not _is_named(leaf, host):
        names = one_line(", ".join(leaf.dns_names) or leaf.common_name or "no name")
        found.append(Problem("hostname", f"the certificate is for {names}, not for {host}"))
    if leaf.key_usage is not None and _DIGITAL_SIGNATURE not in leaf.key_usage:
        found.append(Problem("trust", f"{leaf.subject} may not sign a key exchange (keyUsage)"))
    if leaf.extended_key_usage is not None and not leaf.extended_key_usage & {_SERVER_AUTH, _ANY_USAGE}:
        found.append(Problem("trust", f"{leaf.subject} is not for servers (extendedKeyUsage)"))
    return found


def _is_named(leaf: der.Certificate, host: str) -> bool:
    """Alternative names alone when there are any, else the common name; a star stands for the whole first label."""
    names = leaf.dns_names if leaf.has_alt_names else tuple(filter(None, [leaf.common_name]))
    host = host.lower()
    _, dot, tail = host.partition(".")
    return any(n.lower() == host or (bool(dot) and n.lower() == f"*.{tail}") for n in names)
