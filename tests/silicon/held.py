"""Boards that a program of the user's holds: reached by `update`, or got back by `rescue`."""

from __future__ import annotations

from collections.abc import Callable

from tests.rescue.states import STATES
from tests.silicon import peers
from tests.silicon.basics import one
from tests.silicon.product import DEVICE, Products
from tests.silicon.rig import Rig, RowFailedError, Took

REACHED = ("asyncio-rerun", "bare-except", "watchdog", "full-heap")
RESCUED = ("kbd-intr", "dupterm", "deepsleep", "stubborn-boot")
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
        done = rig.twinroot("rescue", port=rig.board.rfc2217).must()
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
