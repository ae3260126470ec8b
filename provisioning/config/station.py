"""A station file, checked: names of slots and what each is bound to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from provisioning.config import yaml_source
from provisioning.config.checked import checked
from provisioning.config.document import Document, clip

SOCKET = re.compile(r"\d+-\d+(\.\d+)*")  # a place on a USB bus, as pyserial writes it
_WORDS = ("mac:", "auto", "virtual")

Kind = Literal["socket", "serial", "port"]


@dataclass(frozen=True)
class SlotPlace:
    """Where boards of a slot are plugged in. `kind`: "socket", a place on a USB bus; "serial", an adapter's USB serial number; "port", a
    device or URL."""

    name: str
    kind: Kind
    value: str


def load_slots(path: Path) -> list[SlotPlace]:
    """The slots of the station file `path`, in its order. Raises InputError with file, line and key."""
    document = yaml_source.load(path)
    raw = checked("station", document)
    made: list[SlotPlace] = []
    for index, slot in enumerate(raw.slots):
        place = SlotPlace(slot.name, *_kind(slot.port, document, index))
        for other in made:
            for key, same in (("name", other.name == place.name), ("port", (other.kind, other.value) == (place.kind, place.value))):
                if same:
                    raise document.error(
                        ("slots", index, key), "bad-value", f"is that of slot {other.name}, too, expected one of its own", "Each slot once."
                    )
        made.append(place)
    return made


def bound_to(text: str) -> tuple[Kind, str]:
    """What `text` binds a slot to. Raises ValueError with what was expected."""
    word, _, rest = text.partition(":")
    if word == "usbpath" or (word == "usb" and SOCKET.fullmatch(rest)):
        if not SOCKET.fullmatch(rest):
            raise ValueError("a socket such as usbpath:1-2.3")
        return "socket", rest
    if word in ("serial", "usb"):
        if not rest.strip():
            raise ValueError("a serial number after the colon")
        return "serial", rest
    if text.startswith(_WORDS) or (any(mark in text for mark in "*?[,") and "://" not in text):
        raise ValueError("one socket, adapter, device or URL")
    return "port", text


def _kind(text: str, document: Document, index: int) -> tuple[Kind, str]:
    try:
        return bound_to(text)
    except ValueError as error:
        problem = f"found {clip(text)!r}, expected {error}"
        hint = "`twinroot doctor` lists what is plugged in."
        raise document.error(("slots", index, "port"), "bad-value", problem, hint) from None
