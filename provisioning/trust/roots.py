"""Roots: the certificates in certs/ with their manifest, and roots that a product pins itself.

Loading believes nothing: fingerprint, self-signature, CA flag and dates are checked; a mismatch is an InputError that names the file and
says what to do. The fingerprint is computed and compared each time. It pins every byte, so what was found of those bytes once (signature,
flag, dates, kind of key) holds for good and is remembered by it; looking again would cost each command the loading of `cryptography`.
A root past its end is still a root: dates that lie ahead or behind are policy.py's subject.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from provisioning import result_cache
from provisioning.errors import InputError, StationError
from provisioning.parsed import from_json
from provisioning.pem import tlv
from provisioning.pem.read import Unreadable, certificates, encode
from provisioning.pem.tlv import DerError
from provisioning.resources import folder
from provisioning.trust import der, signature

MANIFEST = "manifest.json"

# What a device's mbedTLS can verify; a root with another key would be dead weight on it.
DEVICE_KEYS = ("RSA ", "EC P-")

# How well a root stands with those who decide what is trusted, worst first. A device that meets silence moves upwards only.
STANDINGS = ("distrusted", "cross-signed", "current")

_STANDING_OF = {"reserve": "current", "pinned": "current"}

_KEPT = "roots.json"
_MOST_KEPT = 64  # roots; certs/ has fewer than ten, the rest are those that products pin


@dataclass(frozen=True)
class PolicyDate:
    """A day on which somebody changes what they accept, and what. Devices do not enforce it; a fleet owner plans by it."""

    date: date
    what: str


@dataclass(frozen=True)
class Root:
    """A trust anchor: a self-signed CA certificate whose fingerprint is known."""

    name: str
    subject: str  # RFC 4514
    sha256: str  # lower-case hex, over the DER
    key: str  # "RSA 2048", "EC P-256"
    not_before: datetime  # UTC
    not_after: datetime  # UTC
    policy: tuple[PolicyDate, ...]
    status: str  # "current", "reserve", "cross-signed", "distrusted"; "pinned" for a product's own
    standing: str  # of STANDINGS
    source: str
    file: Path
    der: bytes = field(repr=False)
    spki: bytes = field(repr=False)  # SubjectPublicKeyInfo, DER: what a cross-certificate of this root shares with it

    @property
    def pem(self) -> bytes:
        """PEM as every checkout writes it, whatever line ends the file has."""
        return encode("CERTIFICATE", self.der)


def load_roots(directory: Path | None = None) -> dict[str, Root]:
    """All roots of the manifest in `directory` (certs/ of this installation by default), by name, in the manifest's order.

    Raises InputError when a file is missing, unreadable, or is not the certificate that the manifest describes.
    """
    directory = directory or _certs()
    manifest = directory / MANIFEST
    entries = _read_manifest(manifest)
    return {name: _load_listed(name, entry, directory, manifest) for name, entry in entries.items()}


class WrongPin(InputError):
    """The pin of a root is none, or not that of its file."""


def load_pinned(name: str, file: Path, sha256: str, standing: str = "current") -> Root:
    """The root in `file` (PEM or DER), which must have the given fingerprint (hex; colons, spaces and case do not matter).
    `standing`: what the product says of it, one of STANDINGS.

    Raises InputError.
    """
    wanted = sha256.replace(":", "").replace(" ", "").lower()
    if len(wanted) != 64 or not set(wanted) <= set("0123456789abcdef"):
        raise WrongPin(
            "bad-fingerprint",
            f"The pin of root {name} is not a SHA-256 fingerprint: {len(wanted)} characters instead of 64 hexadecimal digits.",
            f"Print it with: openssl x509 -in {file} -noout -fingerprint -sha256",
        )
    cert = _read(file)
    _check_fingerprint(cert, wanted, file, "the pin in the product", "compare the file with its issuer's page, then correct the pin")
    key = _check_root(cert, file)
    return _root(name, cert, file, key, policy=(), status="pinned", source=str(file), standing=standing)


def _certs() -> Path:
    try:
        return folder("certs")
    except FileNotFoundError as e:
        raise StationError("incomplete-installation", f"{e}.", "Install twinroot again.") from e


def _read_manifest(manifest: Path) -> Mapping[str, Mapping[str, Any]]:
    try:
        entries = from_json(manifest.read_text("utf-8"))["roots"]
        if not (isinstance(entries, dict) and all(isinstance(e, dict) for e in entries.values())):
            raise TypeError("roots is not a table")
    except OSError as e:
        raise InputError("no-manifest", f"{manifest} cannot be read: {e.strerror}.", "Restore it from the release of twinroot.") from e
    except (ValueError, KeyError, TypeError) as e:
        raise InputError("bad-manifest", f"{manifest} is not a manifest of roots: {e}.", "Restore it from the release of twinroot.") from e
    return entries


def _load_listed(name: str, entry: Mapping[str, Any], directory: Path, manifest: Path) -> Root:
    try:
        file = directory / entry["file"]
        claims = {k: entry[k] for k in ("sha256", "subject", "key", "not_before", "not_after")}
        policy = tuple(PolicyDate(date.fromisoformat(p["date"]), p["what"]) for p in entry["policy"])
        status, source = str(entry["status"]), str(entry["source"])
        if status not in (*STANDINGS, "reserve"):
            raise ValueError(f"status {status!r} is unknown")
    except (KeyError, TypeError, ValueError) as e:
        raise InputError(
            "bad-manifest",
            f"{manifest}: the entry of {name} is incomplete or malformed: {e}.",
            "Restore it from the release of twinroot.",
        ) from e
    cert = _read(file)
    _check_fingerprint(cert, claims["sha256"], file, MANIFEST, "restore both from the release of twinroot")
    key = _check_root(cert, file)
    root = _root(name, cert, file, key, policy, status, source)
    found = {
        "subject": root.subject,
        "key": root.key,
        "not_before": root.not_before.date().isoformat(),
        "not_after": root.not_after.date().isoformat(),
    }
    for what, value in found.items():
        if claims[what] != value:
            raise InputError(
                "manifest-mismatch",
                f"{file}: {what} is {value!r}, and {MANIFEST} says {claims[what]!r}.",
                f"Correct {manifest}, or restore it from the release of twinroot.",
            )
    return root


def _read(file: Path) -> der.Certificate:
    """The one certificate of a root's file."""
    try:
        data = file.read_bytes()
    except OSError as e:
        raise InputError("no-root-file", f"{file} cannot be read: {e.strerror}.", "Put the root's PEM there, or correct the path.") from e
    try:
        blocks = certificates(data)
        if len(blocks) != 1:
            raise DerError(f"it holds {len(blocks)} certificates, and a root's file holds exactly one")
        return der.certificate(blocks[0])
    except DerError as e:
        hint = e.hint(str(file)) if isinstance(e, Unreadable) and e.kind else ""
        raise InputError(
            "bad-certificate",
            f"{file} is not a root certificate: {e}.",
            hint or "Fetch the root again from its issuer's page; `twinroot trust check` says what a file holds.",
        ) from e


