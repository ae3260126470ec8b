"""The chips. A new one is a file in this folder that defines CHIP; everything else asks the tables below.

Chips without Wi-Fi are here to be recognised and refused by name.
"""

from __future__ import annotations

import importlib
import pkgutil

from provisioning.chips.chip import MAGIC_REGISTER, Bits, Chip, Mode, Step

__all__ = [
    "CHIPS",
    "ENCRYPTED",
    "MAGIC_REGISTER",
    "NAMED_BY_MAGIC",
    "NOT_ESP32",
    "REFUSED",
    "USABLE",
    "VIRTUAL",
    "Bits",
    "Chip",
    "Mode",
    "Step",
]

CHIPS: dict[str, Chip] = {
    name: importlib.import_module(f"{__name__}.{name}").CHIP
    for name in sorted(found.name for found in pkgutil.iter_modules(__path__))
    if name.startswith("esp32")
}

USABLE = tuple(name for name, chip in CHIPS.items() if not chip.refused)  # what a board file may name
ENCRYPTED = tuple(name for name in USABLE if CHIPS[name].encryption)  # whose flash encryption can be switched on
NAMED_BY_MAGIC = tuple(chip for chip in CHIPS.values() if chip.magic is not None)  # whose ROM has no chip id to tell
VIRTUAL = {name: chip for name, chip in CHIPS.items() if chip.virtual}

# People try these as well: no ESP32 at all, and why the answer is no.
NOT_ESP32 = {"esp8266": "its stock MicroPython builds use axTLS, which cannot verify a server at all"}
REFUSED = {**NOT_ESP32, **{name: chip.refused for name, chip in CHIPS.items() if chip.refused}}
