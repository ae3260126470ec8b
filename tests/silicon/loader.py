"""A blank chip to PASS, through its ROM and esptool's stub; where the emulator cannot run the stub, that is shown with esptool alone."""

from __future__ import annotations

from tests.silicon import peers
from tests.silicon.product import DEVICE, Products
from tests.silicon.rig import PANIC, EmulatorFailedError, Rig, RowFailedError

_STUB = 120.0  # s for esptool to ask a flash chip for its name through the stub


def flash(rig: Rig, products: Products) -> tuple[float, str]:
    """Seconds of `twinroot flash`, and what esptool and mpremote take for the same."""
    _stub_runs(rig)
    _blank(rig)
    theirs = peers.esptool(rig, "--baud", "460800", "write-flash", hex(rig.image.offset), str(rig.image.file))
    _blank(rig)
    done = rig.twinroot("flash", products.flash, "--device", DEVICE, port=rig.board.rfc2217).must()
    rig.twinroot("verify", products.flash, "--device", DEVICE).must()
    return done.seconds, f"esptool write-flash alone {theirs:.1f} s"


def _blank(rig: Rig) -> None:
    rig.off()
    rig.board.load_flash(0, b"\xff" * len(rig.states["blank"]))
    rig.board.power_on()


def _stub_runs(rig: Rig) -> None:
    """Raises EmulatorFailedError where esptool's own stub crashes the emulated chip, with what the chip said."""
    rig.start("blank")
    _blank(rig)
    try:
        peers.esptool(rig, "--connect-attempts", "3", "flash-id", limit=_STUB)
    except RowFailedError as error:
        said = rig.evidence()
        if PANIC.search(said):
            raise EmulatorFailedError(f"esptool's stub, run by esptool alone, crashes this emulated chip: {said}") from error
        raise
