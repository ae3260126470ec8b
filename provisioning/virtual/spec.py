"""What a virtual board is, in plain values: made from a board file by whoever starts it, read by the hardware process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class BoardSpec:
    """One board type and the options of this run. Times in milliseconds, sizes in bytes."""

    board: str = "virtual-esp32"
    chip: str = "esp32"
    flash_size: int = 4 * MEGABYTE
    slot: int = 0  # bytes of each of two slots for firmware; 0: a table with one application
    heap: str = "160wK"  # as in -X heapsize=: w counts words, so that as many objects fit as on the 32-bit chip
    paced: bool = True
    latency_ms: float = 0.0
    flash_timing: str = "none"
    blank: bool = False  # a chip from the factory: nothing in flash
    seed: int = 0
    clock: str = "2000"  # what the RTC says at power on: a word of rtc.py
    usb: str = ""  # the chip's own USB port instead of a bridge: a word of usb.py
    straight: bool = False  # no transistors between DTR, RTS and IO0, EN
    faults: tuple[str, ...] = ()

    engine: str = "micropython"  # or "qemu", with the fields below
    qemu: str = ""  # path of the program
    machine: str = ""  # the names that it has for machine and network card
    card: str = ""
    wifi: bool = False  # whether that card is one for MicroPython's WLAN
    firmware: str = ""  # path of the image that a new flash file gets
    replay: str = ""  # engine "replay": path of a recorded session
    notes: tuple[str, ...] = ()  # what was asked for and is skipped, a sentence each

    def dumps(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> BoardSpec:
        fields = json.loads(text)
        return cls(**{**fields, "faults": tuple(fields["faults"]), "notes": tuple(fields["notes"])})
