"""A certificate for longer, over the same public key: for devices whose key is on the board and nowhere else. No private key is touched.

Who the device is stays as it was: the subject byte by byte, the alternative names, the key. Only the validity, the serial number and,
where the CA has a successor, the issuer are new. The files change so that a run which is cut off anywhere goes on where it was:

    ws-0001.renewed.pem                the new certificate, before it counts: a run that finds it makes no second one
    ws-0001.replaced-FINGERPRINT.pem   the old one, copied aside before
    ws-0001.crt.pem                    the new one, by one rename
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.config.document import shown, wrong, wrong_file
from provisioning.config.text_file import is_file
from provisioning.errors import StationError
from provisioning.identity.files import PUBLIC_MODE, aside, write_new
from provisioning.identity.issue import sign
from provisioning.identity.pair import load_certificate, load_key
from provisioning.identity.signer import Authority
from provisioning.pem.read import certificates, encode
from provisioning.pem.tlv import DerError
from provisioning.trust import der

if TYPE_CHECKING:
    from cryptography import x509

    from provisioning.config.product import Product

_SHARE, _LONGEST = 3, timedelta(days=180)  # due in the last third of its validity, at most so long before its end
_FINGERPRINT = 16  # hex digits of it in a name
PENDING, REPLACED, RETIRED = ".renewed.pem", ".replaced-", ".retired-"


def first_step(product: Product) -> str:
    """What a person does who has no renewed certificates yet."""
    if product.identity.issue is not None:
        return "Make them with `twinroot identity renew PRODUCT` first."
    return "They come from another CA here: docs/renewal.md says where its files, and the ones that they replace, go."


@dataclass(frozen=True)
class Renewed:
    """A certificate, and the one that it is for longer. `finished`: it lay there, made by a run that was cut off."""

    new: der.Certificate
    old: der.Certificate
    pem: bytes = field(repr=False)
    finished: bool = False

    @property
    def sha256(self) -> str:
        """Fingerprint, lower-case hex."""
        return fingerprint(self.new)

    @property
    def replaces(self) -> str:
        """Fingerprint of the old one."""
        return fingerprint(self.old)


Make = Callable[[der.Certificate], bytes]  # the new certificate's file (PEM, with its chain) for the old one


def fingerprint(certificate: der.Certificate) -> str:
    """SHA-256 of the DER, lower-case hex."""
    return hashlib.sha256(certificate.der).hexdigest()


def leaf(pem: bytes, where: Path) -> der.Certificate:
    """The device's own certificate, the first of a file. Raises InputError."""
    try:
        return der.certificate(certificates(pem)[0])
    except (DerError, ValueError) as error:
        raise wrong_file(where, "bad-certificate", f"the certificate is damaged: {error}", "Get it again.") from None


def same_key(one: der.Certificate, other: der.Certificate) -> bool:
    """Whether both are of the same public key, byte by byte."""
    return one.spki == other.spki


def is_later(one: der.Certificate, other: der.Certificate) -> bool:
    """Whether `one` was made after `other`: a board never goes back to the older one of the two because a file says so."""
    return (one.not_before, one.not_after) >= (other.not_before, other.not_after)


def is_due(old: der.Certificate, now: datetime, before: datetime | None = None) -> bool:
    """Whether it ends before `before`; by default, whether the last third of its validity has begun, and its last half-year."""
    if before is not None:
        return old.not_after < before
    return old.not_after - now < min((old.not_after - old.not_before) / _SHARE, _LONGEST)


def check_authority(authority: Authority, days: int, now: datetime, before: datetime | None = None) -> None:
    """Whether certificates of `days` can be made today, and end after `before`. Raises InputError."""
    ca, end = authority.certificate, now + timedelta(days=days)
    if ca.not_valid_before_utc <= now < ca.not_valid_after_utc < end:  # one that is not valid today is said where it signs
        left = (ca.not_valid_after_utc - now).days
        raise wrong(
            "ca-ends-first",
            f"the CA {ca.subject.rfc4514_string()} ends on {ca.not_valid_after_utc:%Y-%m-%d}, before certificates of {days} days would",
            f"Name the CA's successor in `issue: {{ca: …}}`, or make them shorter: --days {left}.",
        )
    if before is not None and end <= before:
        raise wrong(
            "renewal-too-short",
            f"certificates of {days} days, made today, would end before {before:%Y-%m-%d} again",
            "Give a later end with --days, or an earlier date with --before.",
        )


