"""Requests and certificates for devices. Made once per device: a second run finds the files and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.config.document import shown, wrong
from provisioning.errors import InputError
from provisioning.identity.files import KEY_MODE, PUBLIC_MODE, write_new
from provisioning.identity.keys import KeyKind, make_key, to_pem
from provisioning.identity.pair import Pair, load_key, load_pair
from provisioning.identity.signer import Authority

if TYPE_CHECKING:
    from cryptography import x509

# Devices whose clock is behind still accept the certificate, and so do servers whose clock is.
_BACKDATED = timedelta(hours=1)
_COMMON_NAME_LIMIT = 64  # RFC 5280, appendix A.1: ub-common-name


@dataclass(frozen=True)
class Issued:
    """The identity of one device, and what of it this run made."""

    pair: Pair
    made_key: bool
    made_certificate: bool


def issue(
    name: str, certificate: Path, key: Path, authority: Authority, *, kind: KeyKind = "p256", days: int = 3650, chain: bool = False
) -> Issued:
    """The identity in `certificate` and `key`, made where it is missing: the key first, so that a run that was cut off is continued.

    `name` becomes the subject's common name; `days` is the validity, never beyond the CA's own end; `chain`: the CA's certificate goes
    behind the device's. Raises InputError when there is a certificate without its key (that device had its identity and its key is gone),
    and whatever load_pair raises for files that are there.
    """
    made_key = not key.exists()
    made_certificate = not certificate.exists()
    if made_key and not made_certificate:
        raise wrong(
            "key-gone",
            f"{shown(key)}: the certificate {shown(certificate)} is there and its key is not; it is on the board that passed as {name}",
            f"Nothing has to be made: connect the board that is {name}; docs/technician.md says what to do when that board is scrapped.",
            KeyGone,
        )
    if made_key:
        write_new(key, to_pem(make_key(kind)), KEY_MODE)
    if made_certificate:
        from cryptography.hazmat.primitives.serialization import Encoding

        private = load_key(key)
        made = sign(_subject(name), private.public_key(), authority, days).public_bytes(Encoding.PEM)
        write_new(certificate, made + (authority.certificate.public_bytes(Encoding.PEM) if chain else b""), PUBLIC_MODE)
    return Issued(load_pair(certificate, key), made_key, made_certificate)


class KeyGone(InputError):
    """A certificate was made here and its key has left: it is on the board that passed, or lost with it."""


def request(name: str, key: Path, csr: Path, *, kind: KeyKind = "p256") -> tuple[bool, bool]:
    """A certificate signing request for the key in `key`, which is made where it is missing. Returns (made key, made request)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    made_key = not key.exists()
    if made_key:
        write_new(key, to_pem(make_key(kind)), KEY_MODE)
    if csr.exists():
        return made_key, False
    signed = x509.CertificateSigningRequestBuilder().subject_name(_subject(name)).sign(load_key(key), hashes.SHA256())
    write_new(csr, signed.public_bytes(Encoding.PEM), PUBLIC_MODE)
    return made_key, True


def request_path(certificate: Path) -> Path:
    """Where the request for `certificate` lies: x.crt.pem -> x.csr.pem."""
    return certificate.with_name(certificate.name.removesuffix(".crt.pem").removesuffix(".pem") + ".csr.pem")


def _subject(name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    if not 1 <= len(name) <= _COMMON_NAME_LIMIT:
        raise wrong(
            "bad-name", f"device {name[:20]!r}…: a common name has 1 to {_COMMON_NAME_LIMIT} characters", "Give the device a shorter id."
        )
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def sign(
    subject: x509.Name, public: Any, authority: Authority, days: int, now: datetime | None = None, alternative: Any = None
) -> x509.Certificate:
    """A device's certificate over the key `public`, made at `now` (UTC). `alternative`: the extension with its other names."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    ca = authority.certificate
    at = (now or datetime.now(timezone.utc)).replace(microsecond=0)
    if not ca.not_valid_before_utc <= at < ca.not_valid_after_utc:
        raise wrong(
            "ca-not-valid",
            f"the CA {ca.subject.rfc4514_string()} is valid from {ca.not_valid_before_utc:%Y-%m-%d}"
            f" to {ca.not_valid_after_utc:%Y-%m-%d}, not today",
            "Check this computer's clock, or use the CA's successor.",
        )
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.subject)
        .public_key(public)
        # 20 random bytes, top bit clear (RFC 5280, 4.1.2.2): no two devices share one, whichever stations made them.
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(at - _BACKDATED, ca.not_valid_before_utc))
        .not_valid_after(min(at + timedelta(days=days), ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(_authority_identifier(ca), critical=False)
    )
    if alternative is not None:
        builder = builder.add_extension(alternative.value, critical=alternative.critical)
    return builder.sign(authority.key, hashes.SHA256())


def _authority_identifier(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The CA's own subject key identifier where it has one: verifiers match the two byte by byte."""
    from cryptography import x509

    try:
        own = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
