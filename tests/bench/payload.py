"""The reference payload: 14,788 bytes in six files: two roots, a device certificate and key, a module of 9 KB, a configuration.

The sizes and kinds are those of the measurements that this project started from, so that numbers can be compared. Real certificates
and real code, because how well a file deflates decides how long it travels.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path

from provisioning.link.payload import Payload
from provisioning.pem.read import encode
from provisioning.resources import folder

TOTAL = 14788
PACKAGE = "0123456789ab"
ROOTS = ("AmazonRootCA1.pem", "AmazonRootCA3.pem")
_CERTIFICATE = "SFSRootCAG2.pem"  # an RSA 2048 certificate stands in for the device's own, which AWS IoT makes of that kind
_KEY_BYTES = 1191  # DER of an RSA 2048 private key


def _key() -> bytes:
    """A key file from a fixed seed: a key is noise, and noise does not deflate."""
    return encode("RSA PRIVATE KEY", hashlib.shake_256(b"bench key").digest(_KEY_BYTES))


def _code() -> bytes:
    """Device code of the connection package, as one text."""
    files = sorted((folder("firmware") / "twinroot").glob("[a-z]*.py"))
    return b"".join(file.read_bytes() for file in files)


def reference() -> Payload:
    """The six files as a set."""
    certs = folder("certs")
    trust = {name: (certs / name).read_bytes() for name in ROOTS}
    trust["device.crt.pem"] = (certs / _CERTIFICATE).read_bytes()
    trust["device.key.pem"] = _key()
    module = f"/lib/twinroot/{PACKAGE}/core.py"
    spare = TOTAL - sum(map(len, trust.values()))
    size = spare - len(_set(trust, module, b""))
    lib = {module: _code()[:size]}
    trust["set.json"] = _set(trust, module, lib[module])
    payload = Payload(trust, lib)
    if plain_bytes(payload) != TOTAL:
        raise AssertionError(f"{plain_bytes(payload)} bytes")
    return payload


def _set(trust: dict[str, bytes], module: str, code: bytes) -> bytes:
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in {**trust, module: code}.items()}
    made = {
        "format": 1,
        "product": "bench",
        "version": 1,
        "device": "bench-0001",
        "board": "virtual-esp32",
        "chip": "esp32",
        "package": PACKAGE,
        "routes": [{"name": "ats", "host": "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com", "port": 8883, "roots": ["AmazonRootCA1"]}],
        "client_id": "bench-0001",
        "cert": "device.crt.pem",
        "key": "device.key.pem",
        "files": hashes,
    }
    return json.dumps(made, sort_keys=True, separators=(",", ":")).encode()


def contents(payload: Payload) -> dict[str, bytes]:
    """Every file of the payload under its name, set.json among them."""
    return {**payload.trust, **payload.lib}


def plain_bytes(payload: Payload) -> int:
    return sum(map(len, contents(payload).values()))


def deflated_bytes(payload: Payload) -> int:
    """All files as one deflate stream with the best settings (level 9, 32 KB window): the least that a wire could carry."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    return len(squeeze.compress(b"".join(contents(payload).values())) + squeeze.flush())


def written_to(payload: Payload, directory: Path) -> list[Path]:
    """The files in `directory`, flat, for the tools that copy files."""
    made = []
    for name, content in contents(payload).items():
        path = directory / Path(name).name
        path.write_bytes(content)
        made.append(path)
    return made
