"""Two slots for firmware, step by step: what is done, which slot runs then, and the two entries of otadata, as they were read out of
an emulated ESP32-C3 with the stock boot loader of MicroPython 1.24.1 (ESP-IDF 5.2.2). The virtual board has to have the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

OTADATA = 0xD000  # its address in the tables of MicroPython's OTA builds
_CRC = {1: "9a984347", 2: "7437f655", 3: "11504aed", 4: "a8689d70"}
NEW, PENDING, VALID, ABORTED = 0, 1, 2, 4
BLANK = "ff" * 32
_TORN = b"\x02" + b"\xff" * 31

_COPY = """
a=Partition(Partition.RUNNING);b=a.get_next_update();m=bytearray(4096);v=memoryview(m)
for i in range(a.info()[3]//4096):
 a.readblocks(i,m)
 if m==b'\\xff'*4096:break
 b.ioctl(6,i);b.writeblocks(i,v[:1000],0);b.writeblocks(i,v[1000:],1000)
"""


def entry(seq: int, state: int) -> str:
    """One entry in hex."""
    return f"{seq:02x}000000{'ff' * 20}{state:02x}000000{_CRC[seq]}"


class Chip(Protocol):
    def restart(self) -> None:
        """Power off and on; returns at the prompt."""

    def run(self, code: str) -> str:
        """Code at the prompt; what it printed."""

    def read(self, address: int, size: int) -> bytes:
        """From flash."""

    def load(self, address: int, data: bytes) -> None:
        """Into flash, while the power is off."""


@dataclass(frozen=True)
class Step:
    """`code`: at the prompt; None: a reset. `said`: what it printed. `spoil`: (address or partition's label, bytes) put into flash before a
    reset."""

    what: str
    running: str
    entries: tuple[str, str]
    code: str | None = None
    said: str = ""
    spoil: tuple[str, bytes] | None = None


STEPS = (
    Step("the first start makes otadata", "ota_0", (entry(1, VALID), BLANK)),
    Step(
        "an empty slot",
        "ota_0",
        (entry(1, VALID), BLANK),
        "go(lambda:Partition('ota_1').set_boot())",
        "(-5379, 'ESP_ERR_OTA_VALIDATE_FAILED')",
    ),
    Step("the image is copied", "ota_0", (entry(1, VALID), BLANK), _COPY),
    Step("set_boot", "ota_0", (entry(1, VALID), entry(2, NEW)), "Partition('ota_1').set_boot()"),
    Step("its first start", "ota_1", (entry(1, VALID), entry(2, PENDING))),
    Step("it has not said that it works", "ota_0", (entry(1, VALID), entry(2, ABORTED))),
    Step("again", "ota_0", (entry(1, VALID), entry(2, NEW)), "Partition('ota_1').set_boot()"),
    Step("its first start, again", "ota_1", (entry(1, VALID), entry(2, PENDING))),
    Step("it says that it works", "ota_1", (entry(1, VALID), entry(2, VALID)), "Partition.mark_app_valid_cancel_rollback()"),
    Step("it stays", "ota_1", (entry(1, VALID), entry(2, VALID))),
    Step("itself", "ota_1", (entry(2, NEW), entry(2, VALID)), "Partition('ota_1').set_boot()"),
    Step("the other entry is in force", "ota_1", (entry(2, PENDING), entry(2, VALID))),
    Step("back", "ota_1", (entry(2, PENDING), entry(3, NEW)), "Partition('ota_0').set_boot()"),
    Step("and forth, without a reset", "ota_1", (entry(4, NEW), entry(3, NEW)), "Partition('ota_1').set_boot()"),
    Step("the newest", "ota_1", (entry(4, PENDING), entry(3, NEW))),
    Step("given up for one that is new as well", "ota_0", (entry(4, ABORTED), entry(3, PENDING))),
    Step("both given up: the first slot", "ota_0", (entry(4, ABORTED), entry(3, ABORTED))),
    Step(
        "nothing in force",
        "ota_0",
        (entry(4, ABORTED), entry(3, ABORTED)),
        "go(Partition.mark_app_valid_cancel_rollback)",
        "(1, 'ESP_FAIL')",
    ),
    Step("set_boot, nothing in force", "ota_0", (entry(2, NEW), entry(3, ABORTED)), "Partition('ota_1').set_boot()"),
    Step("a damaged image", "ota_0", (entry(2, PENDING), entry(3, ABORTED)), spoil=("ota_1", b"\0" * 32)),
    Step("and it is given up", "ota_0", (entry(2, ABORTED), entry(3, ABORTED))),
    # The first slot that is whole, and nobody mends otadata.
    Step("otadata torn while it was written", "ota_0", (_TORN.hex(), BLANK), spoil=("otadata", _TORN + b"\xff" * 0x1FE0)),
)
_START = """
from esp32 import Partition
def go(f):
 try: f()
 except OSError as e: print(e.args)
"""


def play(chip: Chip) -> list[str]:
    """Every step on the chip, which has never started; what differs from the table, a line each."""
    where: dict[str, int] = {"otadata": OTADATA}
    wrong = []
    for step in STEPS:
        said = ""
        if step.code is None:
            if step.spoil:
                chip.load(where[step.spoil[0]], step.spoil[1])
            chip.restart()
        else:
            said = chip.run(_START + step.code).strip()
        if "ota_1" not in where:
            where["ota_1"] = int(chip.run(_START + "print(Partition('ota_1').info()[2])"))
        running = chip.run(_START + "print(Partition(Partition.RUNNING).info()[4])").strip()
        entries = tuple(chip.read(OTADATA + at, 32).hex() for at in (0, 0x1000))
        found = (running, entries, said)
        if found != (step.running, step.entries, step.said):
            wrong.append(f"{step.what}: {found}, expected {(step.running, step.entries, step.said)}")
    return wrong