def issued_by(authority: Authority, days: int, now: datetime, *, chain: bool) -> Make:
    """Makes certificates with a CA of one's own, its certificate behind them where `chain` says so."""

    def make(old: der.Certificate) -> bytes:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        before = x509.load_der_x509_certificate(old.der)
        made = sign(before.subject, before.public_key(), authority, days, now, alternative=_alternative(before)).public_bytes(Encoding.PEM)
        return made + (authority.certificate.public_bytes(Encoding.PEM) if chain else b"")

    return make


def _alternative(old: x509.Certificate) -> Any:
    """The extension with the alternative names, None where it has none."""
    from cryptography import x509

    try:
        return old.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None


def current(certificate: Path) -> der.Certificate:
    """The certificate that is in use. Raises InputError."""
    return leaf(load_certificate(certificate), certificate)


def begun(certificate: Path, old: der.Certificate) -> Renewed | None:
    """What a run that was cut off has made for `certificate`. Raises InputError where it is not for that one."""
    path = pending(certificate)
    if not is_file(path):
        return None
    pem = load_certificate(path)
    return Renewed(_checked(leaf(pem, path), old, path), old, pem, finished=True)


def prepare(certificate: Path, key: Path, old: der.Certificate, make: Make) -> Renewed:
    """The new certificate for `certificate`, in its file beside it. Nothing else is changed. Raises InputError, StationError."""
    if is_file(key) and _public(load_key(key)) != old.spki:
        raise wrong_file(
            key, "key-mismatch", f"this key does not belong to the certificate {shown(certificate)}", "Find out which of the two is wrong."
        )
    path = pending(certificate)
    pem = b"".join(encode("CERTIFICATE", each) for each in certificates(make(old)))
    new = _checked(leaf(pem, path), old, path)
    write_new(path, pem, PUBLIC_MODE)
    return Renewed(new, old, pem)


def put(certificate: Path, renewed: Renewed) -> None:
    """The old one aside, the new one in its place. Raises StationError."""
    aside = replaced(certificate, renewed.old)
    try:
        if not aside.exists():
            write_new(aside, certificate.read_bytes(), PUBLIC_MODE)
        pending(certificate).replace(certificate)
    except OSError as error:
        raise StationError(
            "cannot-write", f"{shown(certificate)}: cannot be replaced: {error.strerror}.", "Check the folder's permissions and the disk."
        ) from error


def pending(certificate: Path) -> Path:
    """Where the new certificate lies until it is the one."""
    return beside(certificate, PENDING)


def replaced(certificate: Path, old: der.Certificate) -> Path:
    """Where the old one lies afterwards."""
    return beside(certificate, f"{REPLACED}{fingerprint(old)[:_FINGERPRINT]}.pem")


def laid_aside(certificate: Path, sha256: str) -> str:
    """What became of the certificate with this fingerprint, by the files beside: "renewed", "retired", or "" where none says it."""
    if is_file(beside(certificate, f"{REPLACED}{sha256[:_FINGERPRINT]}.pem")):
        return "renewed"
    return "retired" if is_file(aside(certificate, f"{RETIRED[1:]}{sha256[:_FINGERPRINT]}")) else ""


def is_beside(name: str) -> bool:
    """Whether a file of that name is no device's certificate in use: one that is made or was laid aside."""
    return name.endswith(PENDING) or any(mark in name for mark in (REPLACED, RETIRED))


def beside(certificate: Path, end: str) -> Path:
    """The name of `certificate` with another end."""
    return certificate.with_name(certificate.name.removesuffix(".pem").removesuffix(".crt") + end)


def _checked(new: der.Certificate, old: der.Certificate, path: Path) -> der.Certificate:
    """`new`, when it is `old` for longer. Raises InputError."""
    if not same_key(new, old):
        problem = "is of another key than the certificate that it would replace"
    elif new.subject_raw != old.subject_raw or (new.dns_names, new.has_alt_names) != (old.dns_names, old.has_alt_names):
        problem = f"names {new.subject}, and the certificate that it would replace {old.subject}"
    elif not is_later(new, old) or new.not_after <= old.not_after:
        problem = "ends no later than the certificate that it would replace"
    else:
        return new
    raise wrong_file(path, "not-a-renewal", problem, "Move it away: the next run makes the right one.")


def _public(private: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return bytes(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
