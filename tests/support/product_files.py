"""Product files and device identities for tests, on disk as people have them."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

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
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc).replace(microsecond=0)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def write_identity(folder: Path, device: str, key: Key | None = None, **validity: timedelta) -> tuple[Path, Path]:
    """devices/DEVICE.crt.pem and .key.pem under `folder`."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    home = folder / "devices"
    home.mkdir(exist_ok=True)
    paths = home / f"{device}.crt.pem", home / f"{device}.key.pem"
    paths[0].write_bytes(certificate_pem(key, device, **validity))
    paths[1].write_bytes(key_pem(key))
    return paths


def twinroot_command(*arguments: str | Path) -> list[str]:
    """The real command, of this checkout."""
    return [sys.executable, "-m", "provisioning", *map(str, arguments)]


def twinroot(*arguments: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    command = twinroot_command(*arguments)
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, env=env, check=False)
