"""A device's certificate and key, read from files and checked against each other before anything is written to a board."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from provisioning import kept
from provisioning.config.document import shown, wrong
from provisioning.errors import InputError
from provisioning.identity import pem

# Key types that mbedTLS on the ESP32 and AWS IoT both take: name -> what makes one.
ACCEPTED_KEYS = "EC P-256, EC P-384, or RSA of 2048 to 4096 bits"


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # fromtimestamp ends in 3000 on Windows; certificates end in 9999
_SLOT_DIGITS = 3  # hex digits of the hash in a kept file's name: a bound for the folder, however many devices pass by


@dataclass(frozen=True)
class Pair:
    """One device's identity. PEM texts are canonical: one block, 64 columns, newline ends, nothing around it.

    `key_pem` is None where the key stays on the board that holds it; `key_sha256` is the SHA-256 of the PEM text either way.
    """

    certificate_pem: bytes
    key_pem: bytes | None = field(repr=False)
    not_before: datetime  # UTC
    not_after: datetime  # UTC
    serial: int
    sha256: str  # fingerprint of the certificate, lower-case hex
    key_sha256: str


def load_pair(certificate: Path, key: Path, now: datetime | None = None) -> Pair:
    """Read and check both files. Raises InputError: missing, damaged, several, expired, not yet valid, key of another certificate.

    `now` (UTC) is what validity is judged by; the host's clock by default.
    """
    leaf_der = _certificate_block(certificate)
    label, key_der, facts = _facts(leaf_der, certificate, key)
    not_before, not_after = (EPOCH + timedelta(seconds=facts[name]) for name in ("not_before", "not_after"))
    _check_dates(not_before, not_after, certificate, now or datetime.now(timezone.utc))
    key_pem = pem.encode(label, key_der)
    return Pair(
        certificate_pem=pem.encode("CERTIFICATE", leaf_der),
        key_pem=key_pem,
        not_before=not_before,
        not_after=not_after,
        serial=facts["serial"],
        sha256=hashlib.sha256(leaf_der).hexdigest(),
        key_sha256=hashlib.sha256(key_pem).hexdigest(),
    )


def load_certificate(certificate: Path) -> bytes:
    """The device's certificate alone, as canonical PEM, whatever its dates say. Raises InputError."""
    return pem.encode("CERTIFICATE", _certificate_block(certificate))


def facts_of_certificate(leaf_der: bytes, where: Path) -> dict[str, int]:
    """not_before, not_after (Unix seconds) and serial; remembered by its hash, as pairs are. Raises InputError."""
    key = kept.key_of(Path(__file__).read_bytes(), b"certificate", leaf_der)
    slot = f"certificate-{key[:_SLOT_DIGITS]}.json"
    found: dict[str, int] | None = kept.read(slot, key)
    if found is None:
        found = _facts_of(_certificate(leaf_der, where))
        kept.write(slot, key, found)
    return found


def _facts_of(leaf: Any) -> dict[str, int]:
    dates = {"not_before": leaf.not_valid_before_utc, "not_after": leaf.not_valid_after_utc}
    return {**{name: int(date.timestamp()) for name, date in dates.items()}, "serial": leaf.serial_number}


def _facts(leaf_der: bytes, certificate: Path, key: Path) -> tuple[str, bytes, dict[str, int]]:
    """The key's block, and of the certificate not_before, not_after (Unix seconds) and serial, both checked against each other.

    A pair that has passed is remembered by the hash of all its bytes: what was found of them then holds for good, and looking again would
    cost each command the loading of `cryptography`. Validity is judged by the caller, each time.
    """
    with contextlib.suppress(InputError):  # said below, after what may be wrong with the certificate
        label, key_der = _key_block(key)
        pair = kept.key_of(Path(__file__).read_bytes(), leaf_der, label.encode(), key_der)
        found = kept.read(f"pair-{pair[:_SLOT_DIGITS]}.json", pair)
        if found is not None:
            return label, key_der, found
    leaf = _certificate(leaf_der, certificate)
    private, label, key_der = _key(key)
    _check_belongs(leaf, certificate, private, key)
    facts = _facts_of(leaf)
    pair = kept.key_of(Path(__file__).read_bytes(), leaf_der, label.encode(), key_der)
    kept.write(f"pair-{pair[:_SLOT_DIGITS]}.json", pair, facts)
    return label, key_der, facts


