"""What a file of certificates holds (PEM, DER, PKCS#7, a bundle), which of them are known roots, and what is wrong with it.

Never raises for bad content: a file that cannot be read at all has `error`, one sentence. Private keys are mentioned, never shown.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from provisioning.pem.kinds import CERTIFICATE, KEY
from provisioning.pem.read import PemBlock, Unreadable, blocks, wanted
from provisioning.pem.tlv import DerError
from provisioning.trust import der, signature
from provisioning.trust.roots import Root
from provisioning.untrusted_text import one_line

_MIN_RSA_BITS = 2048
_SOON = timedelta(days=90)


@dataclass(frozen=True)
class Held:
    """One certificate of a file. `known` is the root it is, `known_by` how that was found: "fingerprint", or "key" for a certificate of
    the same key that somebody else signed (a cross-certificate, which devices may meet in a chain)."""

    number: int
    subject: str = ""
    issuer: str = ""
    sha256: str = ""
    key: str = ""
    signature: str = ""
    not_before: str = ""
    not_after: str = ""
    ca: bool = False
    dns_names: tuple[str, ...] = ()
    known: str | None = None
    known_by: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contents:
    """A file and what it holds; `error` is set when nothing could be read."""

    file: str
    form: str = ""  # "PEM" | "DER" | "PKCS#7"
    certificates: tuple[Held, ...] = ()
    others: tuple[str, ...] = ()  # PEM labels of what is not a certificate
    problems: tuple[str, ...] = ()
    error: str | None = None
    hint: str = ""  # the next step where there is an error

    @property
    def is_good(self) -> bool:
        return self.error is None and not self.problems and not any(c.problems for c in self.certificates)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def examine(file: Path, roots: Mapping[str, Root], now: datetime | None = None) -> Contents:
    """What `file` holds, against the known `roots`."""
    try:
        data = file.read_bytes()
    except OSError as e:
        return Contents(str(file), error=f"{file} cannot be read: {e.strerror}.")
    return examine_bytes(data, str(file), roots, now)


def examine_bytes(data: bytes, name: str, roots: Mapping[str, Root], now: datetime | None = None) -> Contents:
    """As `examine`, for bytes that are there already."""
    now = now or datetime.now(timezone.utc)
    try:
        found = blocks(data)
        ders = [each.der for each in wanted(found, CERTIFICATE)]
    except Unreadable as e:
        return Contents(name, error=f"{name} cannot be used: {e}.", hint=e.hint(name))
    others = tuple(each.label for each in found if each.kind.role != CERTIFICATE)
    certs: list[der.Certificate | DerError] = []
    for raw in ders:
        try:
            certs.append(der.certificate(raw))
        except DerError as e:
            certs.append(e)
    form = _form(data, found)
    if not any(isinstance(c, der.Certificate) for c in certs):
        return Contents(
            name, form, others=others, error=f"{name} cannot be used: its certificate is damaged: {certs[0]}.", hint="Get the file again."
        )
    held = tuple(_describe(n, c, roots, now) for n, c in enumerate(certs, 1))
    return Contents(name, form, held, others, tuple(_problems_of_file(form, certs, found)))


def _form(data: bytes, found: list[PemBlock]) -> str:
    if any(each.label == "PKCS7" for each in found):
        return "PKCS#7"
    return "DER" if data[:1] == b"\x30" and len(found) == 1 and found[0].der == data else "PEM"


def _describe(number: int, cert: der.Certificate | DerError, roots: Mapping[str, Root], now: datetime) -> Held:
    if isinstance(cert, DerError):
        return Held(number, problems=(f"damaged: {cert}",))
    sha256 = hashlib.sha256(cert.der).hexdigest()
    try:
        key = signature.key_text(cert)
        problems = list(_problems_of(cert, key, now))
    except DerError as e:
        key, problems = "", [str(e)]
    known, known_by = _known(cert, sha256, roots)
    if known is None:
        impostor = next((r.name for r in roots.values() if r.subject == cert.subject), None)
        if impostor:
            problems.append(f"it has the subject of {impostor} and another key: do not trust it")
    return Held(
        number=number,
        subject=cert.subject,
        issuer=cert.issuer,
        sha256=sha256,
        key=key,
        signature=signature.signature_text(cert),
        not_before=cert.not_before.strftime("%Y-%m-%d"),
        not_after=cert.not_after.strftime("%Y-%m-%d"),
        ca=cert.ca,
        dns_names=tuple(map(one_line, cert.dns_names)),
        known=known,
        known_by=known_by,
        problems=tuple(problems),
    )


def _known(cert: der.Certificate, sha256: str, roots: Mapping[str, Root]) -> tuple[str | None, str | None]:
    for root in roots.values():
        if root.sha256 == sha256:
            return root.name, "fingerprint"
    for root in roots.values():
        if root.spki == cert.spki:
            return root.name, "key"
    return None, None


def _problems_of(cert: der.Certificate, key: str, now: datetime) -> Iterable[str]:
    if cert.not_before >= cert.not_after:
        yield "its validity ends before it begins"
    elif now > cert.not_after:
        yield f"expired on {cert.not_after:%Y-%m-%d}"
    elif now < cert.not_before:
        yield f"not valid before {cert.not_before:%Y-%m-%d}: is the clock right?"
    elif cert.not_after - now < _SOON:
        yield f"expires in {(cert.not_after - now).days} days, on {cert.not_after:%Y-%m-%d}"
    family, _, size = key.partition(" ")
    if family == "RSA" and int(size) < _MIN_RSA_BITS:
        yield f"its RSA key has {size} bits; fewer than {_MIN_RSA_BITS} are refused"
    elif family not in ("RSA", "EC"):
        yield f"a device cannot verify its key ({key})"
    if cert.self_issued:
        if not cert.may_sign:
            yield "it is self-signed, and its CA flag is not set: no chain can end in it"
        if not signature.signed_by(cert, cert):
            yield "its self-signature is wrong"
    elif cert.signature_oid not in signature.SIGNATURE:
        yield f"a device cannot verify its signature ({cert.signature_oid})"
    elif signature.SIGNATURE[cert.signature_oid][1] == "SHA1":
        yield "it is signed with SHA-1, which devices refuse below a root"
    if not cert.ca and not cert.dns_names and not cert.self_issued:
        yield "it has no alternative names; as a server's certificate it matches by common name only"


def _problems_of_file(form: str, certs: list[der.Certificate | DerError], found: list[PemBlock]) -> Iterable[str]:
    if any(each.kind.role == KEY for each in found):
        yield "it holds a private key: keep it apart from certificates, and readable by its owner alone"
    good = [c for c in certs if isinstance(c, der.Certificate)]
    if len({c.der for c in good}) < len(good):
        yield "the same certificate is in it more than once"
    if form == "PEM" and len(good) > 1 and not good[0].ca:
        for n, (below, above) in enumerate(itertools.pairwise(good), 1):
            if below.issuer_raw != above.subject_raw:
                yield f"as a chain it is broken: certificate {n} was not issued by certificate {n + 1}"
                break
