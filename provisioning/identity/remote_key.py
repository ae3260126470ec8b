"""Private keys that are somewhere else: cryptography's interfaces, with one method that works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from provisioning.errors import StationError

Sign = Callable[[bytes], bytes]


def _elsewhere() -> NoReturn:
    raise StationError("key-elsewhere", "The CA's key cannot be read here; it only signs.", "Ask the signer for what you need.")


def _foreign() -> StationError:
    return StationError(
        "signer-wrong-key",
        "The signer answered with a signature that the CA's certificate does not confirm.",
        "Does it use the CA's key and SHA-256?",
    )


class RemoteEcKey(ec.EllipticCurvePrivateKey):
    """An EC key behind `sign`, which gets the message and returns a DER signature over its SHA-256."""

    def __init__(self, public: ec.EllipticCurvePublicKey, sign: Sign) -> None:
        self._public = public
        self._sign = sign

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        message = bytes(data)
        signature = self._sign(message)
        try:
            self._public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise _foreign() from None
        return signature

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def exchange(self, *_: Any, **__: Any) -> bytes:
        _elsewhere()

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        _elsewhere()

    def private_bytes(self, *_: Any, **__: Any) -> bytes:
        _elsewhere()

    def __copy__(self) -> RemoteEcKey:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> RemoteEcKey:
        return self


class RemoteRsaKey(rsa.RSAPrivateKey):
    """An RSA key behind `sign`, which gets the message and returns a PKCS #1 v1.5 signature over its SHA-256."""

    def __init__(self, public: rsa.RSAPublicKey, sign: Sign) -> None:
        self._public = public
        self._sign = sign

    def sign(self, data: Any, *_: Any, **__: Any) -> bytes:
        message = bytes(data)
        signature = self._sign(message)
        try:
            self._public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise _foreign() from None
        return signature

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def decrypt(self, *_: Any, **__: Any) -> bytes:
        _elsewhere()

    def private_numbers(self) -> rsa.RSAPrivateNumbers:
        _elsewhere()

    def private_bytes(self, *_: Any, **__: Any) -> bytes:
        _elsewhere()

    def __copy__(self) -> RemoteRsaKey:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> RemoteRsaKey:
        return self
