"""Boards that a program of the user's holds: reached by `update`, or got back by `rescue`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from provisioning.virtual.partition import TABLE_OFFSET, TABLE_SIZE
from tests.rescue.states import STATES
from tests.silicon import peers
from tests.silicon.basics import one
from tests.silicon.product import DEVICE, Products
from tests.silicon.rig import EmulatorFailedError, Rig, RowFailedError, Took

REACHED = ("asyncio-rerun", "bare-except", "watchdog", "full-heap")
RESCUED = ("kbd-intr", "dupterm", "deepsleep", "stubborn-boot")
_LOADER = 120.0  # s for esptool to read a table of 3 KB or to write a sector
_FILES = {state.name: state.files for state in STATES}


def reach(name: str) -> Callable[[Rig, Products], Took]:
    """`update` to another root on a board that this program holds, its reset lines there."""

    def job(rig: Rig, products: Products) -> Took:
        _hold(rig, products, name)
        done = rig.twinroot("update", products.two, "--device", DEVICE, port=rig.board.rfc2217).must()
        return Took(done.seconds, " ".join(done.report["notes"]))

    return job


def rescue(name: str) -> Callable[[Rig, Products], Took]:
    """The programs are renamed, and the set is whole."""

    def job(rig: Rig, products: Products) -> Took:
        _hold(rig, products, name)
        done = rig.twinroot("rescue", port=rig.board.rfc2217)
        if done.code and done.report.get("transport") == "loader":
            _loader_works(rig, done.told)
        done.must()
        wanted = sorted(f"{path}.rescued" for path in _FILES[name])
        if done.report["written"] != wanted:
            raise RowFailedError(f"it wrote {done.report['written']}, not {wanted}")
        rig.settle()
        rig.twinroot("verify", products.one, "--device", DEVICE).must()
        return Took(done.seconds, done.report["message"])

    return job


def _hold(rig: Rig, products: Products, name: str) -> None:
    """The board holds a set, and this program runs."""
    rig.start("one", lambda on: one(on, products))
    for path, text in sorted(_FILES[name].items(), reverse=True):  # boot.py last: mpremote restarts the interpreter
        peers.write(rig, path, text)
    rig.boot()


def _loader_works(rig: Rig, told: str) -> None:
    """Raises EmulatorFailedError where esptool, without us and without a stub, cannot read the chip's partition table or write a sector."""
    with tempfile.TemporaryDirectory() as folder:
        read, written = Path(folder, "read.bin"), Path(folder, "written.bin")
        written.write_bytes(bytes(range(256)) * 16)
        last = rig.flash_bytes - written.stat().st_size
        wrong = "reads another partition table than the flash holds"
        try:
            peers.esptool(rig, "--no-stub", "read-flash", hex(TABLE_OFFSET), hex(TABLE_SIZE), str(read), limit=_LOADER)
            if read.read_bytes() == rig.board.read_flash(TABLE_OFFSET, TABLE_SIZE):
                wrong = "writes a sector that is not in the flash then"
                peers.esptool(rig, "--no-stub", "write-flash", hex(last), str(written), limit=_LOADER)
                if rig.board.read_flash(last, 4096) == written.read_bytes():
                    return
        except RowFailedError as error:
            wrong = f"fails: {' '.join(str(error).split())}"
    raise EmulatorFailedError(f"the ROM loader of this emulated chip: esptool --no-stub alone {wrong} (rescue said: {told})")
