"""Signed sets for updates over the air: the vendor's key, and the container that firmware/twinroot/ota.py accepts.

Container, numbers big-endian: magic, u16 length, signature, u32 length, manifest (JSON), contents of the files in the manifest's
order. Signature: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2) over magic and manifest: what MicroPython can check with
three-argument pow().
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from provisioning.errors import InputError
from provisioning.identity import signing_command
from provisioning.identity.files import KEY_MODE, write_new
from provisioning.parsed import from_json
from provisioning.pem.public_key import public_numbers as public_numbers
from provisioning.pem.text import plain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

MAGIC = b"TWSET1\n"
SIGNATURE_LIMIT = 1024  # bytes, and
MANIFEST_LIMIT = 8192  # bytes: what ota.py holds in RAM before it knows whom it listens to
BITS = 3072  # beyond 2030 by NIST SP 800-57
FIRMWARE = "firmware"  # row of the manifest that is no file of the set
APPLICATION = "main.py"  # in the set's folder; and what runs it, which set.json does not name:
RUNNER = "/main.py"
# Keys of set.json that belong to one device or to a bench: they stay as they are on the device.
DEVICE_KEYS = frozenset(
    {"device", "client_id", "cert", "chain", "key", "wifi", "lab", "files", "board", "chip", "product", "format", "sum", "image"}
)


class Signer(Protocol):
    """Makes RSASSA-PKCS1-v1_5 signatures with SHA-256."""

    def sign(self, data: bytes) -> bytes:
        """Signature over `data`."""


class KeySigner:
    """The key in an encrypted PEM file."""

    def __init__(self, file: Path, passphrase: bytes) -> None:
        """Raises InputError when the file cannot be read, is no RSA key, or the passphrase is wrong."""
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(plain(file.read_bytes()), passphrase)
        except OSError as error:
            raise InputError("signing-key-unreadable", f"{file}: {error.strerror}.", "Name the key that `twinroot sign` made.") from None
        except (ValueError, TypeError):
            raise InputError(
                "signing-key-wrong", f"{file} is no encrypted private key, or the passphrase is wrong.", "Check file and passphrase."
            ) from None
        if not isinstance(key, RSAPrivateKey):
            raise InputError("signing-key-type", f"{file} is not an RSA key.", "Devices check RSA signatures: make an RSA key.")
        self._key: RSAPrivateKey = key

    def sign(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        return self._key.sign(data, PKCS1v15(), SHA256())

    @property
    def public(self) -> RSAPublicKey:
        return self._key.public_key()


class CommandSigner:
    """A command that signs: it gets the data on standard input and answers with the raw signature on standard output
    (`openssl dgst -sha256 -sign KEY`, a hardware module's tool)."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)

    def sign(self, data: bytes) -> bytes:
        """Raises StationError when the command fails."""
        return signing_command.run(self._command, data)


def create_key(file: Path, passphrase: bytes, bits: int = BITS) -> RSAPublicKey:
    """Makes a key in `file` (PKCS #8, encrypted, mode 0600). Raises InputError when the file exists or the passphrase is empty,
    StationError when it cannot be written."""
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    if not passphrase:
        raise InputError("no-passphrase", "The signing key needs a passphrase.", "Give one: whoever has this key commands every device.")
    if file.exists():
        raise InputError("key-exists", f"{file} exists and is not overwritten.", "Choose another name; devices trust the old key.")
    key = generate_private_key(65537, bits)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    write_new(file, pem, KEY_MODE)
    return key.public_key()


class Firmware(Protocol):
    """An application for a slot, and which MicroPython it is."""

    @property
    def content(self) -> bytes: ...

    @property
    def version(self) -> str: ...


def manifest(
    info: dict[str, Any], files: dict[str, bytes], *, expires: int, device: str | None = None, firmware: Firmware | None = None
) -> tuple[bytes, list[bytes]]:
    """(manifest, contents in order). `info`: a rendered set.json; `files`: name in the set's folder, or absolute path of a module of
    its package, -> content, the device's identity left out; `expires`: unix seconds; `device`: for one device only; `firmware` comes first:
    a device that cannot take it refuses before anything is written. Raises InputError for a set without the files that it names."""
    identity = {info.get("cert"), info.get("key")}
    hashes = {**info["files"], **{name: hashlib.sha256(files[name]).hexdigest() for name in files.keys() & {RUNNER}}}
    wanted = [name for name in sorted(hashes) if name not in identity]
    for name in wanted:
        if hashlib.sha256(files.get(name, b"")).hexdigest() != hashes[name]:
            raise InputError("set-incomplete", f"{name} is missing, or not what set.json says.", "Render the set again.")
    rows = [[name, len(files[name]), hashes[name]] for name in wanted]
    contents = [files[name] for name in wanted]
    if firmware is not None:
        rows.insert(0, [FIRMWARE, len(firmware.content), hashlib.sha256(firmware.content).hexdigest()])
        contents.insert(0, firmware.content)
    body = {
        "product": info["product"],
        "version": info["version"],
        "expires": expires,
        "device": device,
        "set": {key: value for key, value in info.items() if key not in DEVICE_KEYS and key != "version"},
        "files": rows,
        **({"firmware": firmware.version} if firmware is not None else {}),
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode(), contents


def sign(text: bytes, contents: list[bytes], signer: Signer, vendor: dict[str, Any]) -> bytes:
    """The container: what is published to devices. `vendor`: the public numbers that devices have; the signature is checked with them as
    devices do. Raises InputError when it is not theirs, or the manifest is larger than devices take."""
    if len(text) > MANIFEST_LIMIT:
        raise InputError(
            "manifest-too-large",
            f"The manifest has {len(text):,} bytes, and devices take {MANIFEST_LIMIT:,}.",
            "Fewer routes, roots and time servers make it smaller.",
        )
    signature = signer.sign(MAGIC + text)
    if not verified(vendor, signature, MAGIC + text):
        raise InputError(
            "signature-not-theirs",
            f"Devices would refuse this signature of {len(signature)} bytes: it is not RSA PKCS #1 v1.5 with SHA-256 by the key "
            "whose public half they have.",
            "Sign with the key of `updates: {key: …}`; when that is being changed, `twinroot sign rotate` with the one before.",
        )
    return b"".join((MAGIC, struct.pack("!H", len(signature)), signature, struct.pack("!I", len(text)), text, *contents))


def verified(vendor: dict[str, Any], signature: bytes, data: bytes) -> bool:
    """True when `signature` is that of the key `vendor` over `data`, as ota.py asks."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
    from cryptography.hazmat.primitives.hashes import SHA256

    if not 256 <= len(signature) <= SIGNATURE_LIMIT:
        return False
    try:
        RSAPublicNumbers(vendor["e"], int(vendor["n"], 16)).public_key().verify(signature, data, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def vendor_of(info: dict[str, Any]) -> dict[str, Any]:
    """The public numbers in a rendered set.json. Raises InputError when there are none: its devices take no updates."""
    vendor = info.get("vendor")
    if not isinstance(vendor, dict) or not {"n", "e"} <= set(vendor):
        raise InputError(
            "no-vendor-key",
            "The rendered set has no vendor key, so that devices with it take no signed set.",
            "Put `updates: {key: vendor.pub.pem}` into the product and render again.",
        )
    return vendor


def without_application(info: dict[str, Any], files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The set without the product's application: devices keep the one that they have."""
    names = {name: sha for name, sha in info["files"].items() if name != APPLICATION}
    return {**info, "files": names}, {name: content for name, content in files.items() if name not in (APPLICATION, RUNNER)}


def read_rendered(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(set.json, files) of what `twinroot render --out FOLDER` wrote. Raises InputError."""
    try:
        number = int((folder / "trust" / "active").read_text("ascii"))
        base = folder / "trust" / str(number)
        info: dict[str, Any] = from_json((base / "set.json").read_text("utf-8"))
        if not isinstance(info, dict):
            raise ValueError("set.json is no object")
        files = {
            name: (folder / name.lstrip("/") if name.startswith("/") else base / name).read_bytes()
            for name in info["files"]
            if name not in {info.get("cert"), info.get("key")}
        }
        if APPLICATION in files:
            files[RUNNER] = (folder / RUNNER[1:]).read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise InputError("no-rendered-set", f"{folder} holds no rendered set ({error}).", "twinroot render PRODUCT --out DIR") from None
    return info, files
