"""Images that are not ours: `update` names what is there, in one sentence, within a bound, and writes nothing."""

from __future__ import annotations

from provisioning.virtual.partition import TABLE_OFFSET, TABLE_SIZE
from tests.silicon.product import DEVICE, Products
from tests.silicon.rig import Rig, RowFailedError, Took

_BOUND = 120.0  # s


def refusal(rig: Rig, products: Products) -> Took:
    """Seconds, and what it said. Raises RowFailedError when that is not one of the codes that are right for the image."""
    before = _loader(rig)
    done = rig.twinroot("update", products.one, "--device", DEVICE, limit=_BOUND)
    found = done.report
    if done.code != 1 or found.get("code") not in rig.image.refused or not found.get("hint"):
        raise RowFailedError(f"{done.told} (expected {' or '.join(rig.image.refused)})")
    if found.get("written") or _loader(rig) != before:
        raise RowFailedError(f"it wrote {found.get('written')}")
    return Took(done.seconds, f"{found['code']}: {found['message']}")


def _loader(rig: Rig) -> bytes:
    """Boot loader and partition table."""
    return rig.board.read_flash(0, TABLE_OFFSET + TABLE_SIZE)
