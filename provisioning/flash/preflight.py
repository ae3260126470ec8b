"""Everything that forbids a write, found out before the first one: a table of refusals over what the chip says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from provisioning.config.board_type import BoardType
from provisioning.errors import BoardError, InputError, TwinrootError
from provisioning.flash.firmware import Firmware
from provisioning.flash.rom import ChipFacts

_PLAIN = "Such a chip takes only images signed or encrypted with its own keys, and stock MicroPython cannot be; use a fresh one."


@dataclass(frozen=True)
class Question:
    """What a refusal may look at."""

    board: BoardType
    facts: ChipFacts
    firmware: Firmware
    port: str
    end: int  # bytes of flash that are needed
    allowed: frozenset[str] | None  # MACs; None: every board is welcome


@dataclass(frozen=True)
class Refusal:
    """`says` returns the sentence when the board must not be written, else None."""

    code: str
    error: type[TwinrootError]
    says: Callable[[Question], str | None]
    hint: str


def _revision(text: str) -> int:
    major, minor = re.fullmatch(r"v(\d+)\.(\d+)", text).groups()  # type: ignore[union-attr]  # the board's schema
    return int(major) * 100 + int(minor)


def _wrong_chip(q: Question) -> str | None:
    if q.facts.chip != q.board.chip:
        return f"The board on {q.port} has an {q.facts.chip}, the product's board '{q.board.name}' has an {q.board.chip}."
    return None


def _download_locked(q: Question) -> str | None:
    return f"The chip on {q.port} is in secure download mode." if q.facts.secure_download else None


def _secure_boot(q: Question) -> str | None:
    return f"The chip {q.facts.mac} has secure boot on." if q.facts.secure_boot else None


def _flash_encryption(q: Question) -> str | None:
    return f"The chip {q.facts.mac} has flash encryption on." if q.facts.flash_encryption else None


def _old_chip(q: Question) -> str | None:
    if q.facts.revision < _revision(q.board.min_revision):
        return f"The chip {q.facts.mac} has revision {q.facts.revision_text}, the board '{q.board.name}' asks for {q.board.min_revision}."
    return None


def _old_for_firmware(q: Question) -> str | None:
    least = q.firmware.min_revision
    if q.facts.revision < least:
        wanted = f"v{least // 100}.{least % 100}"
        return f"The chip {q.facts.mac} has revision {q.facts.revision_text}, the firmware {q.firmware.file} needs {wanted}."
    return None


def _no_flash(q: Question) -> str | None:
    return f"The flash of {q.facts.mac} does not answer, or its size is not known." if q.facts.flash is None else None


def _small_flash(q: Question) -> str | None:
    found = q.facts.flash or 0
    if found < q.end:
        return f"The board {q.facts.mac} has {found} bytes of flash, {q.end} are needed ({q.end - found} more)."
    if found < q.board.flash_bytes:
        return f"The board {q.facts.mac} has {found} bytes of flash, the board '{q.board.name}' has {q.board.flash_bytes}."
    return None


def _not_allowed(q: Question) -> str | None:
    if q.allowed is not None and q.facts.mac not in q.allowed:
        return f"The board {q.facts.mac} is not on the list of allowed boards."
    return None


REFUSALS = (
    Refusal("wrong-chip", BoardError, _wrong_chip, "Take a board of the right type, or correct `board` in the product file."),
    Refusal("secure-download", BoardError, _download_locked, _PLAIN),
    Refusal("secure-boot", BoardError, _secure_boot, _PLAIN),
    Refusal("flash-encryption", BoardError, _flash_encryption, _PLAIN),
    Refusal("wrong-revision", BoardError, _old_chip, "Take a newer chip, or lower `min_revision` in the board file."),
    Refusal("wrong-revision", BoardError, _old_for_firmware, "Take a newer chip, or a firmware image for this revision."),
    Refusal("no-flash-chip", BoardError, _no_flash, "Soldering or supply of the flash chip: put the board aside."),
    Refusal("flash-too-small", BoardError, _small_flash, "Take a board with more flash, or correct `flash_size` in the board file."),
    Refusal("not-allowed", InputError, _not_allowed, "Take a board of this batch, or correct the list (column `mac`)."),
)


def refuse(question: Question) -> None:
    """Raise the first refusal that applies."""
    for refusal in REFUSALS:
        sentence = refusal.says(question)
        if sentence is not None:
            raise refusal.error(refusal.code, sentence, refusal.hint)


def fits(question: Question) -> bool:
    """Whether no refusal applies."""
    return all(refusal.says(question) is None for refusal in REFUSALS)
