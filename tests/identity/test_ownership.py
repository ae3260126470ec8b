"""Whose certificates and keys are: of this device, of another, of two; AWS's file names; chains; modes of key files."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from provisioning.bundle.bundle import build
from provisioning.bundle.check import check_devices
from provisioning.config.device import single_device
from provisioning.config.load import load_product
from provisioning.errors import InputError
from provisioning.identity.factory import authority, ensure_identity, make_ca
from provisioning.identity.issue import issue
from provisioning.identity.pair import load_pair
from provisioning.identity.signer import from_files
from tests.support import pki
from tests.support.product_files import PRODUCT, certificate_pem, key_pem, write_identity, write_product

DEVICE = "ws-0001"
ISSUE = PRODUCT + "  issue: {ca: factory/ca.crt.pem, ca_key: factory/ca.key.pem}\n"


def refused(folder: Path, device: str | None = DEVICE, text: str = PRODUCT, devices: Path | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        check_devices(load_product(write_product(folder, text)), device, devices)
    return caught.value


@pytest.mark.parametrize("name", ["ws-0002", "WS-0002", "sensor-17", "d0e1f2a3-1111-4222-8333-444455556666"])
def test_the_subject_names_another_device(tmp_path: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate, _ = write_identity(tmp_path, DEVICE, key)
    certificate.write_bytes(certificate_pem(key, name))
    assert refused(tmp_path).code == "certificate-of-another"
    product = load_product(write_product(tmp_path, ISSUE))
    make_ca("Bench", tmp_path / "factory")
    with pytest.raises(InputError, match=f"names '{name}'"):
        ensure_identity(product, single_device(DEVICE), authority(product))


@pytest.mark.parametrize("name", ["AWS IoT Certificate", DEVICE, DEVICE.upper(), "weather", "Device", "example.com", "thing-7"])
def test_subjects_that_name_no_other_device(tmp_path: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate, _ = write_identity(tmp_path, DEVICE, key)
    certificate.write_bytes(certificate_pem(key, name))
    (tmp_path / "all.csv").write_text(f"device,thing\n{DEVICE},thing-7\n")
    product = load_product(write_product(tmp_path))
    assert list(check_devices(product, None, tmp_path / "all.csv")) == [DEVICE]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (PRODUCT.replace("devices/{device}.crt", "devices/{batch}.crt"), "certificate file"),
        (PRODUCT.replace("devices/{device}.key", "devices/{batch}.key"), "key file"),
        (PRODUCT.replace("devices/{device}.key", "devices/all.key"), "key file"),
        (PRODUCT + 'client_id: "{batch}"\n', "client id"),
    ],
)
def test_two_devices_of_a_list_with_one_identity(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "all.csv").write_text("device,batch\nws-0001,b7\nws-0002,B7\n")
    for device in (None, "ws-0001", "ws-0002"):
        error = refused(tmp_path, device, text, tmp_path / "all.csv")
        assert (error.code, what in error.message, "ws-0002" in error.message) == ("shared-identity", True, True)


def test_one_client_id_for_all(tmp_path: Path) -> None:
    error = refused(tmp_path, DEVICE, PRODUCT + "client_id: weather\n")
    assert error.code == "shared-identity" and "product.yaml:9" in error.message


def test_a_copied_identity(tmp_path: Path) -> None:
    for source, target in zip(
        write_identity(tmp_path, "ws-0001"), (tmp_path / "devices/ws-0002.crt.pem", tmp_path / "devices/ws-0002.key.pem"), strict=True
    ):
        target.write_bytes(source.read_bytes())
    (tmp_path / "all.csv").write_text("device\nws-0001\nws-0002\n")
    for device in (None, "ws-0001", "ws-0002"):
        error = refused(tmp_path, device, devices=tmp_path / "all.csv")
        assert error.code == "shared-identity" and "is a copy of" in error.message


AWS = "3fa9c1d2e4b5a6978812345678901234567890abcdefabcdefabcdefabcdef01"


def test_files_as_aws_names_them(tmp_path: Path) -> None:
    (tmp_path / "devices").mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    for n in range(1, 3):
        stem = f"{AWS[:-1]}{n}"
        (tmp_path / "devices" / f"{stem}-certificate.pem.crt").write_bytes(certificate_pem(key, "AWS IoT Certificate"))
        (tmp_path / "devices" / f"{stem}-private.pem.key").write_bytes(key_pem(key))
        error = refused(tmp_path)
        assert error.code == "file-missing"
        if n == 1:
            assert f"{stem}-private.pem.key" in error.hint and "&& mv" in error.hint and "devices/ws-0001.key.pem" in error.hint
    assert '"devices/{aws}-certificate.pem.crt"' in error.hint and '"devices/{aws}-private.pem.key"' in error.hint
    # The pattern as it is printed, with the column that it names.
    text = PRODUCT.replace("devices/{device}.crt.pem", "devices/{aws}-certificate.pem.crt").replace(
        "devices/{device}.key.pem", "devices/{aws}-private.pem.key"
    )
    (tmp_path / "all.csv").write_text(f"device,aws\nws-0001,{AWS[:-1]}1\n")
    assert list(check_devices(load_product(write_product(tmp_path, text)), None, tmp_path / "all.csv")) == [DEVICE]


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o666, 0o644, 0o640, 0o620])
def test_keys_that_others_can_read_or_write_are_made_their_owners(tmp_path: Path, mode: int) -> None:
    certificate, key = write_identity(tmp_path, DEVICE)
    key.chmod(mode)
    load_pair(certificate, key)
    assert key.stat().st_mode & 0o777 == 0o600
    ca, ca_key = make_ca("Bench", tmp_path / "factory")
    ca_key.chmod(mode)
    from_files(ca, ca_key)
    assert ca_key.stat().st_mode & 0o777 == 0o600


def test_a_chain_is_given_and_goes_to_the_device(tmp_path: Path) -> None:
    ca, ca_key = make_ca("Bench", tmp_path / "factory")
    certificate, key = tmp_path / "devices/ws-0001.crt.pem", tmp_path / "devices/ws-0001.key.pem"
    alone = issue(DEVICE, certificate, key, from_files(ca, ca_key)).pair
    certificate.write_bytes(certificate.read_bytes() + ca.read_bytes())
    made = load_pair(certificate, key)
    assert (made.sha256, made.certificate_pem) == (alone.sha256, alone.certificate_pem + ca.read_bytes())
    (tmp_path / "other").mkdir()
    product = load_product(write_product(tmp_path / "other", PRODUCT + f"  issue: {{ca: {ca}, ca_key: {ca_key}, chain: true}}\n"))
    issued = ensure_identity(product, single_device(DEVICE), authority(product))
    assert issued is not None and issued.pair.certificate_pem.endswith(ca.read_bytes())
    bundle = build(load_product(write_product(tmp_path)), single_device(DEVICE))
    assert bundle.trust["device.crt.pem"] == made.certificate_pem


def other_ca(name: str) -> bytes:
    """A CA of the same name and another key: what issued nothing here."""
    now = datetime.now(timezone.utc)
    return pki.make(pki.name(name), ca=True, path_length=0, start=now - timedelta(days=1), end=now + timedelta(days=9)).pem


def test_what_is_no_chain_is_refused(tmp_path: Path) -> None:
    ca, ca_key = make_ca("Bench", tmp_path / "factory")
    certificate, key = tmp_path / "devices/ws-0001.crt.pem", tmp_path / "devices/ws-0001.key.pem"
    issue(DEVICE, certificate, key, from_files(ca, ca_key))
    own = certificate.read_bytes()
    for wrong in (
        own + own,
        ca.read_bytes() + own,
        own + other_ca("Bench"),
        own + ca.read_bytes() * 4,
        own + certificate_pem(ec.generate_private_key(ec.SECP256R1()), "x"),
    ):
        certificate.write_bytes(wrong)
        with pytest.raises(InputError) as caught:
            load_pair(certificate, key)
        assert caught.value.code in ("bad-certificate", "key-mismatch")
