"""A CA whose key is made in a PKCS #11 token and stays there: SoftHSM, where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from provisioning.cli.main import run
from provisioning.config.device import single_device
from provisioning.config.load import load_product
from provisioning.config.product import Product
from provisioning.errors import StationError
from provisioning.identity import pkcs11
from provisioning.identity.factory import ensure_identity
from provisioning.job.plan import FlashPlan
from tests.flash import images
from tests.support import pki
from tests.support.product_files import PRODUCT, write_product

# Where distributions put SoftHSM's library.
MODULES = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
]
MODULE = next((path for path in MODULES if Path(path).exists()), "")
MISSING = [name for name in ("softhsm2-util", pkcs11.TOOL) if shutil.which(name) is None] + ([] if MODULE else ["libsofthsm2.so"])
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (Debian: softhsm2, opensc)")

PIN = "4711-c4nary"


class Hsm:
    """A token of its own with one CA key, and that CA's certificate, which a second signer of the same token has to confirm."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        (folder / "tokens").mkdir()
        configuration = folder / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
        monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
        self._run("softhsm2-util", "--init-token", "--free", "--label", "factory", "--pin", PIN, "--so-pin", "87654321")

    @staticmethod
    def _run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PIN": PIN})

    def make_ca(self, kind: str) -> Path:
        """The key in the token, its certificate in a file. Returns the certificate's path."""
        tool = [pkcs11.TOOL, "--module", MODULE, "--token-label", "factory", "--login", "--pin", "env:PIN", "--label", "ca"]
        self._run(*tool, "--keypairgen", "--key-type", kind, "--id", "01")
        der = self.folder / "public.der"
        self._run(*tool, "--read-object", "--type", "pubkey", "--output-file", str(der))
        public = serialization.load_der_public_key(der.read_bytes())
        assert isinstance(public, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey))
        path = self.folder / "ca.crt.pem"
        path.write_bytes(_unsigned_ca(public))
        return path

    def product(self, pin: str = PIN, **changed: str) -> Product:
        (self.folder / "secrets.yaml").write_text(f'token_pin: "{pin}"\n')
        named = {"module": MODULE, "token": "factory", "id": "01", **changed}
        block = ", ".join(f'{name}: "{value}"' for name, value in named.items())
        issue = f"  issue: {{ca: ca.crt.pem, pkcs11: {{{block}, pin: !secret token_pin}}}}\n"
        return load_product(write_product(self.folder, PRODUCT + issue))


