"""A factory CA whose key is in a PKCS #11 token (an HSM, a smart card, SoftHSM), asked through OpenSC's pkcs11-tool.

The PIN reaches the tool by its environment and is never an argument; the key never leaves the token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from provisioning.config.product import Token
from provisioning.identity.signer import Authority, Kind, by_signing, run

TOOL = "pkcs11-tool"
PIN = "TWINROOT_TOKEN_PIN"


def from_token(certificate: Path, token: Token) -> Authority:
    """The CA with this certificate. Raises InputError for a certificate that is none; signing raises StationError."""
    return by_signing(certificate, lambda kind: _signer(kind, token))


def _signer(kind: Kind, token: Token) -> Callable[[bytes], bytes]:
    # Tokens differ in the mechanisms that hash by themselves: for EC, SoftHSM has only the bare one, so the hash is made here.
    mechanism = ["--mechanism", "ECDSA", "--signature-format", "openssl"] if kind == "ec" else ["--mechanism", "SHA256-RSA-PKCS"]
    where = ["--module", str(token.module), "--token-label", token.label, "--login", "--pin", f"env:{PIN}"]
    # pkcs11-tool takes a key by its id only; without one it takes the first. What it signs is checked against the certificate.
    command = [TOOL, *where, "--sign", *mechanism, *(["--id", token.id] if token.id else [])]

    def sign(data: bytes) -> bytes:
        return run(command, hashlib.sha256(data).digest() if kind == "ec" else data, {PIN: token.pin.reveal()})

    return sign
