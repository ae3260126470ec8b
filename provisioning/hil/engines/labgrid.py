"""The engine labgrid: places of a lab, held from a worker's first test on a board until its last, and released whatever ends it."""

from __future__ import annotations

from contextlib import ExitStack

from provisioning.errors import InputError
from provisioning.hil.engines.engine import POWER, Engine, Hardware
from provisioning.hil.options import Wanted
from provisioning.link.labgrid import SCHEME, client, lease


class LabHardware(Hardware):
    """A board in a lab: a serial port as any, and the power where labgrid has a driver for what switches it."""

    engine = "labgrid"

    def __init__(self, name: str, number: int) -> None:
        self._undo = ExitStack()
        self.held = self._undo.enter_context(lease(name))
        super().__init__(self.held.address, number)
        self.can = frozenset({POWER}) if self.held.power else frozenset()

    def _power(self, action: str) -> None:
        if not self.held.power:
            raise self.unsupported(f"switch the power of the place {self.held.place}: it has no power port")
        client.run(self.held.place, "power", action, configured=True)

    def power_off(self) -> None:
        self._power("off")

    def power_on(self) -> None:
        self._power("on")

    def close(self) -> None:
        self._undo.close()


class LabEngine:
    """`--port "lg:PLACE|lg:PLACE"`."""

    def __init__(self, wanted: Wanted) -> None:
        other = [port for port in wanted.ports if not port.startswith(SCHEME)]
        if other or not wanted.ports:
            raise InputError(
                "hil-engine",
                f"The engine labgrid needs places, and {other[0] if other else 'none'} is named.",
                "Give --port lg:PLACE, or 'lg:PLACE|lg:PLACE' for several; `labgrid-client places` lists them.",
            )
        self._names = [port.removeprefix(SCHEME) for port in wanted.ports]
        self.count: int | None = len(self._names)

    def open(self, number: int) -> LabHardware:
        return LabHardware(self._names[number], number)

    def close(self) -> None:
        pass


def open_engine(wanted: Wanted) -> Engine:
    return LabEngine(wanted)
