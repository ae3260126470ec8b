"""The vendor's public key, as set.json carries it: what a device checks a signed set with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.errors import InputError
from provisioning.pem.read import blocks

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


def public_numbers(key: RSAPublicKey) -> dict[str, Any]:
    """What set.json's "vendor" holds: {"n": hex, "e": int}."""
    numbers = key.public_numbers()
    return {"n": f"{numbers.n:0{key.key_size // 4}x}", "e": numbers.e}


def load_public(file: Path) -> dict[str, Any]:
    """The same from a PEM file of the public key. Raises InputError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        found = blocks(file.read_bytes())
        named = next((each for each in found if each.kind.name == "public-key"), None)
        if named is None:
            raise ValueError(f"it holds {found[0].kind.what}")
        key = load_der_public_key(named.der)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            "public-key-unreadable", f"{file} is not a public key in PEM: {reason}.", "openssl pkey -in KEY -pubout -out FILE"
        ) from None
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        raise InputError("public-key-type", f"{file} is not an RSA key of 2048 bits or more", "Devices check RSA signatures.")
    return public_numbers(key)
