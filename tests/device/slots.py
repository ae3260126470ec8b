"""A board with two slots for firmware whose application takes the signed set in its files, and tells what it runs on; firmware."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from provisioning.chips import CHIPS
from provisioning.link.port import open_port
from provisioning.virtual import boot_image
from provisioning.virtual.client import VirtualBoard
from tests.device import sets
from tests.device.test_ota import container
from tests.device.virtual import Virtual, read

BOARD = "virtual-esp32-ota"
VFS, BLOCKS = 0x310000, 240
SLOT = {"ota_0": 0x10000, "ota_1": 0x190000}
SLOT_BYTES = 0x180000
OTADATA = 0xD000
STATES = {0: "new", 1: "pending", 2: "valid", 4: "aborted", 0xFFFFFFFF: "blank"}
LIMIT = 60.0  # s for a story, whose boots take a tenth each

# Tells [word, set, slot, version of the firmware and name of the application, …]. %s: what may be done before it connects.
APP = """
NAME = ""
import json, sys
import esp32, machine, uos, twinroot
def say(word, *more):
    print("@", json.dumps([word, twinroot.SET, esp32.Partition(esp32.Partition.RUNNING).info()[4], VERSION + NAME] + list(more)))
VERSION = sys.version.split()[-1] if "v" in sys.version.split()[-1] else ""
def more():
    pass
%s
def install():
    from twinroot import ota
    u = ota.Update()
    u.resume()
    mv = memoryview(bytearray(1000))
    begun = True
    with open("/update", "rb") as f:
        while not u.done:
            if u.rows and not u.i and (begun or u.wanted != at):
                say("at", u.wanted - u.base)
            begun = not u.rows
            at = u.wanted
            f.seek(at)
            n = f.readinto(mv[: u.stop - at])
            if not n:
                raise OSError("incomplete")
            u.feed(mv[:n], at)
            at += n
    machine.reset()
twinroot.core.CONFIRM_MS = 0
try:
    twinroot.connect().close()
    say("up")
    if twinroot.slots.active() == 1 and "update" in uos.listdir("/") and twinroot.guard.read()["refused"] < 2:
        install()
    more()
    say("end", twinroot.guard.read()["refused"])
except OSError as e:
    say("error", getattr(e, "kind", None), str(e))
"""


def firmware(version: str = "v2", project: str = "micropython", size: int = 0x2000, chip: str = "esp32") -> bytes:
    """An image of about `size` bytes; `project` as boot_image.DOES has it."""
    return boot_image.application(CHIPS[chip], 4 << 20, size, boot_image.AppDescription(version, project))


@dataclass(frozen=True)
class Brought:
    """Firmware as signed_set.manifest() takes it."""

    content: bytes
    version: str = "v2"


def update(built: dict[str, bytes], image: bytes | None, **options: Any) -> dict[str, bytes]:
    """The file that makes the application take set 2 of `built` with this firmware; the first 200 KB of it, which fit the file system."""
    return {"/update": container(built, 2, firmware=Brought(image) if image is not None else None, **options)[:200_000]}


def application(name: str) -> bytes:
    """One for a set, which tells its name."""
    return (APP % "").replace('NAME = ""', f"NAME = {name!r}").encode()


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
                powered = cut is None or self.board.powered
                more = wire.read(0.2 if powered else 0)
                said += more
                assert time.monotonic() < deadline, (out, self.board.log()[-1000:])
                if not powered and not more:
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
