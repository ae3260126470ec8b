"""A blank chip to PASS, through its ROM and esptool's stub; where the emulator cannot run the stub, that is shown with esptool alone."""

from __future__ import annotations

from tests.silicon import peers
from tests.silicon.product import DEVICE, Products
from tests.silicon.rig import EmulatorFailedError, Rig, RowFailedError, Took

_LIMIT = 400.0  # s for esptool to write 1.7 MB


def flash(rig: Rig, products: Products) -> Took:
    """Seconds of `twinroot flash`, and what esptool takes for the firmware alone."""
    theirs = _esptool(rig)
    _blank(rig)
    done = rig.twinroot("flash", products.flash, "--device", DEVICE, port=rig.board.rfc2217).must()
    rig.twinroot("verify", products.flash, "--device", DEVICE).must()
    return Took(done.seconds, f"esptool write-flash, the firmware alone: {theirs:.1f} s")


def _blank(rig: Rig) -> None:
    rig.off()
    rig.board.load_flash(0, b"\xff" * rig.flash_bytes)
    rig.board.power_on()


def _esptool(rig: Rig) -> float:
    """Raises EmulatorFailedError where esptool, without us, cannot write the emulated chip: its error, and what the chip said last."""
    _blank(rig)
    try:
        return peers.esptool(rig, "--baud", "460800", "write-flash", hex(rig.image.offset), str(rig.image.file), limit=_LIMIT)
    except RowFailedError as error:
        raise EmulatorFailedError(f"esptool alone cannot write this chip: {error}; the chip's panic: {rig.panic() or 'none'}") from error
