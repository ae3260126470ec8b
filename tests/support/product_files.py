"""Product files and device identities for tests, on disk as people have them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support import pki

PRODUCT = """\
product: weather-station
board: esp32-generic
cloud:
  region: us-east-1
  endpoint: a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com
identity:
  certificate: "devices/{device}.crt.pem"
  key: "devices/{device}.key.pem"
"""

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def write_product(folder: Path, text: str = PRODUCT, more: str = "") -> Path:
    """A product file with `more` lines at its end."""
    path = folder / "product.yaml"
    path.write_text(text + more, encoding="utf-8")
    return path


def key_pem(key: Key, traditional: bool = True) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def certificate_pem(key: Key, name: str, start: timedelta = timedelta(days=-1), end: timedelta = timedelta(days=30)) -> bytes:
    """A self-signed certificate: what the device files look like is what is tested, not who signed them."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    return pki.make(pki.name(name), own=key, start=now + start, end=now + end, constraints=False).pem


def write_identity(folder: Path, device: str, key: Key | None = None, **validity: timedelta) -> tuple[Path, Path]:
    """devices/DEVICE.crt.pem and .key.pem under `folder`."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    home = folder / "devices"
    home.mkdir(exist_ok=True)
    paths = home / f"{device}.crt.pem", home / f"{device}.key.pem"
    paths[0].write_bytes(certificate_pem(key, device, **validity))
    paths[1].write_bytes(key_pem(key))
    return paths
