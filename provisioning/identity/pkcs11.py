"""A factory CA whose key is in a PKCS #11 token (an HSM, a smart card, SoftHSM), asked through OpenSC's pkcs11-tool.

The PIN reaches the tool by its environment and is never an argument; the key never leaves the token.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.config.product import Token
from provisioning.errors import InputError, StationError
from provisioning.identity.signer import Authority, Kind, by_signing
from provisioning.identity.signing_command import SignerFailed, run

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

TOOL = "pkcs11-tool"
PIN = "TWINROOT_TOKEN_PIN"

# What a token says of a PIN (PKCS #11 2.40, 11.1.6) -> what that means, and what to do.
_PIN_ERRORS = {
    "CKR_PIN_LOCKED": ("is locked after too many wrong PINs", "Whoever has the token's security officer PIN unlocks it."),
    "CKR_PIN_EXPIRED": ("has expired", "Change it with the token's own tool, then in the product."),
    "CKR_PIN_": (
        "is wrong, and was tried once",
        "Correct `pin` (or the secret that it names): a token locks itself after a few wrong ones.",
    ),
}

_PIN_ERROR = re.compile(r"CKR_PIN_\w+")


def from_token(certificate: Path, token: Token) -> Authority:
    """The CA with this certificate. Raises InputError for a certificate that is none; signing raises StationError."""
    return by_signing(certificate, lambda kind: _signer(kind, token))


def check_pin(token: Token) -> None:
    """One login: a wrong PIN is said here, before the first board, instead of being tried for each until the token locks.

    Raises StationError for what is wrong with the PIN alone: a token that is not there is no mistake until something has to be signed.
    """
    try:
        _ask(token, "--list-objects", "--type", "privkey")
    except SignerFailed as error:
        if _PIN_ERROR.search(error.output):
            raise
    except StationError:
        return


def key_of(token: Token) -> EllipticCurvePrivateKey | RSAPrivateKey:
    """The token's key, which signs there, as cryptography has keys. Raises StationError, InputError for a key of another kind."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    from provisioning.identity.remote_key import RemoteEcKey, RemoteRsaKey

    with tempfile.TemporaryDirectory(prefix="twinroot-") as folder:
        out = Path(folder) / "public.der"
        _ask(token, "--read-object", "--type", "pubkey", *_which(token), "--output-file", str(out))
        try:
            public: Any = load_der_public_key(out.read_bytes())
        except (OSError, ValueError):
            raise SignerFailed(
                "signer-failed", f"The token {token.label!r} shows no public key.", "Name the key by its `id`; `pkcs11-tool -O` lists them."
            ) from None
    if isinstance(public, ec.EllipticCurvePublicKey):
        return RemoteEcKey(public, _signer("ec", token))
    if isinstance(public, rsa.RSAPublicKey):
        return RemoteRsaKey(public, _signer("rsa", token))
    raise InputError("bad-ca-key", f"The key in the token {token.label!r} is neither EC nor RSA.", "AWS IoT takes CAs of these two kinds.")


def _which(token: Token) -> list[str]:
    # pkcs11-tool takes a key by its id only; without one it takes the first. What it signs is checked against the certificate.
    return ["--id", token.id] if token.id else []


def _command(token: Token) -> list[str]:
    return [TOOL, "--module", str(token.module), "--token-label", token.label, "--login", "--pin", f"env:{PIN}"]


def _ask(token: Token, *what: str) -> None:
    """A question whose answer goes elsewhere. Raises StationError."""
    try:
        _run(token, [*_command(token), *what], b"")
    except SignerFailed as error:
        if error.status != 0:  # else it had nothing to print
            raise


def _run(token: Token, command: list[str], data: bytes) -> bytes:
    """What pkcs11-tool answers. Raises StationError."""
    try:
        return run(command, data, {PIN: token.pin.reveal()})
    except SignerFailed as error:
        found = _PIN_ERROR.search(error.output)
        if found is None:
            raise
        text, hint = next(row for word, row in _PIN_ERRORS.items() if found[0].startswith(word))
        refused = SignerFailed("signer-failed", f"The PIN of the token {token.label!r} {text} ({found[0]}).", hint)
        refused.output = error.output
        raise refused from None


def _signer(kind: Kind, token: Token) -> Callable[[bytes], bytes]:
    # Tokens differ in the mechanisms that hash by themselves: for EC, SoftHSM has only the bare one, so the hash is made here.
    mechanism = ["--mechanism", "ECDSA", "--signature-format", "openssl"] if kind == "ec" else ["--mechanism", "SHA256-RSA-PKCS"]
    command = [*_command(token), "--sign", *mechanism, *_which(token)]

    def sign(data: bytes) -> bytes:
        return _run(token, command, hashlib.sha256(data).digest() if kind == "ec" else data)

    return sign
