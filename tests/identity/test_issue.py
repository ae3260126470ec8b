"""Identities made here: once per device, complete or continued, keys for their owner only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from provisioning.bundle.bundle import build
from provisioning.config.device import load_devices, single_device
from provisioning.config.load import load_product
from provisioning.config.product import Product
from provisioning.errors import InputError, StationError, TwinrootError
from provisioning.identity import signing_command
from provisioning.identity.factory import authority, ensure_identity, forget_key, make_ca
from provisioning.identity.files import discard_key, write_new
from provisioning.identity.issue import issue, request, request_path
from provisioning.identity.keys import KINDS, KeyKind, make_key
from provisioning.identity.pair import load_key
from provisioning.identity.signer import from_command, from_files
from provisioning.ota import signed_set
from tests.support.command import twinroot
from tests.support.product_files import PRODUCT, certificate_pem, key_pem, write_identity, write_product

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")


def product(folder: Path, issue_block: str = "{ca: ca/ca.crt.pem, ca_key: ca/ca.key.pem}", more: str = "") -> Product:
    return load_product(write_product(folder, PRODUCT + f"  issue: {issue_block}\n", more))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_ca("Test factory", tmp_path / "ca")
    return tmp_path


@POSIX
def test_a_certificate_that_openssl_verifies(folder: Path) -> None:
    made = ensure_identity(product(folder), single_device("ws-1"))
    assert made is not None
    assert (made.made_key, made.made_certificate) == (True, True)
    certificate, key = folder / "devices" / "ws-1.crt.pem", folder / "devices" / "ws-1.key.pem"
    command = ["openssl", "verify", "-purpose", "sslclient", "-CAfile", folder / "ca" / "ca.crt.pem", certificate]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert leaf.subject.rfc4514_string() == "CN=ws-1"
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert leaf.not_valid_before_utc < datetime.now(timezone.utc)
    assert key.stat().st_mode & 0o777 == 0o600
    assert (folder / "ca" / "ca.key.pem").stat().st_mode & 0o777 == 0o600
    assert sorted(entry.name for entry in (folder / "devices").iterdir()) == ["ws-1.crt.pem", "ws-1.key.pem"]


def test_a_second_run_changes_nothing(folder: Path) -> None:
    loaded, device = product(folder), single_device("ws-1")
    ensure_identity(loaded, device)
    before = {entry: entry.read_bytes() for entry in (folder / "devices").iterdir()}
    again = ensure_identity(loaded, device)
    assert again is not None
    assert (again.made_key, again.made_certificate) == (False, False)
    assert {entry: entry.read_bytes() for entry in (folder / "devices").iterdir()} == before
    assert build(loaded, device).trust["device.key.pem"] == before[folder / "devices" / "ws-1.key.pem"]


def test_a_run_cut_off_between_key_and_certificate_goes_on(folder: Path) -> None:
    loaded, device = product(folder), single_device("ws-1")
    ensure_identity(loaded, device)
    key = (folder / "devices" / "ws-1.key.pem").read_bytes()
    (folder / "devices" / "ws-1.crt.pem").unlink()
    again = ensure_identity(loaded, device)
    assert again is not None
    assert (again.made_key, again.made_certificate) == (False, True)
    assert (folder / "devices" / "ws-1.key.pem").read_bytes() == key


def test_a_certificate_without_its_key_is_not_replaced(folder: Path) -> None:
    loaded, device = product(folder), single_device("ws-1")
    ensure_identity(loaded, device)
    assert forget_key(loaded, device) is True
    assert forget_key(loaded, device) is False
    with pytest.raises(InputError, match=r"ws-1\.key\.pem: the certificate .* is there and its key is not"):
        ensure_identity(loaded, device)


def test_keys_stay_on_the_host_where_asked(folder: Path) -> None:
    loaded, device = product(folder, "{ca: ca/ca.crt.pem, ca_key: ca/ca.key.pem, keep_key: true}"), single_device("ws-1")
    ensure_identity(loaded, device)
    assert forget_key(loaded, device) is False
    assert (folder / "devices" / "ws-1.key.pem").is_file()


def test_files_from_elsewhere_are_never_touched(tmp_path: Path) -> None:
    loaded, device = load_product(write_product(tmp_path)), single_device("ws-1")
    assert ensure_identity(loaded, device) is None
    write_identity(tmp_path, "ws-1")
    assert forget_key(loaded, device) is False


def test_no_two_devices_share_anything(folder: Path) -> None:
    (folder / "devices.csv").write_text("device\n" + "".join(f"ws-{n}\n" for n in range(40)))
    loaded = product(folder)
    ca = authority(loaded)
    made = [ensure_identity(loaded, device, ca) for device in load_devices(folder / "devices.csv")]
    pairs = [each.pair for each in made if each is not None]
    assert len({pair.serial for pair in pairs}) == len({pair.key_pem for pair in pairs}) == len({pair.sha256 for pair in pairs}) == 40


def test_two_workers_for_one_device_make_one_identity(folder: Path) -> None:
    loaded, device = product(folder), single_device("ws-1")
    ca = authority(loaded)

    def work(_: int) -> str:
        try:
            made = ensure_identity(loaded, device, ca)
        except TwinrootError as error:
            return error.code
        assert made is not None
        return made.pair.sha256

    with ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(work, range(8)))
    final = build(loaded, device)
    assert len(final.trust) == 6
    # Losers are told that the file is there; nobody got another identity than the one on the disk.
    assert len(seen - {"file-exists"}) == 1


@pytest.mark.parametrize("ca_kind", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_keys(tmp_path: Path, ca_kind: KeyKind, kind: KeyKind) -> None:
    certificate, key = make_ca("Test factory", tmp_path / "ca", ca_kind)
    made = issue(
        "ws-1",
        tmp_path / "c.pem",
        tmp_path / "k.pem",
        from_files(certificate, key),
        kind=kind,
        days=30,
    )
    public = load_key(tmp_path / "k.pem").public_key()
    assert isinstance(public, rsa.RSAPublicKey if kind == "rsa2048" else ec.EllipticCurvePublicKey)
    x509.load_pem_x509_certificate(made.pair.certificate_pem).verify_directly_issued_by(
        x509.load_pem_x509_certificate(certificate.read_bytes())
    )
    assert 29 <= (made.pair.not_after - datetime.now(timezone.utc)).days <= 30


def test_validity_ends_with_the_ca(tmp_path: Path) -> None:
    certificate, key = make_ca("Test factory", tmp_path / "ca", days=10)
    made = issue("ws-1", tmp_path / "c.pem", tmp_path / "k.pem", from_files(certificate, key), days=3650)
    assert made.pair.not_after == x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc


@POSIX
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_behind_a_command(tmp_path: Path, kind: KeyKind) -> None:
    certificate, key = make_ca("Test factory", tmp_path / "ca", kind)
    # The CA's key is where only the command finds it.
    hidden = tmp_path / "token.pem"
    key.rename(hidden)
    loaded = product(tmp_path, "{ca: ca/ca.crt.pem, signer: [openssl, dgst, -sha256, -sign, token.pem]}")
    made = ensure_identity(loaded, single_device("ws-1"))
    assert made is not None
    x509.load_pem_x509_certificate(made.pair.certificate_pem).verify_directly_issued_by(
        x509.load_pem_x509_certificate(certificate.read_bytes())
    )


@POSIX
def test_a_pin_reaches_the_signer_by_its_environment_only(folder: Path) -> None:
    (folder / "secrets.yaml").write_text("token_pin: c4nary\n")
    script = 'echo "$TOKEN_PIN" > pin; echo "$0 $*" > arguments; exec openssl dgst -sha256 -sign ca/ca.key.pem'
    loaded = product(folder, f"{{ca: ca/ca.crt.pem, signer: [sh, -c, '{script}'], env: {{TOKEN_PIN: !secret token_pin}}}}")
    assert ensure_identity(loaded, single_device("ws-1")) is not None
    assert (folder / "pin").read_text() == "c4nary\n"
    assert "c4nary" not in (folder / "arguments").read_text()
    assert "c4nary" not in repr(loaded)


@POSIX
@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (["no-such-program-here"], "signer-missing", "is not installed"),
        (["sh", "-c", "echo 'CKR_PIN_INCORRECT' >&2; exit 3"], "signer-failed", "ended with code 3: CKR_PIN_INCORRECT."),
        (["true"], "signer-failed", "it said nothing"),
        (["sh", "-c", "echo garbage"], "signer-wrong-key", "does not confirm"),
        (["openssl", "dgst", "-sha256", "-sign", "other.pem"], "signer-wrong-key", "does not confirm"),
        (["/"], "signer-failed", "cannot be started"),
    ],
)
def test_signers_that_fail(folder: Path, command: list[str], code: str, says: str) -> None:
    (folder / "other.pem").write_bytes(key_pem(make_key("p256")))
    ca = from_command(folder / "ca" / "ca.crt.pem", command, folder=folder)
    with pytest.raises(StationError) as caught:
        issue("ws-1", folder / "c.pem", folder / "k.pem", ca)
    assert (caught.value.code, says in caught.value.message) == (code, True), caught.value.message
    assert not (folder / "c.pem").exists()


@POSIX
def test_all_signers_have_one_time_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CA's and that of signed sets: a command that waits for nobody is given up, and both say so."""
    monkeypatch.setattr(signing_command, "SECONDS", 0.1)
    hangs = [sys.executable, "-c", "import time; time.sleep(60)"]
    for sign in (
        lambda: issue("ws-1", folder / "c.pem", folder / "k.pem", from_command(folder / "ca" / "ca.crt.pem", hangs)),
        lambda: signed_set.CommandSigner(hangs).sign(b"x"),
    ):
        with pytest.raises(StationError, match="did not answer within") as caught:
            sign()
        assert caught.value.code == "signer-hangs"


