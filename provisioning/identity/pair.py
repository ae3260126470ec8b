"""A device's certificate and key, read from files and checked against each other before anything is written to a board."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from provisioning import result_cache
from provisioning.config.document import shown, wrong_file
from provisioning.errors import InputError
from provisioning.identity import reading
from provisioning.pem.read import encode

# Key types that mbedTLS on the ESP32 and AWS IoT both take: name -> what makes one.
ACCEPTED_KEYS = "EC P-256, EC P-384, or RSA of 2048 to 4096 bits"


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # fromtimestamp ends in 3000 on Windows; certificates end in 9999
_LONGEST_CHAIN = 4096  # bytes of PEM: what a board is asked for in one go (link/question.py)
_SLOT_DIGITS = 3  # hex digits of the hash in a kept file's name: a bound for the folder, however many devices pass by


@dataclass(frozen=True)
class Pair:
    """One device's identity. PEM texts are canonical: one block, 64 columns, newline ends, nothing around it; `certificate_pem` has behind
    the device's own certificate those of CAs that its file has, each the issuer of the one before: the chain that the device sends.

    `key_pem` is None where the key stays on the board that holds it; `key_sha256` is the SHA-256 of the PEM text either way.
    """

    certificate_pem: bytes
    key_pem: bytes | None = field(repr=False)
    not_before: datetime  # UTC
    not_after: datetime  # UTC
    serial: int
    sha256: str  # fingerprint of the certificate, lower-case hex
    key_sha256: str
    name: str = ""  # the subject's common name


def load_pair(certificate: Path, key: Path, now: datetime | None = None) -> Pair:
    """Read and check both files. Raises InputError: missing, damaged, several, expired, not yet valid, key of another certificate.

    `now` (UTC) is what validity is judged by; the host's clock by default.
    """
    ders = _chain(certificate)
    label, key_der, facts = _facts(ders[0], certificate, key)
    not_before, not_after = (EPOCH + timedelta(seconds=facts[name]) for name in ("not_before", "not_after"))
    check_dates(not_before, not_after, certificate, now or datetime.now(timezone.utc))
    if len(ders) > 1 and label == "PRIVATE KEY":
        label, key_der = _traditional(key)
    key_pem = encode(label, key_der)
    return Pair(
        certificate_pem=_canonical(ders),
        key_pem=key_pem,
        not_before=not_before,
        not_after=not_after,
        serial=facts["serial"],
        sha256=hashlib.sha256(ders[0]).hexdigest(),
        key_sha256=hashlib.sha256(key_pem).hexdigest(),
        name=facts["name"],
    )


def load_certificate(certificate: Path) -> bytes:
    """The device's certificate without its key, as canonical PEM with its chain, whatever its dates say. Raises InputError."""
    return _canonical(_chain(certificate))


def leaf_of(certificate: Path) -> bytes:
    """The DER of the device's own certificate. Raises InputError."""
    return _chain(certificate)[0]


def _canonical(ders: list[bytes]) -> bytes:
    return b"".join(encode("CERTIFICATE", each) for each in ders)


def facts_of_certificate(leaf_der: bytes, where: Path) -> dict[str, Any]:
    """not_before, not_after (Unix seconds), serial and name (the subject's common name); remembered by its hash, as pairs are.

    Raises InputError.
    """
    key = result_cache.key_of(Path(__file__).read_bytes(), b"certificate", leaf_der)
    slot = f"certificate-{key[:_SLOT_DIGITS]}.json"
    found: dict[str, Any] | None = result_cache.read(slot, key)
    if found is None:
        found = _facts_of(_certificate(leaf_der, where))
        result_cache.write(slot, key, found)
    return found


def _facts_of(leaf: Any) -> dict[str, Any]:
    dates = {"not_before": leaf.not_valid_before_utc, "not_after": leaf.not_valid_after_utc}
    return {**{name: int(date.timestamp()) for name, date in dates.items()}, "serial": leaf.serial_number, "name": _common_name(leaf)}


def _common_name(leaf: Any) -> str:
    from cryptography.x509.oid import NameOID

    try:
        return next((str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)), "")
    except ValueError:  # a name that is not text says nothing
        return ""


def _facts(leaf_der: bytes, certificate: Path, key: Path) -> tuple[str, bytes, dict[str, Any]]:
    """The key's block, and of the certificate the facts of `facts_of_certificate`, both checked against each other.

    A pair that has passed is remembered by the hash of all its bytes: what was found of them then holds for good, and looking again would
    cost each command the loading of `cryptography`. Validity is judged by the caller, each time.
    """
    with contextlib.suppress(InputError):  # said below, after what may be wrong with the certificate
        label, key_der = _key_block(key)
        pair = result_cache.key_of(Path(__file__).read_bytes(), leaf_der, label.encode(), key_der)
        found = result_cache.read(f"pair-{pair[:_SLOT_DIGITS]}.json", pair)
        if found is not None:
            return label, key_der, found
    leaf = _certificate(leaf_der, certificate)
    private, label, key_der = _key(key)
    _check_belongs(leaf, certificate, private, key)
    facts = _facts_of(leaf)
    pair = result_cache.key_of(Path(__file__).read_bytes(), leaf_der, label.encode(), key_der)
    result_cache.write(f"pair-{pair[:_SLOT_DIGITS]}.json", pair, facts)
    return label, key_der, facts


