"""What an ESP-IDF application says of itself: esp_app_desc_t, at the beginning of its first segment.

Source of the layout: esp_app_desc.h of ESP-IDF. Offsets in bytes from the magic, little endian, texts end in NUL:

    0   magic 0xABCD5432     16  version, 32 bytes          112  version of ESP-IDF, 32 bytes
    4   secure version       48  name of project, 32 bytes  144  SHA-256 of the ELF file
    8   reserved             80  time and date, 16 each
"""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.flash.app_image import MAGIC as IMAGE_MAGIC

_MAGIC = (0xABCD5432).to_bytes(4, "little")
_BEFORE = 32  # header of the image and of its first segment
_TEXT = 32


@dataclass(frozen=True)
class AppDescription:
    """Texts as the build wrote them; `version` and `idf` are what git described there, such as "v5.4.2" or "v5.4.2-dirty"."""

    version: str
    project: str
    idf: str


def find(content: bytes) -> AppDescription | None:
    """The description of the first application in a firmware file; None where there is none."""
    at = content.find(_MAGIC)
    while at >= 0:
        if at >= _BEFORE and content[at - _BEFORE] == IMAGE_MAGIC and at + 144 <= len(content):
            return AppDescription(*(_text(content, at + offset) for offset in (16, 48, 112)))
        at = content.find(_MAGIC, at + 1)
    return None


def _text(content: bytes, at: int) -> str:
    return content[at : at + _TEXT].split(b"\0")[0].decode("ascii", "replace")
