"""A command on boards that are not there, with everything it would write kept away: the product is a copy, the ledger and the caches are
new, and `auto` means the virtual boards. What a technician does at a line can be tried before there is a line.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from provisioning.config.document import shown, wrong
from provisioning.link.rehearsed import REHEARSED

BLANK = frozenset({"flash", "station"})  # commands that begin with boards from the chip's factory
_MOST_BYTES = 256 << 20  # of a product's folder


@contextmanager
def boards(command: str, product: Path, count: int, *, paced: bool = False, flash_timing: str = "none") -> Iterator[Path]:
    """`count` virtual boards for `command`, named by the environment; the path of the product's copy. `paced`, `flash_timing`: whether line
    and flash take their time. Raises InputError, StationError."""
    from provisioning.config.load import load_product
    from provisioning.virtual import VirtualBoard

    loaded = load_product(product)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twinroot-rehearsal-")))
        copy = _copied(loaded.folder.resolve(), place / "product") / product.name
        if loaded.board.firmware_file is None and loaded.board.firmware.url is None and command in BLANK:
            _with_firmware(copy, loaded.board.name, loaded.board.chip, loaded.board.flash_bytes)
        options: dict[str, Any] = {"chip": loaded.board.chip, "flash_size": f"{loaded.board.flash_bytes >> 20}MB"}
        options |= {"paced": paced, "flash_timing": flash_timing}
        started = [stack.enter_context(VirtualBoard(blank=command in BLANK, **options)) for _ in range(count)]
        changed = {
            REHEARSED: ",".join(board.port for board in started),
            "TWINROOT_LEDGER": str(place / "ledger.sqlite"),
            "TWINROOT_CACHE": str(place / "cache"),
            "TWINROOT_LOGS": str(place / "logs"),
        }
        stack.enter_context(environment(changed))
        yield copy


def mapped(arguments: Sequence[str], product: Path, copy: Path) -> list[str]:
    """`arguments` with files of the product's folder replaced by those of its copy."""
    home = product.parent.resolve()

    def one(text: str) -> str:
        path = Path(text)
        try:
            inside = path.resolve().relative_to(home)
        except (ValueError, OSError):
            return text
        return str(copy.parent / inside) if path.exists() and not text.startswith("-") else text

    return [one(text) for text in arguments]


def _copied(source: Path, target: Path) -> Path:
    size = sum(file.stat().st_size for file in source.rglob("*") if file.is_file())
    if size > _MOST_BYTES:
        hint = "Give the product its own folder."
        raise wrong("folder-too-big", f"{shown(source)}: has {size >> 20} MB, too much to copy for a rehearsal", hint)
    shutil.copytree(source, target, symlinks=False)
    return target


def _with_firmware(product: Path, board: str, chip: str, size: int) -> None:
    """The stand-in firmware that virtual boards boot, for a product that leaves the firmware to whoever has boards."""
    import hashlib

    from provisioning.chips import CHIPS
    from provisioning.migration import yaml_edit
    from provisioning.virtual import boot_image

    content = boot_image.firmware(CHIPS[chip], size)
    home = product.parent
    (home / "rehearsal.bin").write_bytes(content)
    named = yaml_edit.value_at(product.read_text("utf-8-sig"), ("board",), str(product)) or board
    (home / "rehearsal-board.yaml").write_text(
        f'extends: "{named}"\n'
        f'firmware: {{file: rehearsal.bin, sha256: "{hashlib.sha256(content).hexdigest()}", version: "1.29.0-stand-in"}}\n',
        encoding="utf-8",
    )
    yaml_edit.change_file(product, {("board",): "./rehearsal-board.yaml"})


@contextmanager
def environment(changed: dict[str, str]) -> Iterator[None]:
    """These variables meanwhile, and those of before afterwards."""
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
