"""Which slots a station has: those of its file, one for each port that was named, or so many for whatever is plugged in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from provisioning.config.station import SlotPlace, bound_to, load_slots
from provisioning.errors import StationError
from provisioning.job.ports import expand
from provisioning.link.adapters import UsbIds
from provisioning.link.port_names import bad
from provisioning.station.sockets import Bound, Unbound, look

USUAL = 8  # slots where nobody says how many


def sockets(file: Path | None, ports: Sequence[str], count: int | None, more: UsbIds) -> Bound | Unbound:
    """`file`: the station file; `ports`: as they were typed, where there is none. Raises InputError, StationError."""
    if file is not None:
        return Bound(_enough(load_slots(file), count))
    named = [part.strip() for spec in ports for part in spec.split(",") if part.strip()]
    if named in ([], ["auto"]):
        return Unbound(count or max(USUAL, len(look((), more))))
    return Bound(_enough(_places(named, more), count))


def _places(named: Sequence[str], more: UsbIds) -> list[SlotPlace]:
    """A port that is not there yet is a slot all the same; patterns, and boards that have to be asked, mean what is there now."""
    made: list[SlotPlace] = []
    for spec in named:
        try:
            found = [bound_to(spec)]
        except ValueError as error:
            if spec.startswith(("usb:", "usbpath:", "serial:")):
                raise bad(spec, f"is not {error}") from None
            found = [("port", port) for port in expand([spec], None, more)]
        made += [SlotPlace(str(len(made) + at), kind, value) for at, (kind, value) in enumerate(found, 1)]
    return made


def _enough(places: list[SlotPlace], count: int | None) -> list[SlotPlace]:
    if count is not None and len(places) < count:
        raise StationError(
            "too-few-boards", f"{count} slots were asked for, {len(places)} are there.", "Name more ports, or a smaller count."
        )
    return places[:count]
