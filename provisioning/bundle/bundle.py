"""A bundle: every byte that one device gets. A pure function of product, device and interpreter: no time, no order of a dictionary."""

from __future__ import annotations

import calendar
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from provisioning.bundle import compile as compiler
from provisioning.config.device import Device
from provisioning.config.document import Loc, shown
from provisioning.config.product import Product
from provisioning.config.unit import Unit, unit
from provisioning.errors import InputError
from provisioning.identity.pair import Pair, load_pair

FORMAT = 1
SET_FILE = "set.json"
CERTIFICATE_FILE = "device.crt.pem"
KEY_FILE = "device.key.pem"
PACKAGE_HOME = "/lib/twinroot"

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
    """`trust`: file name in the set's folder -> content, set.json among them; `lib`: absolute path on the device -> content."""

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


def build(product: Product, device: Device, interpreter: Interpreter | None = None) -> Bundle:
    """Everything that `device` gets. Raises InputError, with the product's line, for files and fields that do not fit."""
    interpreter = interpreter or Interpreter.default()
    package = compiler.package(interpreter.mpy)
    one = unit(product, device)
    pair = _identity(product, device, one)
    trust = {f"{name}.pem": root.pem for name, root in product.roots.items()}
    trust[CERTIFICATE_FILE] = pair.certificate_pem
    trust[KEY_FILE] = pair.key_pem
    modules = {f"{PACKAGE_HOME}/{package.digest}/{name}": content for name, content in package.files.items()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in {**trust, **modules}.items()}
    trust[SET_FILE] = sealed(_set(product, device, one, pair, package.digest, hashes))
    lib = {f"{PACKAGE_HOME}/{compiler.LOADER}": package.loader, **modules}
    lib.update({f"/{name}": file.read_bytes() for name, file in product.app.items()})
    return Bundle(
        product=product.name,
        device=device.id,
        board=product.board.name,
        package=package.digest,
        trust=dict(sorted(trust.items())),
        lib=dict(sorted(lib.items())),
        set_sha256=hashlib.sha256(trust[SET_FILE]).hexdigest(),
    )


def sealed(value: dict[str, Any]) -> bytes:
    """set.json of `value`, its last key the hash of what stands before it: firmware/twinroot/seal.py asks it after a failure."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()[:-1]
    return text + b',"sum":"' + hashlib.sha256(text).hexdigest()[:16].encode() + b'"}'


def _set(product: Product, device: Device, one: Unit, pair: Pair, package: str, hashes: dict[str, str]) -> dict[str, Any]:
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


def _identity(product: Product, device: Device, one: Unit) -> Pair:
    places: dict[str, Loc] = {shown(one.certificate): ("identity", "certificate"), shown(one.key): ("identity", "key")}
    try:
        return load_pair(one.certificate, one.key)
    except InputError as error:
        loc = next((loc for name, loc in places.items() if error.message.startswith(f"{name}:")), ("identity",))
        hint = error.hint
        if error.code == "file-missing" and product.identity.issue is not None:
            hint = f"Make it: twinroot identity make {shown(product.source)} --device {device.id}"
        raise product.error(loc, error.code, error.message, hint) from None
