"""The security of a chip: what its fuses say, and what the board file's `security` block would burn into it.

Nothing here burns by itself: `Burn.go` wants the sentence that names the board, typed by a person.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.chips import Step
from provisioning.config.board_type import BoardType
from provisioning.errors import BoardError, InputError
from provisioning.flash import efuse, work
from provisioning.flash.loader_access import open_line
from provisioning.identity.files import KEY_MODE, write_new

KEY_BYTES = 32


@dataclass(frozen=True)
class ChipSecurity:
    """A chip at a port, asked by register reads only."""

    name: str
    revision: str
    mac: str
    where: efuse.Where
    log: Path
    locked: str = ""  # what is burned already and rules out more

    def fuses(self) -> dict[str, Any]:
        """Name -> value of the security fuses. Raises StationError."""
        return efuse.summary(self.where, self.log)


def look(board: BoardType, port: str) -> ChipSecurity:
    """The chip at `port`, which runs its program again afterwards. Raises BoardError for another chip than the board file's."""
    log = work.log_file("efuses")
    with open_line(board, port, log) as line:
        facts = line.examine(None).facts
        line.start()
    if facts.chip != board.chip:
        raise BoardError(
            "wrong-chip",
            f"The board on {port} has an {facts.chip}, the board '{board.name}' has an {board.chip}.",
            "Take a board of the right type, or correct `board` in the product file.",
        )
    on = (
        ("flash encryption", facts.flash_encryption),
        ("secure boot", facts.secure_boot),
        ("secure download mode", facts.secure_download),
    )
    locked = ", ".join(name for name, is_on in on if is_on)
    return ChipSecurity(facts.chip, facts.revision_text, facts.mac, place(facts.chip, port), log, locked)


def place(chip: str, port: str) -> efuse.Where:
    """Where espefuse finds the fuses."""
    return efuse.Where(chip, port)


@dataclass(frozen=True)
class Burn:
    """What a board file's `security` block asks for on one chip: steps in order, and the files of the keys that they name."""

    chip: ChipSecurity
    steps: tuple[Step, ...]
    keys: Mapping[str, Path]

    @classmethod
    def of(cls, board: BoardType, chip: ChipSecurity) -> Burn:
        """Raises InputError (no block, a key file that will not do) or BoardError (the chip is locked already)."""
        asked = board.security
        if not (asked.flash_encryption or asked.nvs_key):
            raise InputError(
                "no-security",
                f"The board '{board.name}' has no `security` block that asks for anything, so there is nothing to burn.",
                "docs/factory.md shows the block.",
            )
        if chip.locked:
            raise BoardError(
                "security-on", f"The chip {chip.mac} has {chip.locked} on already; nothing was burned.", "Use a fresh one, or leave it."
            )
        names = {"key": asked.flash_key if asked.flash_encryption else None, "nvs": asked.nvs_key}
        keys = {name: Path(text.replace("{mac}", chip.mac.replace(":", ""))) for name, text in names.items() if text}
        for path in keys.values():
            _usable(path)
        return cls(chip, efuse.plan(chip.name, asked.flash_encryption, nvs="nvs" in keys), keys)

    @property
    def sentence(self) -> str:
        """What must be typed."""
        return efuse.sentence(self.chip.mac)

    def go(self, typed: str) -> None:
        """Burn, after the sentence was typed. Key files that are not there are made first. Raises InputError, StationError, BoardError."""
        if typed == self.sentence:
            for path in self.keys.values():
                if not path.exists():
                    write_new(path, secrets.token_bytes(KEY_BYTES), KEY_MODE)
        efuse.burn(self.chip.where, self.steps, dict(self.keys), self.chip.mac, typed, self.chip.log)


def _usable(path: Path) -> None:
    """A key file that is there must be one, and its owner's alone; one that is not there will be made."""
    if not path.exists():
        return
    if not path.is_file() or path.stat().st_size != KEY_BYTES:
        raise InputError("bad-key", f"{path} is not a key: it is not a file of {KEY_BYTES} bytes.", "Move it away, and a new key is made.")
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise InputError("key-readable", f"The key {path} can be read by others.", f"chmod 600 {path}")
