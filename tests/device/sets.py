"""Sets as they lie in a board's flash, compiled, packed and sealed as the host tools do it, with whatever content a test wants."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from typing import Any

from provisioning.bundle import compile as compiler
from provisioning.bundle.bundle import CERTIFICATE_FILE, FORMAT, KEY_FILE, MAIN_FILE, PACKAGE_HOME, SET_FILE, sealed
from provisioning.bundle.pack import pack
from tests.device.jail import ROOT
from tests.support.pki import Cert

SOURCE = ROOT / "firmware" / "twinroot"
FLOOR = 1704067200  # 2024-01-01


@cache
def compiled() -> dict[str, bytes]:
    """{module name: .mpy} of the whole package, the loader included: as the host tools compile it."""
    package = compiler.package(compiler.MPY_VERSION)
    loader = compiler._compile({compiler.LOADER: package.loader})  # which travels as source
    return {name.removesuffix(".mpy"): content for name, content in {**package.modules, **loader}.items()}


Change = dict[str, "bytes | None"]


def modules(change: Change | None = None) -> dict[str, bytes]:
    """File name -> content of the package's modules, some replaced by `change`, or left out (None)."""
    changed = {f"{m}.mpy": data for m, data in compiled().items() if m != "__init__"} | (change or {})
    return {n: data for n, data in changed.items() if data is not None}


def package(change: Change | None = None) -> tuple[str, dict[str, bytes]]:
    """(name, files by device path) of the connection package, some modules replaced by `change`, or left out (None)."""
    digest, content = pack(modules(change))
    return digest, {f"{PACKAGE_HOME}/{digest}": content}


def folder_package(change: Change | None = None) -> tuple[str, dict[str, bytes]]:
    """The same as the first releases wrote it: a folder of modules, whose name the loader does not check."""
    made = modules(change)
    digest = hashlib.sha256(json.dumps(sorted((n, len(d)) for n, d in made.items())).encode()).hexdigest()[:12]
    return digest, {f"{PACKAGE_HOME}/{digest}/{n}": d for n, d in made.items()}


def loader() -> dict[str, bytes]:
    """As the host writes it: source, so that it survives a change of MicroPython's bytecode."""
    return {f"{PACKAGE_HOME}/{compiler.LOADER}": compiler.package(compiler.MPY_VERSION).loader}


def route(name: str, host: str, roots: list[str], port: int = 8883) -> dict[str, Any]:
    return {"name": name, "host": host, "port": port, "roots": roots}


def build(
    number: int,
    routes: list[dict[str, Any]],
    roots: dict[str, Cert],
    device: Cert | None = None,
    *,
    change: Change | None = None,
    package: Callable[[Change | None], tuple[str, dict[str, bytes]]] = package,
    name: str = "t-1",
    app: bytes | None = None,
    **more: Any,
) -> dict[str, bytes]:
    """Files of set `number`: package, roots, identity, the application `app`, set.json with `more`. `package` makes the code's files;
    `name`: the device."""
    digest, lib = package(change)
    files = {f"{n}.pem": c.pem for n, c in roots.items()}
    if app is not None:
        files[MAIN_FILE] = app
    if device:
        files |= {CERTIFICATE_FILE: device.pem, KEY_FILE: device.key_pem}
    info: dict[str, Any] = {
        "format": FORMAT,
        "product": "test",
        "version": number,
        "device": name,
        "board": "virtual-esp32",
        "chip": "esp32",
        "package": digest,
        "routes": routes,
        "client_id": name,
        "time": {"servers": [], "floor": FLOOR},
        "files": {n: hashlib.sha256(d).hexdigest() for n, d in {**files, **lib}.items()},
        **({"cert": CERTIFICATE_FILE, "key": KEY_FILE} if device else {}),
        **more,
    }
    return {**{f"/trust/{number}/{n}": d for n, d in files.items()}, f"/trust/{number}/{SET_FILE}": sealed(info), **lib}


def board(active: int, *parts: dict[str, bytes]) -> dict[str, bytes]:
    """The whole file system."""
    out = {**loader(), "/trust/active": str(active).encode()}
    for part in parts:
        out |= part
    return out
