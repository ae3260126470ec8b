"""A board with two slots for firmware whose application installs what lies in its files, and tells what it runs on; firmware to install."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from provisioning.chips import CHIPS
from provisioning.link.port import open_port
from provisioning.virtual import boot_image
from provisioning.virtual.client import VirtualBoard
from tests.device import sets
from tests.device.virtual import Virtual, read

BOARD = "virtual-esp32-ota"
VFS, BLOCKS = 0x310000, 240
SLOT = {"ota_0": 0x10000, "ota_1": 0x190000}
SLOT_BYTES = 0x180000
OTADATA = 0xD000
STATES = {0: "new", 1: "pending", 2: "valid", 4: "aborted", 0xFFFFFFFF: "blank"}
LIMIT = 60.0  # s for a story, whose boots take a tenth each

# Tells [word, set, slot, version of the firmware, …]. %s: what a firmware may do before it connects.
APP = """
import json, sys
import esp32, machine, uos, twinroot
def say(word, *more):
    print("@", json.dumps([word, twinroot.SET, esp32.Partition(esp32.Partition.RUNNING).info()[4], VERSION] + list(more)))
VERSION = sys.version.split()[-1] if "v" in sys.version.split()[-1] else ""
def more():
    pass
%s
def install():
    from twinroot import image, seal, sets, slots
    size, digest = json.load(open("/todo"))
    w = image.Writer(size, digest)
    say("at", w.at)
    mv = memoryview(bytearray(1000))
    with open("/fw.bin", "rb") as f:
        f.seek(w.at)
        while True:
            n = f.readinto(mv)
            if not n:
                break
            w.write(mv[:n])
    if w.finish():
        p = sets.path(2) + "set."
        with open(p + "json") as f:
            s = json.load(f)
        s.pop("sum", None)
        s["image"] = image.says()
        with open(p + "new", "w+b") as f:
            json.dump(s, f)
            seal.end(f)
        uos.rename(p + "new", p + "json")
        image.commit()
        slots.commit(2)
    machine.reset()
twinroot.core.CONFIRM_MS = 0
try:
    twinroot.connect().close()
    say("up")
    if twinroot.slots.active() == 1 and "todo" in uos.listdir("/") and twinroot.guard.read()["refused"] < 2:
        install()
    more()
    say("end", twinroot.guard.read()["refused"])
except OSError as e:
    say("error", getattr(e, "kind", None), str(e))
"""


def firmware(version: str = "v2", project: str = "micropython", size: int = 0x2000, chip: str = "esp32") -> bytes:
    """An image of about `size` bytes; `project` as boot_image.DOES has it."""
    return boot_image.application(CHIPS[chip], 4 << 20, size, boot_image.AppDescription(version, project))


def todo(image: bytes, size: int | None = None) -> dict[str, bytes]:
    """Files that make the application install this image as the firmware of set 2."""
    return {"/fw.bin": image, "/todo": json.dumps([size or len(image), hashlib.sha256(image).hexdigest()]).encode()}


class Slots(Virtual):
    def __init__(self, board: VirtualBoard) -> None:
        super().__init__(board, VFS, BLOCKS)

    def fresh(self, *parts: dict[str, bytes], active: int = 1, app: str = "") -> None:
        """The files of a board, and a first slot alone."""
        self.put({**sets.board(active, *parts), "/main.py": (APP % app).encode()})
        self.board.load_flash(OTADATA, b"\xff" * 0x2000)

    def story(self, cut: int | None = None) -> list[Any]:
        """What is told from a power-on to the end, which is "end", "error" or the power's."""
        self.board.power_off()
        out: list[Any] = []
        with open_port(self.board.pty) as wire:
            wire.discard()
            if cut is not None:
                self.board.cut(cut, seed=cut + 1)
            self.board.power_on()
            said = bytearray()
            deadline = time.monotonic() + LIMIT
            while not (out and out[-1][0] in ("end", "error")):
                said += wire.read(0.2)
                assert time.monotonic() < deadline, (out, self.board.log()[-1000:])
                if cut is not None and not self.board.powered:
                    return out
                *lines, rest = bytes(said).split(b"\n")
                said[:] = rest
                out += [json.loads(line[2:]) for line in lines if line.startswith(b"@ ")]
        return out

    def entries(self) -> list[str]:
        """States of otadata's entries."""
        return [STATES[int.from_bytes(self.board.read_flash(OTADATA + at + 24, 4), "little")] for at in (0, 4096)]

    def files(self) -> dict[str, bytes]:
        return read(self.board, VFS, BLOCKS)