def _check_fingerprint(cert: der.Certificate, wanted: str, file: Path, where: str, repair: str) -> None:
    found = hashlib.sha256(cert.der).hexdigest()
    if found != wanted:
        raise WrongPin(
            "fingerprint-mismatch",
            f"{file} has the SHA-256 fingerprint {found}, and {where} says {wanted}.",
            f"Do not use this file: {repair}.",
        )


def _check_root(cert: der.Certificate, file: Path) -> str:
    """Is it a root that a device can use? Returns the key's text."""
    passed = _passed()
    fingerprint = hashlib.sha256(cert.der).hexdigest()
    if fingerprint not in passed:
        key = _examined(cert, file)
        if len(passed) >= _MOST_KEPT:
            passed.clear()
        passed[fingerprint] = key
        result_cache.write(_KEPT, _examiners(), passed)
    return passed[fingerprint]


def _examined(cert: der.Certificate, file: Path) -> str:
    try:
        key = signature.key_text(cert)
        reason = _why_no_root(cert, key)
    except DerError as e:
        reason, key = str(e), ""
    if reason:
        raise InputError(
            "not-a-root", f"{file} ({cert.subject}) cannot be a root: {reason}.", "Use the self-signed CA certificate that ends the chain."
        )
    return key


@lru_cache(maxsize=1)
def _passed() -> dict[str, str]:
    """Roots that have passed before: fingerprint of the bytes at hand -> the key's text."""
    return result_cache.read(_KEPT, _examiners()) or {}


@lru_cache(maxsize=1)
def _examiners() -> str:
    """What decides about a root besides its bytes: the source of the checks."""
    return result_cache.key_of(
        *(Path(source).read_bytes() for source in (__file__, str(tlv.__file__), str(der.__file__), str(signature.__file__)))
    )


def _why_no_root(cert: der.Certificate, key: str) -> str:
    if not cert.self_issued:
        return f"it was issued by {cert.issuer}, not by itself"
    if not cert.may_sign:
        return "its CA flag is not set, so it may not sign certificates"
    if cert.not_before >= cert.not_after:
        return f"its validity ends ({cert.not_after:%Y-%m-%d}) before it begins ({cert.not_before:%Y-%m-%d})"
    if not key.startswith(DEVICE_KEYS):
        return f"a device cannot verify its key ({key})"
    if not signature.signed_by(cert, cert):
        return "its self-signature is wrong"
    return ""


def _root(
    name: str,
    cert: der.Certificate,
    file: Path,
    key: str,
    policy: tuple[PolicyDate, ...],
    status: str,
    source: str,
    standing: str | None = None,
) -> Root:
    return Root(
        name=name,
        subject=cert.subject,
        sha256=hashlib.sha256(cert.der).hexdigest(),
        key=key,
        not_before=cert.not_before,
        not_after=cert.not_after,
        policy=policy,
        status=status,
        standing=standing or _STANDING_OF.get(status, status),
        source=source,
        file=file,
        der=cert.der,
        spki=cert.spki,
    )
