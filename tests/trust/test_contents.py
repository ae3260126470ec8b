"""`trust check`: what files hold, and 500 mangled ones that must each end in a sentence."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from provisioning.cli.main import run
from provisioning.pem.read import encode
from provisioning.pem.text import LIMIT
from provisioning.trust.contents import Contents, examine, examine_bytes
from provisioning.trust.roots import Root, load_roots
from tests.support import pki

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
SEED = 20260601


@pytest.fixture(scope="module")
def roots() -> dict[str, Root]:
    return load_roots()


def look(data: bytes, roots: dict[str, Root], now: datetime = NOW) -> Contents:
    return examine_bytes(data, "some.pem", roots, now)


def as_pkcs7(roots: dict[str, Root], encoding: serialization.Encoding) -> bytes:
    names = [n for n in roots if n != "SFSRootCAG2"]
    return pkcs7.serialize_certificates([x509.load_der_x509_certificate(roots[n].der) for n in names], encoding)


def test_every_root_is_known_by_its_fingerprint(roots: dict[str, Root]) -> None:
    for root in roots.values():
        for found in (look(root.pem, roots), look(root.der, roots), examine(root.file, roots, NOW)):
            assert found.is_good and found.error is None
            assert [(c.known, c.known_by, c.key) for c in found.certificates] == [(root.name, "fingerprint", root.key)]


def test_a_bundle_names_each(roots: dict[str, Root]) -> None:
    found = look(b"# roots\r\n" + b"".join(r.pem for r in roots.values()).replace(b"\n", b"\r\n"), roots)
    assert found.form == "PEM" and [c.known for c in found.certificates] == list(roots)


@pytest.mark.parametrize("encoding", [serialization.Encoding.PEM, serialization.Encoding.DER])
def test_pkcs7_in_both_forms(roots: dict[str, Root], encoding: serialization.Encoding) -> None:
    found = look(as_pkcs7(roots, encoding), roots)
    assert found.form == "PKCS#7" and {c.known for c in found.certificates} == set(roots) - {"SFSRootCAG2"}


def test_pkcs7_as_openssl_writes_it(roots: dict[str, Root], tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    for form in ("PEM", "DER"):
        file = tmp_path / f"roots.{form}"
        argv = ["openssl", "crl2pkcs7", "-nocrl", "-outform", form, "-out", str(file)]
        for root in roots.values():
            argv += ["-certfile", str(root.file)]
        subprocess.run(argv, check=True)
        assert {c.known for c in examine(file, roots, NOW).certificates} == set(roots)


VALID = {"start": NOW - timedelta(days=10), "end": NOW + timedelta(days=900)}


def test_a_cross_certificate_is_known_by_its_key_and_an_impostor_is_called_one(roots: dict[str, Root]) -> None:
    amazon = x509.load_der_x509_certificate(roots["AmazonRootCA3"].der)
    cross = pki.make(amazon.subject, pki.root("Another CA"), public=amazon.public_key(), ca=True, **VALID)
    [held] = look(cross.pem, roots).certificates
    assert (held.known, held.known_by, held.problems) == ("AmazonRootCA3", "key", ())
    [held] = look(pki.make(amazon.subject, ca=True, **VALID).der, roots).certificates
    assert held.known is None and any("AmazonRootCA3 and another key" in p for p in held.problems)


def test_what_is_wrong_is_said(roots: dict[str, Root]) -> None:
    ca = pki.make(pki.name("Lab"), ca=True, **VALID)
    leaf = pki.make(pki.name("dev"), ca, hosts=("a.example",), **VALID)
    root_der, leaf_der = ca.der, leaf.der
    chain = encode("CERTIFICATE", leaf_der) + encode("CERTIFICATE", root_der)
    assert look(chain, roots).is_good
    assert "more than once" in look(chain + chain, roots).problems[0]
    assert "broken" in look(encode("CERTIFICATE", leaf_der) + roots["AmazonRootCA1"].pem, roots).problems[0]
    both = look(chain + leaf.key_as(serialization.PrivateFormat.PKCS8), roots)
    assert both.others == ("PRIVATE KEY",) and "private key" in both.problems[0]
    assert "expired" in look(leaf_der, roots, NOW + timedelta(days=2000)).certificates[0].problems[0]
    assert "not valid before" in look(leaf_der, roots, NOW - timedelta(days=2000)).certificates[0].problems[0]
    assert "expires in" in look(leaf_der, roots, NOW + timedelta(days=880)).certificates[0].problems[0]
    flipped = bytearray(root_der)
    flipped[-1] ^= 1
    assert "self-signature" in look(bytes(flipped), roots).certificates[0].problems[0]
    assert look(pki.make(pki.name("x"), hosts=("a.example",), **VALID).der, roots).certificates[0].problems


def test_utf16_is_read_and_size_has_its_own_sentence(roots: dict[str, Root]) -> None:
    text = roots["AmazonRootCA1"].pem.decode()
    assert look(text.encode("utf-16"), roots).is_good
    assert "large" in str(look(b"\x30" * (LIMIT + 1), roots).error)


def mangled(roots: dict[str, Root]) -> list[bytes]:
    """500 files: whole ones of every form, each damaged in one of eight ways."""
    rng = random.Random(SEED)
    whole = [r.pem for r in roots.values()] + [r.der for r in roots.values()]
    whole += [
        b"".join(r.pem for r in roots.values()),
        as_pkcs7(roots, serialization.Encoding.PEM),
        as_pkcs7(roots, serialization.Encoding.DER),
    ]

    def damage(data: bytes) -> bytes:
        data, kind = bytes(data), rng.randrange(8)
        at, n = rng.randrange(len(data)), rng.randrange(1, 64)
        if kind == 0:
            return data[:at]
        if kind == 1:
            return data[at:]
        if kind == 2:
            return data[:at] + rng.randbytes(n) + data[at:]
        if kind == 3:
            return data[:at] + data[at + n :]
        if kind == 4:
            changed = bytearray(data)
            for _ in range(n):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            return bytes(changed)
        if kind == 5:
            return data[:at] + data[:at] + data[at:]
        if kind == 6:
            return data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]
        return data[: at % 40] + b"\x30\x84\xff\xff\xff\xf0" + data[at % 40 :]

    return [damage(rng.choice(whole)) for _ in range(500)]


def test_500_mangled_files_are_a_sentence_each_and_take_less_than_50_ms(roots: dict[str, Root]) -> None:
    look(roots["AmazonRootCA1"].pem, roots)  # imports are paid once
    refused, slowest = 0, 0.0
    for data in mangled(roots):
        start = time.process_time()  # other programs' work is not ours
        found = look(data, roots)
        spent = time.process_time() - start
        slowest = max(slowest, spent)
        if found.error:
            refused += 1
            assert found.error.startswith("some.pem cannot be ") and found.error.endswith(".")
            assert "\n" not in found.error and len(found.error) < 300
        else:
            assert found.certificates
    assert refused > 250, "the mangling hardly mangles"
    assert slowest < 0.05


@pytest.mark.parametrize(
    "data",
    [
        b"-----BEGIN " * 90_000,
        b"-----BEGIN X-----\n" * 50_000,
        b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n" * 15_000,
        b"\x30\x83\x0f\x42\x3b" + b"\x30\x80" * 500_000,
        b"\x30\x83\x0f\x42\x3b\x06\x83\x0f\x42\x36" + b"\xff" * 999_990,
    ],
    ids=["begins", "blocks-without-end", "many-empty", "nested", "endless-oid"],
)
def test_files_made_to_be_slow_are_not(data: bytes, roots: dict[str, Root]) -> None:
    start = time.process_time()
    assert look(data, roots).error
    assert time.process_time() - start < 0.5


def test_the_command_reports_every_file_and_fails_for_the_bad(
    roots: dict[str, Root], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_bytes(b"<html>")
    good = roots["AmazonRootCA1"].file
    assert run(["trust", "check", str(good)]) == 0
    assert "is the known root AmazonRootCA1" in capsys.readouterr().out
    assert run(["trust", "check", str(good), str(bad), str(tmp_path / "none"), "--json"]) == 2
    first, second, third = json.loads(capsys.readouterr().out)["files"]
    assert first["certificates"][0]["known"] == "AmazonRootCA1" and first["error"] is None
    assert "neither PEM nor DER" in second["error"] and "No such file" in third["error"]
