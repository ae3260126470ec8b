"""Who signs: a factory CA whose key is a file, or whose key never leaves a token and is asked through a command.

cryptography signs a certificate with whatever implements its key interfaces, so a key behind a command is a class of a few methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from provisioning.config.document import shown, wrong, wrong_file
from provisioning.identity import reading, signing_command
from provisioning.pem.read import encode

if TYPE_CHECKING:
    from cryptography import x509

Kind = Literal["ec", "rsa"]


@dataclass(frozen=True)
class Authority:
    """A CA that can sign: its certificate, and a private key in cryptography's sense."""

    certificate: x509.Certificate
    key: Any = field(repr=False)


def from_files(certificate: Path, key: Path) -> Authority:
    """A CA with its key in an unencrypted PEM file. Raises InputError."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    ca = ca_certificate(certificate)
    try:
        block = reading.private_key(key, "the CA's private key", "bad-ca-key")
    except reading.KeyEncrypted as error:
        error.code, error.hint = "bad-ca-key", f"{error.hint}; or use a signer command, so that the key need not be a file."
        raise
    try:
        private = load_pem_private_key(encode(block.label, block.der), None)
    except Exception:  # noqa: BLE001  whatever the parser raises, the file is not a key; its text is not repeated
        raise wrong_file(
            key,
            "bad-ca-key",
            "holds no private key that can be read",
            "Use a signer command, so that the key need not be a file.",
        ) from None
    if not isinstance(private, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise wrong_file(key, "bad-ca-key", "is neither an EC nor an RSA key", "AWS IoT takes CAs of these two kinds.")
    if _spki(private.public_key()) != _spki(ca.public_key()):
        raise wrong_file(key, "ca-key-mismatch", f"does not belong to the CA certificate {shown(certificate)}", "Take both from one place.")
    return Authority(ca, private)


def from_command(certificate: Path, command: Sequence[str], env: Mapping[str, str] | None = None, folder: Path | None = None) -> Authority:
    """A CA whose key answers a command: the bytes to sign on its standard input, the signature (DER for EC, PKCS #1 v1.5 for RSA; SHA-256)
    on its standard output. Secrets such as a PIN reach it through `env` alone.

    Paths among the arguments are relative to `folder` (the working directory by default).

    A key in a vault or behind a service, for one; for a PKCS #11 token there is pkcs11.py.
    """
    if not command:
        raise wrong("bad-signer", "the signer command is empty", "Give a program and its arguments.")
    return by_signing(certificate, lambda _kind: lambda data: signing_command.run(command, data, env, folder))


def by_signing(certificate: Path, signer: Callable[[Kind], Callable[[bytes], bytes]]) -> Authority:
    """A CA whose key is elsewhere. `signer` gets the kind of its key and returns what signs: bytes in, signature out (see from_command)."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    from provisioning.identity.remote_key import RemoteEcKey, RemoteRsaKey

    ca = ca_certificate(certificate)
    public = ca.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return Authority(ca, RemoteEcKey(public, signer("ec")))
    if isinstance(public, rsa.RSAPublicKey):
        return Authority(ca, RemoteRsaKey(public, signer("rsa")))
    raise wrong_file(certificate, "bad-ca", "its key is neither EC nor RSA", "AWS IoT takes CAs of these two kinds.")


def ca_certificate(path: Path) -> x509.Certificate:
    """The one certificate in `path`, which may sign others. Raises InputError."""
    from cryptography import x509

    ders = reading.certificates(path, "the CA's certificate", "bad-ca")
    if len(ders) != 1:
        raise wrong_file(path, "bad-ca", f"holds {len(ders)} certificates, expected the CA's own", "Keep only the one that signs.")
    try:
        ca = x509.load_der_x509_certificate(ders[0])
        ca.public_key()
        may_sign = ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        may_sign = False
    except Exception as error:
        raise wrong_file(path, "bad-ca", f"the certificate is damaged: {type(error).__name__}", "Get the file again.") from error
    if not may_sign:
        raise wrong_file(path, "bad-ca", "is not a CA certificate, so what it signs is worth nothing", "Make one with CA:TRUE.")
    return ca


def _spki(public: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return bytes(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
