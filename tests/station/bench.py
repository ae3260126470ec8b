"""A bench for tests of the engine: a crew that only notes what it is to do, a clock that is set by hand, and what workers say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from provisioning.config.device import Device, single_device
from provisioning.config.product import ScanRule
from provisioning.config.station import SlotPlace
from provisioning.errors import BoardError, Interrupted, StationError, TwinrootError
from provisioning.job.report import Report
from provisioning.job.worker import End
from provisioning.link.events import Event
from provisioning.station.engine import Engine, Settings
from provisioning.station.labels import Labels
from provisioning.station.slot import Slot
from provisioning.station.sockets import Bound, Plugged, Unbound


@dataclass
class Crew:
    """Who is at work: slot -> (place, port, device, rate)."""

    started: list[tuple[str, int, str, str | None]] = field(default_factory=list)
    rates: list[int | None] = field(default_factory=list)
    left: bool = False

    def start(self, slot: str, number: int, port: str, device: str | None, baud: int | None) -> None:
        self.started.append((slot, number, port, device))
        self.rates.append(baud)

    def leave(self) -> None:
        self.left = True


class Bench:
    """`slots` sockets of one hub, 1-1.1 to 1-1.N, slots 1 to N; or whatever is plugged in."""

    def __init__(self, slots: int = 3, *, scan: str | None = None, devices: int = 9, native: bool = False, bound: bool = True) -> None:
        self.now = 100.0
        self.crew = Crew()
        self.native = native
        places = [SlotPlace(str(n), "socket", f"1-1.{n}") for n in range(1, slots + 1)]
        rows = [device(n) for n in range(1, devices + 1)]
        labels = Labels(ScanRule("device", scan), rows) if scan else None
        self.engine = Engine(Bound(places) if bound else Unbound(slots), self.crew, Settings(), labels, lambda: self.now)

    def plug(self, *sockets: int) -> None:
        """From now on boards are in these sockets, and in no other."""
        self.engine.plugged([Plugged(f"/dev/ttyUSB{n}", f"1-1.{n}", f"{n:04d}", self.native) for n in sockets])

    def says(self, slot: int, kind: str, **data: Any) -> None:
        self.engine.said(str(slot), Event(kind, data))

    def claims(self, slot: int) -> None:
        """Up to the first write."""
        self.says(slot, "step", name="identify")
        self.says(slot, "board", mac=mac(slot), chip="esp32")
        self.says(slot, "claim", device=f"ws-{slot:04d}")
        self.says(slot, "step", name="write")

    def ends(self, slot: int, error: TwinrootError | None = None, *, board: int | None = None) -> None:
        """`board`: whose MAC it is, where that is not the slot's number."""
        report = Report(mac=mac(board or slot), device=f"ws-{board or slot:04d}")
        report.passed("ok") if error is None else report.failed(error)
        self.engine.said(str(slot), End(report.as_dict(), report.exit_code))

    def slot(self, number: int) -> Slot:
        return self.engine.slots[str(number)]

    @property
    def words(self) -> list[str]:
        return [slot.state.value for slot in self.engine.slots.values()]


def device(number: int) -> Device:
    return single_device(f"ws-{number:04d}")


def mac(number: int) -> str:
    return f"24:0a:c4:00:00:{number:02x}"


def bad_board() -> TwinrootError:
    return BoardError("wrong-chip", "The board on /dev/ttyUSB2 has an esp32c3, the product's board has an esp32.", "Take the right board.")


def bad_line() -> TwinrootError:
    return StationError("line-errors", "The line damages bytes.", "Use another cable.")


def stopped() -> TwinrootError:
    return Interrupted("interrupted", "Stopped.", "Again.")
