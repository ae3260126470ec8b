"""Power cuts and a crash in the middle of updates: the board holds one whole set after each, and the next update passes."""

from __future__ import annotations

import threading
import time

from provisioning.errors import TwinrootError
from tests.silicon.product import DEVICE, Products
from tests.silicon.rig import Ran, Rig, RowFailedError, Took

CUTS = 20
_STARTUP = 0.5  # s of Python before the port is opened: a cut there would be none
_LAST = 0.9  # of an update's time: a cut after its end would be none
_EMPTY = ("no-set", "no-package")  # what `verify` says of a board without a set
_CRASH_AT = 0.6  # of the bytes that the update sends


class Cut:
    """Pulls the cable `moment` seconds from now, whatever the board does then: its power goes, and then its port."""

    def __init__(self, rig: Rig, moment: float) -> None:
        self._error: TwinrootError | None = None
        self._rig = rig
        self._timer = threading.Timer(moment, self._off)
        self._timer.start()

    def _off(self) -> None:
        try:
            self._rig.board.power_off()
            self._rig.board.unplug()
        except TwinrootError as error:
            self._error = error

    def happened(self) -> None:
        """Returns when it has, the cable in again and the power off. Raises what kept it from happening."""
        self._timer.join()
        if self._error is not None:
            raise self._error
        self._rig.board.plug()


def _update(rig: Rig, product: object) -> Ran:
    return rig.twinroot("update", str(product), "--device", DEVICE)


def crash(rig: Rig, products: Products) -> Took:
    """The chip is reset at a byte of the transfer: the same command passes, or says what happened and the next one passes."""
    rig.start("blank")
    sent = _update(rig, products.one).must().report["wire"]["sent"]
    rig.keep("one")
    rig.start("blank")
    at = int(sent * _CRASH_AT)
    rig.board.inject(f"reset@{at}:in")
    before = rig.board.counters()["resets"]
    done = _update(rig, products.one).must()
    if rig.board.counters()["resets"] == before:
        raise RowFailedError(f"the chip was not reset: fewer than {at} bytes were sent")
    rig.twinroot("verify", products.one, "--device", DEVICE).must()
    return Took(done.seconds, f"at byte {at}")


def cuts(rig: Rig, products: Products) -> Took:
    """Cuts spread over the time of an update, every other one on a board that holds a set. Seconds of all, and what was found."""
    rig.start("blank")
    first = _update(rig, products.one).must()
    rig.keep("one")
    rig.start("one")
    second = _update(rig, products.two).must()
    began = time.perf_counter()
    found: dict[str, int] = {}
    for number in range(CUTS):
        start, product, usual = (("blank", products.one, first), ("one", products.two, second))[number % 2]
        moment = _STARTUP + (number + 0.5) / CUTS * (_LAST * usual.seconds - _STARTUP)
        what = _cut(rig, start, product, moment)
        found[what] = found.get(what, 0) + 1
    told = ", ".join(f"{count} {what}" for what, count in sorted(found.items()))
    return Took(time.perf_counter() - began, told)


def _cut(rig: Rig, start: str, product: object, moment: float) -> str:
    """One cut, `moment` seconds after the command's start; which set the board holds then."""
    rig.start(start)
    cut = Cut(rig, moment)
    done = _update(rig, product)
    cut.happened()
    rig.settle()
    held = rig.twinroot("verify")
    whole = held.report.get("outcome") == "pass" or (start == "blank" and held.report.get("code") in _EMPTY)
    if not whole:
        raise RowFailedError(f"cut {moment:.2f} s after the start ({done.told}), verify: {held.told}")
    after = _update(rig, product)
    if after.report.get("outcome") != "pass":
        raise RowFailedError(f"cut {moment:.2f} s after the start ({done.told}), next update: {after.told}")
    old = held.report.get("generation") in (None, 0) if start == "blank" else held.report.get("generation") == 1
    return ("after the PASS" if done.code == 0 else "old set") if old or done.code == 0 else "new set"