def test_a_ca_that_is_none(folder: Path) -> None:
    ca, key = folder / "ca" / "ca.crt.pem", folder / "ca" / "ca.key.pem"
    leaf_key = make_key("p256")
    (folder / "leaf.pem").write_bytes(certificate_pem(leaf_key, "leaf"))
    (folder / "leaf.key.pem").write_bytes(key_pem(leaf_key))
    for certificate, private, code in (
        (folder / "leaf.pem", folder / "leaf.key.pem", "bad-ca"),
        (ca, folder / "leaf.key.pem", "ca-key-mismatch"),
        (ca, ca, "bad-ca-key"),
        (key, key, "bad-ca"),
        (folder / "none.pem", key, "file-missing"),
        (ca, folder / "none.pem", "file-missing"),
    ):
        with pytest.raises(InputError) as caught:
            from_files(certificate, private)
        assert caught.value.code == code, caught.value.message
    loaded = product(folder, "{ca: none.pem, ca_key: ca/ca.key.pem}")
    with pytest.raises(InputError, match=r"product\.yaml:9: key 'identity\.issue\.ca'"):
        authority(loaded)


def test_an_expired_ca_signs_nothing(tmp_path: Path) -> None:
    certificate, key = make_ca("Test factory", tmp_path / "ca", days=0)
    with pytest.raises(InputError, match="not today"):
        issue("ws-1", tmp_path / "c.pem", tmp_path / "k.pem", from_files(certificate, key))


