"""A device's key, made here and never sent, and the request for its certificate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.errors import InputError
from provisioning.identity.files import KEY_MODE, write_new
from provisioning.identity.keys import make_key, to_pem
from provisioning.identity.pair import load_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


def load_or_make_key(file: Path) -> PrivateKeyTypes:
    """The key in `file`; when there is none, a new P-256 key, readable by its owner alone, is put there first.

    Raises InputError when the file is not a private key, StationError when it cannot be written.
    """
    if not file.exists():
        write_new(file, to_pem(make_key("p256")), KEY_MODE)
    key: PrivateKeyTypes = load_key(file)
    return key


def public_der(key: PrivateKeyTypes) -> bytes:
    """SubjectPublicKeyInfo: what a certificate of this key holds."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def request_for(key: PrivateKeyTypes, common_name: str) -> str:
    """A certificate signing request (PEM) with the common name as its only subject."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise InputError("bad-key", "AWS IoT takes RSA and EC keys only.", "Make a P-256 key.")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()
