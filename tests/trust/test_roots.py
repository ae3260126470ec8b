"""Roots: those that are shipped, and everything that loading must refuse in one sentence."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from provisioning import result_cache
from provisioning.errors import InputError
from provisioning.resources import folder
from provisioning.trust import roots as roots_module
from provisioning.trust.providers.aws import ATS_ROOTS, LEGACY_ROOTS
from provisioning.trust.roots import load_pinned, load_roots
from tests.support import pki

KEYS = {
    "AmazonRootCA1": "RSA 2048",
    "AmazonRootCA2": "RSA 4096",
    "AmazonRootCA3": "EC P-256",
    "AmazonRootCA4": "EC P-384",
    "SFSRootCAG2": "RSA 2048",
    "DigiCertGlobalRootG2": "RSA 2048",
    "MicrosoftRSARootCA2017": "RSA 4096",
    "VeriSign-Class3-Public-Primary-G5": "RSA 2048",
}
NAMES = list(KEYS)


@pytest.fixture(autouse=True)
def nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test looks at every root itself, whatever this user's cache holds."""
    monkeypatch.setattr(result_cache, "folder", lambda: tmp_path / "cache")
    roots_module._passed.cache_clear()
    yield
    roots_module._passed.cache_clear()


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder("certs"), tmp_path / "certs"))


def refused(load: Callable[[], object], *parts: str) -> InputError:
    """Loading ends in one sentence that names the parts, with a next step."""
    with pytest.raises(InputError) as caught:
        load()
    error = caught.value
    assert error.hint and "\n" not in error.message and "Traceback" not in error.message
    for part in parts:
        assert part in error.message
    return error


def edit_manifest(certs: Path, name: str, **change: object) -> None:
    file = certs / "manifest.json"
    content = json.loads(file.read_text())
    content["roots"][name].update(change)
    file.write_text(json.dumps(content))


def test_the_roots_load_and_say_what_they_are() -> None:
    roots = load_roots()
    assert {name: root.key for name, root in roots.items()} == KEYS and list(roots) == NAMES
    for root in roots.values():
        assert hashlib.sha256(root.der).hexdigest() == root.sha256
        assert root.not_before < datetime.now(timezone.utc) < root.not_after
        assert (
            (root.policy or root.name not in (*ATS_ROOTS, *LEGACY_ROOTS))
            and root.source
            and root.status in ("current", "reserve", "cross-signed", "distrusted")
        )
        if root.name == "SFSRootCAG2":
            continue  # serial number 0, which the second reader announces to refuse; ours exists because of it
        # A second reader agrees about the rest.
        other = x509.load_pem_x509_certificate(root.pem)
        assert other.subject.rfc4514_string() == root.subject
        assert (other.not_valid_before_utc, other.not_valid_after_utc) == (root.not_before, root.not_after)
        assert other.public_bytes(serialization.Encoding.PEM) == root.pem


def test_openssl_prints_the_same_fingerprints() -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    for root in load_roots().values():
        argv = ["openssl", "x509", "-in", str(root.file), "-noout", "-fingerprint", "-sha256"]
        printed = subprocess.check_output(argv, text=True)
        assert printed.strip().partition("=")[2].replace(":", "").lower() == root.sha256


def test_another_certificate_in_place_of_a_root_is_refused(certs: Path) -> None:
    shutil.copy(certs / "AmazonRootCA2.pem", certs / "AmazonRootCA1.pem")
    assert refused(lambda: load_roots(certs), "AmazonRootCA1.pem", "fingerprint").code == "fingerprint-mismatch"