def _check_belongs(leaf: Any, certificate: Path, private: Any, key: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    def spki(public: Any) -> bytes:
        return bytes(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    if spki(leaf.public_key()) != spki(private.public_key()):
        raise wrong(
            "key-mismatch",
            f"{shown(key)}: this key does not belong to the certificate {shown(certificate)}",
            "Take both files from the same download or request.",
        )


def load_key(path: Path) -> Any:
    """The private key in `path` as cryptography's object. Raises InputError."""
    return _key(path)[0]


def _read(path: Path, what: str) -> list[tuple[str, bytes]]:
    try:
        return pem.blocks(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise wrong("file-missing", f"{shown(path)}: there is no such file, expected {what}", "Check the path in 'identity'.") from None
    except OSError as error:
        raise wrong(
            "file-unreadable", f"{shown(path)}: cannot be read: {error.strerror}, expected {what}", "Check its permissions."
        ) from None
    except ValueError as error:
        raise wrong("bad-pem", f"{shown(path)}: {error}, expected {what} as PEM", "Open the file in an editor, or get it again.") from None


def _certificate_block(path: Path) -> bytes:
    blocks = [der for label, der in _read(path, "the device's certificate") if label == "CERTIFICATE"]
    if len(blocks) != 1:
        raise wrong(
            "bad-certificate",
            f"{shown(path)}: holds {len(blocks)} certificates, expected exactly one, the device's own",
            "Remove intermediate and root certificates; a device sends only its own." if blocks else "Is this the key file?",
        )
    return blocks[0]


def _certificate(leaf_der: bytes, path: Path) -> Any:
    from cryptography import x509

    try:
        leaf = x509.load_der_x509_certificate(leaf_der)
        leaf.public_key()
        usable = leaf.not_valid_before_utc < leaf.not_valid_after_utc
    except Exception as error:
        # The parser raises what its layers raise (ValueError, UnsupportedAlgorithm, TypeError…): all mean a damaged certificate.
        raise wrong("bad-certificate", f"{shown(path)}: the certificate is damaged: {type(error).__name__}", "Get it again.") from error
    if not usable:
        raise wrong("bad-certificate", f"{shown(path)}: the certificate ends before it begins", "Get it again.")
    return leaf


def _key_block(path: Path) -> tuple[str, bytes]:
    blocks = [(label, der) for label, der in _read(path, "the device's private key") if label.endswith("PRIVATE KEY")]
    if len(blocks) != 1:
        raise wrong("bad-key", f"{shown(path)}: holds {len(blocks)} private keys, expected exactly one", "Is this the certificate file?")
    label, der = blocks[0]
    if label.startswith("ENCRYPTED") or not der:
        raise wrong(
            "key-encrypted",
            f"{shown(path)}: the key is encrypted, and a device has nobody to type a password",
            "Decrypt it: openssl pkey -in … -out …",
        )
    return label, der


def _key(path: Path) -> tuple[Any, str, bytes]:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    label, der = _key_block(path)
    try:
        private = load_pem_private_key(pem.encode(label, der), None)
    except Exception as error:
        # As above; the error's text is not repeated, it is about a key.
        raise wrong("bad-key", f"{shown(path)}: the private key is damaged or of a kind that is not known", "Get it again.") from error
    if isinstance(private, ec.EllipticCurvePrivateKey):
        good = private.curve.name in ("secp256r1", "secp384r1")
    else:
        good = isinstance(private, rsa.RSAPrivateKey) and 2048 <= private.key_size <= 4096
    if not good:
        raise wrong("bad-key", f"{shown(path)}: the key's type does not suit a device, expected {ACCEPTED_KEYS}", "Make a P-256 key.")
    return private, label, der


def _check_dates(not_before: datetime, not_after: datetime, path: Path, now: datetime) -> None:
    if not_after <= now:
        raise wrong(
            "certificate-expired",
            f"{shown(path)}: the device certificate expired on {not_after:%Y-%m-%d}",
            "A board that holds it keeps it; a new one has to be registered with the cloud before a device gets it.",
        )
    if not_before > now:
        raise wrong(
            "certificate-not-yet-valid",
            f"{shown(path)}: the device certificate is valid from {not_before:%Y-%m-%d %H:%M} UTC, which is in the future",
            "Check this computer's clock.",
        )