def _unsigned_ca(public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    """A CA certificate for the token's key. Who signed it does not matter here: what the token signs is checked against the key."""
    name = pki.name("Factory in a token")
    return pki.make(name, pki.make(name), ca=True, path_length=0, public=public, end=datetime(2045, 1, 1, tzinfo=timezone.utc)).pem


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hsm:
    return Hsm(tmp_path, monkeypatch)


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The argument vectors of everything that is run to sign."""
    seen: list[list[str]] = []
    real: Callable[..., bytes] = pkcs11.run

    def spy(command: list[str], *rest: object) -> bytes:
        seen.append(command)
        return real(command, *rest)

    monkeypatch.setattr(pkcs11, "run", spy)
    return seen


@pytest.mark.parametrize("kind", ["EC:prime256v1", "rsa:2048"])
def test_the_token_signs_device_certificates(hsm: Hsm, spied: list[list[str]], kind: str) -> None:
    ca = x509.load_pem_x509_certificate(hsm.make_ca(kind).read_bytes())
    product = hsm.product()
    made = ensure_identity(product, single_device("ws-1"))
    assert made is not None
    leaf = x509.load_pem_x509_certificate(made.pair.certificate_pem)
    public = ca.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(leaf.signature, leaf.tbs_certificate_bytes, padding.PKCS1v15(), leaf.signature_hash_algorithm)  # type: ignore[arg-type]
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(leaf.signature, leaf.tbs_certificate_bytes, ec.ECDSA(leaf.signature_hash_algorithm))  # type: ignore[arg-type]
    assert len(spied) == 1 and not any(PIN in argument for argument in spied[0])
    assert PIN not in repr(product)
    assert ensure_identity(product, single_device("ws-1")) is not None and len(spied) == 1, "the same device, the same certificate"


@pytest.mark.parametrize("kind", ["EC:prime256v1", "rsa:2048"])
def test_the_certificate_of_a_tokens_key_is_made_by_a_command(hsm: Hsm, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    hsm.make_ca(kind).unlink()
    product = hsm.product()
    assert run(["identity", "ca", "--product", str(product.source), "--name", "Line 7"]) == 0
    ca = x509.load_pem_x509_certificate((hsm.folder / "ca.crt.pem").read_bytes())
    ca.verify_directly_issued_by(ca)
    assert ca.subject.rfc4514_string() == "CN=Line 7"
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert run(["identity", "make", str(product.source), "--device", "ws-1"]) == 0
    x509.load_pem_x509_certificate((hsm.folder / "devices/ws-1.crt.pem").read_bytes()).verify_directly_issued_by(ca)
    assert run(["identity", "ca", "--product", str(product.source)]) == 2, "nothing is overwritten"
    assert PIN not in "".join(capsys.readouterr())


def tries(hsm: Hsm, monkeypatch: pytest.MonkeyPatch, spied: list[list[str]], *arguments: str) -> tuple[int, int]:
    """Exit code, and how often the token was asked."""
    spied.clear()
    return run(list(arguments)), len(spied)


def test_a_wrong_pin_is_said_and_tried_once(
    hsm: Hsm, spied: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hsm.make_ca("EC:prime256v1")
    product = hsm.product(pin="0000")
    (hsm.folder / "devices.csv").write_text("device\n" + "".join(f"ws-{n}\n" for n in range(5)))
    arguments = ["identity", "make", str(product.source), "--devices", str(hsm.folder / "devices.csv")]
    assert tries(hsm, monkeypatch, spied, *arguments) == (3, 1)
    said = "".join(capsys.readouterr())
    assert "PIN of the token 'factory' is wrong, and was tried once" in said and "0000" not in said and "locks itself" in said
    assert not (hsm.folder / "devices").exists()
    # So it is for a station, before it opens a port.
    images.board_file(hsm.folder, images.firmware(size=20_000, seed=1), extends="virtual-esp32")
    product.source.write_text(product.source.read_text().replace("esp32-generic", "board.yaml"))
    with pytest.raises(StationError, match="is wrong, and was tried once"):
        FlashPlan.of(load_product(product.source))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"pin": "0000"}, "CKR_PIN_INCORRECT"),
        ({"token": "other"}, "other"),
        ({"id": "77"}, "not found"),
        ({"module": "/nowhere/none.so"}, "Failed to load"),
    ],
)
def test_a_token_that_does_not_sign_is_one_sentence(hsm: Hsm, changed: dict[str, str], says: str) -> None:
    hsm.make_ca("EC:prime256v1")
    with pytest.raises(StationError) as caught:
        ensure_identity(hsm.product(**changed), single_device("ws-1"))
    assert caught.value.code == "signer-failed" and says in caught.value.message and caught.value.hint
    assert PIN not in caught.value.message and "0000" not in caught.value.message
    assert not (hsm.folder / "devices" / "ws-1.crt.pem").exists()


def test_another_tokens_key_is_noticed(hsm: Hsm, tmp_path: Path) -> None:
    """The certificate beside the product is not the one of the key in the token."""
    path = hsm.make_ca("EC:prime256v1")
    path.write_bytes(_unsigned_ca(ec.generate_private_key(ec.SECP256R1()).public_key()))
    with pytest.raises(StationError) as caught:
        ensure_identity(hsm.product(), single_device("ws-1"))
    assert caught.value.code == "signer-wrong-key"
