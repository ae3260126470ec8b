"""Keys and signatures of certificates: what kind of key, and whether one certificate's key signed another.

`cryptography` does the arithmetic. Tables map X.509's object identifiers (RFC 3279, 4055, 5758, 8410) to its classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioning.pem.tlv import DerError
from provisioning.trust import der

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

# Signature algorithm -> (key family, hash).
SIGNATURE = {
    "1.2.840.113549.1.1.5": ("RSA", "SHA1"),
    "1.2.840.113549.1.1.11": ("RSA", "SHA256"),
    "1.2.840.113549.1.1.12": ("RSA", "SHA384"),
    "1.2.840.113549.1.1.13": ("RSA", "SHA512"),
    "1.2.840.10045.4.1": ("EC", "SHA1"),
    "1.2.840.10045.4.3.2": ("EC", "SHA256"),
    "1.2.840.10045.4.3.3": ("EC", "SHA384"),
    "1.2.840.10045.4.3.4": ("EC", "SHA512"),
}

# Names that people know, for the curves `cryptography` names as SEC 2 does.
CURVE = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def public_key(cert: der.Certificate) -> PublicKeyTypes:
    """The certificate's public key. Raises DerError when it is not one that `cryptography` can read."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return load_der_public_key(cert.spki)
    except (ValueError, UnsupportedAlgorithm) as e:
        raise DerError("the public key is damaged or of an unknown kind") from e


def key_text(cert: der.Certificate) -> str:
    """The key for people: "RSA 2048", "EC P-256", or the family's name. Raises DerError."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = public_key(cert)
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {CURVE.get(key.curve.name, key.curve.name)}"
    return type(key).__name__.strip("_").removesuffix("PublicKey")


def signature_text(cert: der.Certificate) -> str:
    """The signature algorithm for people: "RSA with SHA256", or its object identifier."""
    known = SIGNATURE.get(cert.signature_oid)
    return f"{known[0]} with {known[1]}" if known else cert.signature_oid


def signed_by(cert: der.Certificate, issuer: der.Certificate) -> bool:
    """Did the issuer's key sign the certificate? SHA-1 counts: VeriSign's root has no other signature.

    Raises DerError on an unknown algorithm.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    known = SIGNATURE.get(cert.signature_oid)
    if known is None:
        raise DerError(f"the signature algorithm {cert.signature_oid} is not one that a device can verify")
    algorithm: hashes.HashAlgorithm = getattr(hashes, known[1])()
    key = public_key(issuer)
    try:
        if isinstance(key, rsa.RSAPublicKey) and known[0] == "RSA":
            key.verify(cert.signature, cert.tbs, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and known[0] == "EC":
            key.verify(cert.signature, cert.tbs, ec.ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True