def test_a_root_that_has_passed_is_looked_at_once_and_its_bytes_each_time(certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_roots(certs)
    asked: list[str] = []
    monkeypatch.setattr(roots_module, "_examined", lambda cert, _: asked.append(cert.subject))
    roots_module._passed.cache_clear()  # as another process: what has passed is read from the cache
    assert load_roots(certs) == first
    assert asked == []
    file = certs / "AmazonRootCA1.pem"
    file.write_bytes(file.read_bytes().replace(b"MIIDQTCC", b"MIIDQTCD"))
    with pytest.raises(InputError):
        load_roots(certs)


@pytest.mark.parametrize(
    ("what", "value"),
    [("subject", "CN=Amazon Root CA 9,O=Amazon,C=US"), ("key", "RSA 4096"), ("not_before", "2015-05-27"), ("not_after", "2039-01-17")],
)
def test_a_manifest_that_claims_something_else_is_refused(certs: Path, what: str, value: str) -> None:
    edit_manifest(certs, "AmazonRootCA1", **{what: value})
    refused(lambda: load_roots(certs), "AmazonRootCA1.pem", what, value)


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_in_the_self_signature_is_refused_even_with_a_matching_pin(tmp_path: Path, name: str) -> None:
    der = bytearray(load_roots()[name].der)
    der[-1] ^= 1
    file = tmp_path / "flipped.der"
    file.write_bytes(der)
    refused(lambda: load_pinned("X", file, hashlib.sha256(der).hexdigest()), "flipped.der", "self-signature")


def test_a_missing_file_and_a_broken_manifest_are_refused(certs: Path) -> None:
    edit_manifest(certs, "AmazonRootCA3", policy=[{"date": "soon", "what": "x"}])
    refused(lambda: load_roots(certs), "manifest.json", "AmazonRootCA3")
    (certs / "manifest.json").write_text("{")
    refused(lambda: load_roots(certs), "manifest.json")
    (certs / "manifest.json").unlink()
    refused(lambda: load_roots(certs), "manifest.json")
    shutil.copy(folder("certs") / "manifest.json", certs)
    (certs / "AmazonRootCA4.pem").unlink()
    refused(lambda: load_roots(certs), "AmazonRootCA4.pem")


GARBAGE = {
    "empty": b"",
    "text": b"this is not a certificate\n",
    "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "key": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "cut": b"-----BEGIN CERTIFICATE-----\nMIIDQTCCAimgAwIBAgITBmyfz5m\n",
    "not-base64": b"-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n",
    "not-der": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "short-der": b"\x30\x82\x03\x41",
    "nulls": b"\x00" * 512,
    "wrong-end": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END X509 CRL-----\n",
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_one_sentence(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"{kind}.pem"
    file.write_bytes(GARBAGE[kind])
    refused(lambda: load_pinned("Lab", file, "00" * 32), file.name)


def make(
    *, ca: bool | None = True, issuer: str = "Lab", subject: str = "Lab", days: int = 3650, ed: bool = False, cert_sign: bool = True
) -> bytes:
    """A certificate as a lab would make one, with one thing wrong."""
    made = pki.make(
        pki.name(subject),
        own=ed25519.Ed25519PrivateKey.generate() if ed else None,
        issuer=pki.name(issuer),
        ca=bool(ca),
        constraints=ca is not None,
        end=pki.START + timedelta(days=days),
        key_usage={"digital_signature": True, "key_cert_sign": cert_sign},
    )
    return made.der


@pytest.mark.parametrize(
    ("der", "reason"),
    [
        (make(ca=False), "CA flag"),
        (make(ca=None), "CA flag"),
        (make(cert_sign=False), "CA flag"),
        (make(issuer="Somebody else"), "issued by CN=Somebody else"),
        (make(days=0), "before it begins"),
        (make(ed=True), "Ed25519"),
    ],
    ids=["leaf", "no-constraints", "key-usage", "intermediate", "no-validity", "ed25519"],
)
def test_what_is_not_a_root_is_refused_as_a_pin(tmp_path: Path, der: bytes, reason: str) -> None:
    file = tmp_path / "lab.der"
    file.write_bytes(der)
    refused(lambda: load_pinned("Lab", file, hashlib.sha256(der).hexdigest()), "lab.der", reason)


def test_a_lab_root_is_accepted_by_its_pin_in_every_spelling(tmp_path: Path) -> None:
    der = make()
    file = tmp_path / "lab.der"
    file.write_bytes(der)
    digest = hashlib.sha256(der).hexdigest()
    colons = ":".join(digest[i : i + 2] for i in range(0, 64, 2)).upper()
    root = load_pinned("Lab", file, colons)
    assert (root.name, root.sha256, root.status, root.key, root.der) == ("Lab", digest, "pinned", "EC P-256", der)
    # As PEM with text around it and the line ends of another system.
    file.write_bytes(b"Lab root, 2024\r\n" + root.pem.replace(b"\n", b"\r\n"))
    assert load_pinned("Lab", file, digest).pem == root.pem


def test_a_pin_that_does_not_match_or_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "lab.der"
    file.write_bytes(make())
    assert refused(lambda: load_pinned("Lab", file, "00" * 32), "lab.der").code == "fingerprint-mismatch"
    for pin in ("", "abc", "0x" + "00" * 31, "zz" * 32):
        assert refused(lambda pin=pin: load_pinned("Lab", file, pin), "Lab").code == "bad-fingerprint"  # type: ignore[misc]
    refused(lambda: load_pinned("Lab", tmp_path / "none.pem", "00" * 32), "none.pem")


def test_a_file_with_two_roots_is_refused(tmp_path: Path) -> None:
    roots = load_roots()
    file = tmp_path / "two.pem"
    file.write_bytes(roots["AmazonRootCA1"].pem + roots["AmazonRootCA3"].pem)
    refused(lambda: load_pinned("Two", file, roots["AmazonRootCA1"].sha256), "two.pem", "2 certificates")