def test_requests(tmp_path: Path) -> None:
    key, csr = tmp_path / "k.pem", tmp_path / "x.csr.pem"
    assert request("ws-1", key, csr) == (True, True)
    first = csr.read_bytes()
    assert request("ws-1", key, csr) == (False, False)
    loaded = x509.load_pem_x509_csr(first)
    assert loaded.is_signature_valid
    assert loaded.subject.rfc4514_string() == "CN=ws-1"
    assert request_path(Path("devices/a.crt.pem")) == Path("devices/a.csr.pem")
    assert request_path(Path("devices/a.pem")) == Path("devices/a.csr.pem")


@POSIX
def test_files_are_written_whole_and_never_over_others(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "k.pem"
    write_new(path, b"one", 0o600)
    with pytest.raises(InputError, match="is there already"):
        write_new(path, b"two", 0o600)
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in path.parent.iterdir()] == ["k.pem"]
    with pytest.raises(StationError, match="cannot be written"):
        write_new(path / "under-a-file", b"x", 0o600)
    with pytest.raises(StationError, match="cannot be removed"):
        discard_key(tmp_path / "deep")


def test_commands(tmp_path: Path) -> None:
    write_product(tmp_path, PRODUCT + "  issue: {ca: ca/ca.crt.pem, ca_key: ca/ca.key.pem}\n")
    (tmp_path / "devices.csv").write_text("device\nws-1\nws-2\n")
    # Without a CA: the command that makes one, where the product looks for it.
    none = twinroot("identity", "make", "product.yaml", "--devices", "devices.csv", cwd=tmp_path)
    assert none.returncode == 2 and "`twinroot identity ca --out ca`" in none.stderr, none.stderr
    assert twinroot("identity", "ca", "--out", "ca", cwd=tmp_path).returncode == 0
    again = twinroot("identity", "ca", "--out", "ca", cwd=tmp_path)
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    made = twinroot("identity", "make", "product.yaml", "--devices", "devices.csv", "--json", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert [row["made"] for row in json.loads(made.stdout)["identities"]] == [True, True]
    assert "PRIVATE" not in made.stdout + made.stderr
    checked = twinroot("check", "product.yaml", "--devices", "devices.csv", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    csr = twinroot("identity", "csr", "product.yaml", "--device", "ws-3", cwd=tmp_path)
    assert csr.returncode == 0, csr.stderr
    assert (tmp_path / "devices" / "ws-3.csr.pem").is_file()


@pytest.mark.parametrize(
    ("block", "command"),
    [
        ("{ca: a.pem, ca_key: b.pem}", "`twinroot identity ca --out DIR`, and `ca: DIR/ca.crt.pem`, `ca_key: DIR/ca.key.pem`."),
        ("{ca: a.pem, pkcs11: {module: m, token: t, pin: '1'}}", "`twinroot identity ca --product "),
        ("{ca: a.pem, signer: [x]}", ""),
        ("{ca: ca/ca.crt.pem, ca_key: gone.pem}", ""),
    ],
)
def test_a_ca_that_is_not_here(folder: Path, block: str, command: str) -> None:
    with pytest.raises(InputError) as caught:
        authority(product(folder, block), first=True)
    assert command in caught.value.hint and ("identity ca" in caught.value.hint) == bool(command)
    with pytest.raises(InputError) as caught:
        authority(product(folder, block))
    assert "identity ca" not in caught.value.hint


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("{ca: a.pem}", "key 'identity.issue': has to have one of 'ca_key', 'pkcs11' and 'signer'"),
        ("{ca: a.pem, ca_key: b, signer: [c]}", "one of 'ca_key', 'pkcs11' and 'signer'"),
        ("{ca: a.pem, pkcs11: {module: a, token: t}}", "key 'identity.issue.pkcs11.pin'"),
        ("{ca: a.pem, pkcs11: {module: a, token: t, pin: 1234}}", "found a number, expected text"),
        ("{ca: a.pem, ca_key: b, kind: p255}", "found 'p255', expected one of p256, rsa2048"),
        ("{ca: a.pem, ca_key: b, days: 0}", "found 0, expected validity of device certificates in days"),
        ("{ca: a.pem, signer: openssl}", "found 'openssl', expected a list"),
        ("{ca: a.pem, signer: [x], env: {PIN: 1234}}", "found a number, expected text"),
    ],
)
def test_wrong_issue_blocks(tmp_path: Path, block: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        product(tmp_path, block)
    assert says in caught.value.message
    assert "product.yaml:9:" in caught.value.message
    assert "1234" not in caught.value.message


@POSIX
def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A USB stick's: a product folder may well lie on one."""

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    path = tmp_path / "key.pem"
    write_new(path, b"one", 0o600)
    with pytest.raises(InputError, match="is there already"):
        write_new(path, b"two", 0o600)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one", 0o600)
    assert os.listdir(tmp_path) == ["key.pem"]
