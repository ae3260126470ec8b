"""What esptool knows of a chip: register addresses, memory map, and which code is its flasher stub.

esptool is a program of its own (GPL): it is asked in a process of its own, once per version, and the numbers are kept in the cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from provisioning.errors import StationError
from provisioning.virtual import cache

# Further esptool checkouts whose stubs count as stubs too, separated like PATH.
EXTRA_ESPTOOL = "VIRTUAL_BOARD_ESPTOOL"

_ASK = """
import base64, hashlib, json, pathlib, re, sys
import esptool
from esptool.targets import CHIP_DEFS
rom = CHIP_DEFS[sys.argv[1]]
numbers = {n: getattr(rom, n) for n in dir(rom) if n.isupper() and isinstance(getattr(rom, n), int)}
stubs = {}
for file in (pathlib.Path(esptool.__file__).parent / "targets" / "stub_flasher").rglob("*.json"):
    stub = json.loads(file.read_text())
    notes = file.with_name("README.md")
    release = re.search(r"/tag/v(\\d+)\\.(\\d+)", notes.read_text() if notes.exists() else "")
    code = {"entry": stub["entry"], "line": file.parent.name, "release": [int(n) for n in release.groups()] if release else []}
    stubs[hashlib.sha256(base64.b64decode(stub["text"])).hexdigest()] = code
regions = [[a, b] for a, b, name in (rom.MEMORY_MAP or []) if name != "PADDING"]
print(json.dumps({"numbers": numbers, "stubs": stubs, "regions": regions}))
"""


@dataclass(frozen=True)
class StubCode:
    """`line`: "1" is the older stub, "2" is esp-flasher-stub; `release`: major and minor, empty where esptool does not say."""

    entry: int
    line: str
    release: tuple[int, ...]


@dataclass(frozen=True)
class LoaderFacts:
    """`numbers`: esptool's names for registers and masks; `stubs`: by the SHA-256 of their code; `regions`: memory."""

    numbers: dict[str, int]
    stubs: dict[str, StubCode]
    regions: tuple[tuple[int, int], ...]

    def address(self, name: str, default: int = -1) -> int:
        return self.numbers.get(name, default)


_asked: dict[str, asyncio.Future[LoaderFacts]] = {}


async def load(chip: str) -> LoaderFacts:
    """Raises StationError when esptool is not installed or answers nonsense.

    A process asks once: whoever gives up waiting, as a board does that is reset, leaves the answer to the next.
    """
    asked = _asked.get(chip)
    if asked is None:
        asked = _asked[chip] = asyncio.ensure_future(_load(chip))
    try:
        return await asyncio.shield(asked)
    except StationError:
        _asked.pop(chip, None)
        raise


async def _load(chip: str) -> LoaderFacts:
    facts = await _one(chip, None)
    for checkout in filter(None, os.environ.get(EXTRA_ESPTOOL, "").split(os.pathsep)):
        more = await _one(chip, checkout)
        facts = LoaderFacts(facts.numbers, {**facts.stubs, **more.stubs}, facts.regions)
    return facts


async def _one(chip: str, checkout: str | None) -> LoaderFacts:
    name = _cache_name(chip, checkout)
    kept = cache.read(name) if name else None
    text = kept.decode() if kept is not None else await _ask(chip, checkout)
    try:
        raw = json.loads(text)
        regions = tuple((int(a), int(b)) for a, b in raw["regions"])
        stubs = {digest: StubCode(code["entry"], code["line"], tuple(code["release"])) for digest, code in raw["stubs"].items()}
        facts = LoaderFacts(raw["numbers"], stubs, regions)
    except (ValueError, KeyError) as error:
        raise StationError("esptool-answer", f"esptool gave no usable description of {chip}", "Reinstall esptool.") from error
    if name and kept is None:
        cache.write(name, text.encode())
    return facts


async def _ask(chip: str, checkout: str | None) -> str:
    environment = dict(os.environ)
    if checkout:
        environment["PYTHONPATH"] = os.pathsep.join([checkout, environment.get("PYTHONPATH", "")])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ASK, chip, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
    )
    out, problem = await process.communicate()
    if process.returncode != 0:
        last = (problem.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise StationError("esptool-missing", f"esptool cannot describe the chip {chip}: {last}", "pip install 'esptool>=5.2,<6'.")
    return out.decode()


def _cache_name(chip: str, checkout: str | None) -> str:
    """Where the answer is kept; nowhere when esptool has no version."""
    # The question is part of the key: another question, another answer.
    question = hashlib.sha256(_ASK.encode()).hexdigest()[:8]
    if checkout is not None:
        return f"{chip}-{_content(Path(checkout) / 'esptool' / 'targets')}-{question}.json"
    try:
        version = metadata.version("esptool")
    except metadata.PackageNotFoundError:
        return ""
    return f"{chip}-{version}-{question}.json"


def _content(folder: Path) -> str:
    """A checkout changes without a new version: its files say whether it is the same."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.*")):
        if file.suffix in (".py", ".json", ".md"):
            digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:16]
