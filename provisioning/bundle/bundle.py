"""A bundle: every byte that one device gets. A pure function of product, device and interpreter: no time, no order of a dictionary."""

from __future__ import annotations

import calendar
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning.bundle import compile as compiler
from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.config.unit import Texts, client_id, files, texts
from provisioning.errors import FileMissing, InputError
from provisioning.identity import aws_names
from provisioning.identity.pair import Pair, load_pair
from provisioning.identity.subject import check_name
from provisioning.resources import folder

FORMAT = 1
SET_FILE = "set.json"
CERTIFICATE_FILE = "device.crt.pem"
KEY_FILE = "device.key.pem"
PACKAGE_HOME = "/lib/twinroot"
MAIN_FILE = "main.py"

# Nothing here may lead to a second certificate for a device that has one in the field: which it has, only the line knows.
_MISSING = "A board that is this device already has the file, and keeps it; for any other, the line that makes the devices' files has it."

# No device that runs this package can honestly believe in an earlier time. Raised with releases, never lowered (Unix seconds, UTC).
RELEASED = calendar.timegm((2026, 1, 1, 0, 0, 0))


@dataclass(frozen=True)
class Interpreter:
    """What runs on the device, as `sys.implementation` and `sys.platform` say it."""

    version: tuple[int, ...] = (1, 27, 0)
    mpy: int | None = compiler.MPY_VERSION  # sys.implementation._mpy & 0xff; None: it takes no .mpy
    platform: str = "esp32"

    @classmethod
    def default(cls) -> Interpreter:
        """Stock firmware of today."""
        return cls()


@dataclass(frozen=True)
class Bundle:
    """`trust`: file name in the set's folder -> content, set.json among them; `lib`: absolute path on the device -> content.

    The key is not among them where the board keeps its own: set.json names its hash then, and the board copies it from the set it has.
    """

    product: str
    device: str
    board: str
    package: str
    trust: dict[str, bytes] = field(repr=False)
    lib: dict[str, bytes] = field(repr=False)
    set_sha256: str

    @property
    def total_bytes(self) -> int:
        """Sum of all contents."""
        return sum(map(len, self.trust.values())) + sum(map(len, self.lib.values()))

    def tree(self, number: int = 1) -> dict[str, bytes]:
        """Absolute path on the device -> content, with the set in /trust/`number` and active; set.json and then the pointer come last."""
        folder = f"/trust/{number}"
        made = dict(self.lib)
        made.update({f"{folder}/{name}": content for name, content in self.trust.items() if name != SET_FILE})
        made[f"{folder}/{SET_FILE}"] = self.trust[SET_FILE]
        made["/trust/active"] = str(number).encode()
        return made


@dataclass(frozen=True)
class Kept:
    """What a board keeps of itself: its identity, whose key is nowhere else, and the texts (client_id, ssid, password) of its set."""

    pair: Pair
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)


def build(product: Product, device: Device, interpreter: Interpreter | None = None, kept: Kept | None = None) -> Bundle:
    """Everything that `device` gets, `kept` but for what its board keeps. Raises InputError, with the product's line, for files and fields
    that do not fit."""
    interpreter = interpreter or Interpreter.default()
    package = compiler.package(interpreter.mpy, without=useless(product))
    one = texts(product, device, kept.texts if kept else {})
    pair = kept.pair if kept else _identity(product, device)
    trust = {f"{name}.pem": root.pem for name, root in product.roots.items()}
    lib, application = _programs(product)
    trust |= application
    trust[CERTIFICATE_FILE] = pair.certificate_pem
    if pair.key_pem is not None:
        trust[KEY_FILE] = pair.key_pem
    code = {f"{PACKAGE_HOME}/{package.digest}": package.content}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in {**trust, **code}.items()} | {KEY_FILE: pair.key_sha256}
    trust[SET_FILE] = sealed(_set(product, device, one, pair, package.digest, hashes))
    lib |= {f"{PACKAGE_HOME}/{compiler.LOADER}": package.loader, **code}
    return Bundle(
        product=product.name,
        device=device.id,
        board=product.board.name,
        package=package.digest,
        trust=dict(sorted(trust.items())),
        lib=dict(sorted(lib.items())),
        set_sha256=hashlib.sha256(trust[SET_FILE]).hexdigest(),
    )


def in_set(product: Product) -> bool:
    """Whether the application is a file of the set, so that it changes and goes back with it: where it may come over the air."""
    return product.vendor is not None and MAIN_FILE in product.app


def runner() -> bytes:
    """What /main.py is then: it runs main.py of the set in use."""
    return (folder("firmware") / "runner.py").read_bytes().replace(b"\r\n", b"\n")


def _programs(product: Product) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """(by absolute path, by name in the set's folder) of the product's application."""
    made = {f"/{name}": file.read_bytes() for name, file in product.app.items()}
    if not in_set(product):
        return made, {}
    return {**made, f"/{MAIN_FILE}": runner()}, {MAIN_FILE: made[f"/{MAIN_FILE}"]}


def sealed(value: dict[str, Any]) -> bytes:
    """set.json of `value`, its last key the hash of what stands before it: firmware/twinroot/seal.py asks it after a failure."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()[:-1]
    return text + b',"sum":"' + hashlib.sha256(text).hexdigest()[:16].encode() + b'"}'


def useless(product: Product) -> frozenset[str]:
    """Modules that this product cannot use."""
    found: frozenset[str] = frozenset()
    if product.vendor is None:
        found |= compiler.OVER_THE_AIR
    if product.vendor is None or product.board.slots is None:
        found |= compiler.SLOTS
    return found if product.lab_resolve else found | compiler.BENCH


def _set(product: Product, device: Device, one: Texts, pair: Pair, package: str, hashes: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "format": FORMAT,
        "product": product.name,
        "version": product.version,
        "device": device.id,
        "board": product.board.name,
        "chip": product.board.chip,
        "package": package,
        "routes": [
            {"name": r.name, "host": r.host, "port": r.port, "roots": list(r.roots), "standing": product.standing(r)}
            for r in product.routes
        ],
        "client_id": one.client_id,
        "cert": CERTIFICATE_FILE,
        "key": KEY_FILE,
        "time": {"servers": list(product.time_servers), "floor": max(int(pair.not_before.timestamp()), RELEASED)},
        "files": hashes,
    }
    if pair.certificate_pem.count(b"-----BEGIN") > 1:
        made["chain"] = True  # CAs follow the device's own certificate
    if one.ssid is not None:
        made["wifi"] = {"ssid": one.ssid.reveal(), **({"password": one.password.reveal()} if one.password else {})}
    policy = {"return": product.return_after, "silence": None if product.on_silence == "upward" else product.on_silence}
    # There in any case: over the air, what a set does not name stays as it was.
    made["policy"] = {key: value for key, value in policy.items() if value is not None}
    if product.retired:
        made["retired"] = sorted(product.retired.values())
    if product.vendor is not None:
        made["vendor"] = product.vendor
    if product.lab_resolve:
        made["lab"] = {"resolve": product.resolved_addresses()}
    return made


def _identity(product: Product, device: Device) -> Pair:
    certificate, key = files(product, device)
    try:
        pair = load_pair(certificate, key)
        check_name(pair.name, device, client_id(product, device), certificate)
        return pair
    except InputError as error:
        if error.file is None:
            raise  # about the product, which it names
        hint = (aws_names.hint(certificate, key, product.folder) or _MISSING) if isinstance(error, FileMissing) else ""
        raise product.document.placed(error, ("identity", "certificate" if error.file == certificate else "key"), hint) from None