def _check_belongs(leaf: Any, certificate: Path, private: Any, key: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    def spki(public: Any) -> bytes:
        return bytes(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    if spki(leaf.public_key()) != spki(private.public_key()):
        raise wrong_file(
            key,
            "key-mismatch",
            f"this key does not belong to the certificate {shown(certificate)}",
            "Take both files from the same download or request.",
        )


def load_key(path: Path) -> Any:
    """The private key in `path` as cryptography's object. Raises InputError."""
    return _key(path)[0]


def _chain(path: Path) -> list[bytes]:
    """The device's certificate, then those of its CAs, each of which issued the one before."""
    ders = reading.certificates(path)
    if len(ders) > 1 and len(_canonical(ders)) > _LONGEST_CHAIN:
        raise wrong_file(
            path,
            "bad-certificate",
            f"its chain has {len(_canonical(ders))} bytes as PEM, and a device takes {_LONGEST_CHAIN}",
            "Leave out what the cloud knows: just-in-time provisioning needs the device's CA alone.",
        )
    if not _is_chain(ders):
        raise wrong_file(
            path,
            "bad-certificate",
            f"holds {len(ders)} certificates, expected the device's own, behind it at most those of the CAs that issued it, in order",
            "Leave the device's own alone in the file, unless the cloud has to see its CA (just-in-time provisioning).",
        )
    return ders


def _is_chain(ders: list[bytes]) -> bool:
    """Whether each certificate was issued by the next, signatures included; a root that issued itself may end it."""
    if len(ders) == 1:
        return True
    from provisioning.pem.tlv import DerError
    from provisioning.trust import der, signature

    try:
        certs = [der.certificate(each) for each in ders]
        return all(
            below.issuer_raw == above.subject_raw and above.may_sign and below.der != above.der and signature.signed_by(below, above)
            for below, above in itertools.pairwise(certs)
        )
    except DerError:
        return False


def _certificate(leaf_der: bytes, path: Path) -> Any:
    from cryptography import x509

    try:
        leaf = x509.load_der_x509_certificate(leaf_der)
        leaf.public_key()
        usable = leaf.not_valid_before_utc < leaf.not_valid_after_utc
    except Exception as error:
        # The parser raises what its layers raise (ValueError, UnsupportedAlgorithm, TypeError…): all mean a damaged certificate.
        raise wrong_file(path, "bad-certificate", f"the certificate is damaged: {type(error).__name__}", "Get it again.") from error
    if not usable:
        raise wrong_file(path, "bad-certificate", "the certificate ends before it begins", "Get it again.")
    return leaf


def _key_block(path: Path) -> tuple[str, bytes]:
    found = reading.private_key(path)
    return found.label, found.der


def _key(path: Path) -> tuple[Any, str, bytes]:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    label, der = _key_block(path)
    try:
        private = load_pem_private_key(encode(label, der), None)
    except Exception as error:
        # As above; the error's text is not repeated, it is about a key.
        raise wrong_file(path, "bad-key", "the private key is damaged or of a kind that is not known", "Get it again.") from error
    if isinstance(private, ec.EllipticCurvePrivateKey):
        good = private.curve.name in ("secp256r1", "secp384r1")
    else:
        good = isinstance(private, rsa.RSAPrivateKey) and 2048 <= private.key_size <= 4096
    if not good:
        raise wrong_file(path, "bad-key", f"the key's type does not suit a device, expected {ACCEPTED_KEYS}", "Make a P-256 key.")
    return private, label, der


def _traditional(path: Path) -> tuple[str, bytes]:
    """The key in SEC 1's or PKCS #1's form: mbedTLS is given it once more with each certificate of a chain, and takes no other then."""
    from provisioning.identity.keys import to_pem
    from provisioning.pem import read

    block = read.key(to_pem(_key(path)[0]))
    return block.label, block.der


def check_dates(not_before: datetime, not_after: datetime, path: Path, now: datetime) -> None:
    """Raises InputError for a certificate that is not valid at `now` (UTC)."""
    if not_after <= now:
        raise wrong_file(
            path,
            "certificate-expired",
            f"the device certificate expired on {not_after:%Y-%m-%d}",
            "A board that holds it keeps it; a new one has to be registered with the cloud before a device gets it.",
        )
    if not_before > now:
        raise wrong_file(
            path,
            "certificate-not-yet-valid",
            f"the device certificate is valid from {not_before:%Y-%m-%d %H:%M} UTC, which is in the future",
            "Check this computer's clock.",
        )
