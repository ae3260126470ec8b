"""The engine serial: boards on ports, whatever is behind them. What only a bench's hand can do, it cannot."""

from __future__ import annotations

from provisioning.errors import InputError
from provisioning.hil.engines.engine import Engine, Hardware
from provisioning.hil.options import Wanted
from provisioning.link.port_names import resolve


class SerialHardware(Hardware):
    """A board that is known by its port alone: reset by DTR and RTS where the port has them, else by its own software."""

    engine = "serial"


class SerialEngine:
    """The boards that --port, --port-mac or --port-serial-number name, in their order."""

    def __init__(self, wanted: Wanted) -> None:
        if not wanted.ports:
            raise InputError("no-port", "The engine serial needs a port, and none is named.", "Give --port PORT, or set TWINROOT_PORT.")
        self._ports = wanted.ports
        self.count: int | None = len(wanted.ports)

    def open(self, number: int) -> SerialHardware:
        return SerialHardware(resolve(self._ports[number]), number)

    def close(self) -> None:
        pass


def open_engine(wanted: Wanted) -> Engine:
    return SerialEngine(wanted)
