"""A device's key, made here and never sent, and the request for its certificate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.errors import InputError
from provisioning.identity.files import KEY_MODE, write_new
from provisioning.identity.keys import make_key, to_pem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


def load_or_make_key(file: Path) -> PrivateKeyTypes:
    """The key in `file`; when there is none, a new P-256 key, readable by its owner alone, is put there first.

    Raises InputError when the file is no private key, StationError when it cannot be written.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if not file.exists():
        write_new(file, to_pem(make_key("p256")), KEY_MODE)
    try:
        return load_pem_private_key(file.read_bytes(), None)
    except OSError as e:
        raise InputError("key-file", f"{file} cannot be read: {e.strerror}.", "Check the file's permissions.") from e
    except (ValueError, TypeError) as e:
        raise InputError("bad-key", f"{file} is not an unencrypted private key in PEM.", "Move it away; a new key is made then.") from e


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
