"""The tests' X.509 builder: small declarations, everything that a certificate or a hostile server can get wrong."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

UTC = dt.timezone.utc
START = dt.datetime(2024, 1, 1, tzinfo=UTC)
END = dt.datetime(2034, 1, 1, tzinfo=UTC)


@cache
def key(kind: str, label: str = "") -> Any:
    """A private key; one per (kind, label) in a test process, because RSA keys are slow to make."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "ec384":
        return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(65537, {"rsa": 2048, "rsa1024": 1024, "rsa3072": 3072}[kind])


def name(common: str, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


@dataclass(frozen=True)
class Cert:
    certificate: x509.Certificate
    key: Any = field(repr=False)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return self.key_as(serialization.PrivateFormat.TraditionalOpenSSL)

    def key_as(self, form: serialization.PrivateFormat) -> bytes:
        made: bytes = self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        return made


def make(
    subject: x509.Name,
    signer: Cert | None = None,
    *,
    kind: str = "ec",
    label: str = "",
    ca: bool = False,
    path_length: int | None = None,
    hosts: tuple[str, ...] = (),
    addresses: tuple[str, ...] = (),
    start: dt.datetime = START,
    end: dt.datetime = END,
    key_usage: dict[str, bool] | None = None,
    extended: tuple[x509.ObjectIdentifier, ...] = (),
    own: Any = None,
    public: Any = None,
    issuer: x509.Name | None = None,
    constraints: bool = True,
) -> Cert:
    """A certificate signed by `signer` (by itself when None).

    `own`: its key, one of `kind` by default; `public`: a public key instead, whose private half is elsewhere. `issuer`: another name than
    the signer's. `constraints`: whether it says that it is a CA, or that it is none.
    """
    own = own or (None if public else key(kind, label or subject.rfc4514_string()))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or (signer.certificate.subject if signer else subject))
        .public_key(public or own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if constraints:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    if public:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    if hosts or addresses:
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(address) for address in addresses]
        for host in hosts:
            try:
                names.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if key_usage is not None:
        flags = dict.fromkeys(
            (
                "digital_signature",
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
        builder = builder.add_extension(x509.KeyUsage(**{**flags, **key_usage}), critical=True)
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    signing = signer.key if signer else own
    return Cert(builder.sign(signing, None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256()), own)


def root(common: str, kind: str = "ec", **options: Any) -> Cert:
    return make(name(common, "Test Trust"), kind=kind, ca=True, **options)


def server(host: str, signer: Cert, **options: Any) -> Cert:
    options.setdefault("hosts", (host,))
    return make(name(host), signer, **options)


def client(device: str, signer: Cert, kind: str = "ec") -> Cert:
    return make(name(device), signer, kind=kind, extended=(ExtendedKeyUsageOID.CLIENT_AUTH,))
