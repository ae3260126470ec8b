"""Device keys, made on this host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from provisioning.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

KeyKind = Literal["p256", "rsa2048"]
KINDS: tuple[KeyKind, ...] = ("p256", "rsa2048")

# Public exponent of RSA keys (FIPS 186-5, appendix A.1.1: odd, above 2**16; this one is what every library takes).
_EXPONENT = 65537


def make_key(kind: KeyKind) -> EllipticCurvePrivateKey | RSAPrivateKey:
    """A fresh key from the operating system's randomness. P-256 costs a device a tenth of the handshake time of RSA 2048."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if kind == "p256":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "rsa2048":
        return rsa.generate_private_key(_EXPONENT, 2048)
    raise InputError("bad-key-kind", f"There is no kind of key {kind!r}, expected {' or '.join(KINDS)}.", "p256 suits every board.")


def to_pem(key: EllipticCurvePrivateKey | RSAPrivateKey) -> bytes:
    """The key as unencrypted PEM in its traditional form (SEC 1, PKCS #1), the shortest that mbedTLS reads."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
