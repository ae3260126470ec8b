"""Runs the rows on one image, and keeps apart what the product did and what the emulator did."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioning.errors import StationError
from tests.silicon.images import Image
from tests.silicon.jobs import ROWS, Peer, Row
from tests.silicon.product import Products
from tests.silicon.refusals import refusal
from tests.silicon.rig import EmulatorFailedError, Rig, RowFailedError, Took

_TRIES = 3  # of a run that the emulator broke off
REFUSAL = Row("update, refused", refusal, None)


@dataclass
class Line:
    """One row of the table. Times in seconds."""

    image: str
    row: str
    title: str
    passed: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    emulator: list[str] = field(default_factory=list)  # evidence of its own failures, each of which broke a run off
    peer: float | str | None = None  # what it said where it failed
    detail: str = ""
    skipped: str = ""

    @property
    def outcome(self) -> str:
        """pass, fail, emulator (it let no run come to an end) or skipped."""
        if self.skipped:
            return "skipped"
        return "fail" if self.failed else "pass" if self.passed else "emulator"

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "outcome": self.outcome}


def run(image: Image, qemu: Path, names: list[str], repeat: int, with_peers: bool) -> Iterator[Line]:
    """The lines of this image, each when it is complete. Raises InputError and StationError when no board can be started."""
    with ExitStack() as undo:
        place = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="silicon-")))
        rig = undo.enter_context(Rig(image, qemu))
        products = Products(image, rig.wifi, place / "product", undo)
        rows = {"refusal": REFUSAL} if image.refused else {name: ROWS[name] for name in names}
        theirs: dict[Peer, float | str] = {}
        for name, row in rows.items():
            line = Line(image.title, name, row.title)
            if row.needs_wifi and not rig.wifi:
                line.skipped = "this QEMU has no Wi-Fi"
            else:
                _measure(rig, products, row, line, repeat)
                if with_peers and row.peer is not None:
                    line.peer = _peer(rig, products, row.peer, theirs)
            yield line


def _measure(rig: Rig, products: Products, row: Row, line: Line, repeat: int) -> None:
    for _ in range(repeat):
        took = _tried(lambda: row.job(rig, products), line, rig)
        if took is not None:
            line.passed.append(took.seconds)
            line.detail = took.detail


def _peer(rig: Rig, products: Products, peer: Peer, theirs: dict[Peer, float | str]) -> float | str:
    """Its seconds on this image, measured once for all rows, or what it said instead: its failures are none of ours."""
    if peer not in theirs:
        try:
            theirs[peer] = peer(rig, products)
        except (RowFailedError, EmulatorFailedError, StationError) as error:
            theirs[peer] = " ".join(str(error).split())[-200:]
    return theirs[peer]


def _tried(job: Callable[[], Took], line: Line, rig: Rig) -> Took | None:
    """None when it failed, or the emulator broke it off each time."""
    for _ in range(_TRIES):
        try:
            return job()
        except RowFailedError as error:
            line.failed.append(f"{error} The chip said: {rig.evidence()}")
            return None
        except (EmulatorFailedError, StationError) as error:
            line.emulator.append(str(error))
    return None
