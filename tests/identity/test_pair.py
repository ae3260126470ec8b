"""Pairs that were checked before: their facts are those of the files, and each change of a file is seen."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from provisioning import result_cache
from provisioning.errors import InputError
from provisioning.identity import pair
from provisioning.identity.pair import load_pair
from tests.support.product_files import certificate_pem, key_pem, write_identity


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of kept files, of this test alone."""
    made = tmp_path / "cache"
    monkeypatch.setattr(result_cache, "folder", lambda: made)
    return made


def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the certificate was looked at again")

    monkeypatch.setattr(pair, "_certificate", refuse)


def test_a_remembered_pair_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = write_identity(tmp_path, "ws-0001", end=timedelta(days=365 * 7000))
    first = load_pair(certificate, key)
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert (first.not_before, first.not_after, first.serial) == (leaf.not_valid_before_utc, leaf.not_valid_after_utc, leaf.serial_number)
    remembered(monkeypatch)
    assert load_pair(certificate, key) == first


def test_validity_is_checked_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = write_identity(tmp_path, "ws-0001")
    load_pair(certificate, key)
    remembered(monkeypatch)
    for days, code in ((31, "certificate-expired"), (-2, "certificate-not-yet-valid")):
        with pytest.raises(InputError) as caught:
            load_pair(certificate, key, datetime.now(timezone.utc) + timedelta(days=days))
        assert caught.value.code == code


def test_another_key_or_certificate_is_seen(tmp_path: Path) -> None:
    certificate, key = write_identity(tmp_path, "ws-0001")
    load_pair(certificate, key)
    good, other = key.read_bytes(), ec.generate_private_key(ec.SECP256R1())
    key.write_bytes(key_pem(other))
    with pytest.raises(InputError, match="does not belong"):
        load_pair(certificate, key)
    key.write_bytes(good)
    load_pair(certificate, key)
    certificate.write_bytes(certificate_pem(other, "ws-0001"))
    with pytest.raises(InputError, match="does not belong"):
        load_pair(certificate, key)


def test_nothing_of_the_key_is_cached(tmp_path: Path, folder: Path) -> None:
    certificate, key = write_identity(tmp_path, "ws-0001")
    load_pair(certificate, key)
    (file,) = folder.iterdir()
    head, body = file.read_text().split("\n")
    assert [len(word) for word in head.split()] == [64, 64]
    assert set(json.loads(body)) == {"not_before", "not_after", "serial", "name"}


def test_a_damaged_certificate_comes_before_a_missing_key(tmp_path: Path) -> None:
    certificate, key = write_identity(tmp_path, "ws-0001")
    key.unlink()
    with pytest.raises(InputError) as caught:
        load_pair(certificate, key)
    assert caught.value.code == "file-missing"
    from provisioning.pem.read import encode

    certificate.write_bytes(encode("CERTIFICATE", b"\x30\x03\x02\x01\x00"))
    with pytest.raises(InputError) as caught:
        load_pair(certificate, key)
    assert caught.value.code == "bad-certificate"
