"""What boards can be: an engine is a file here and one row below. A test never names one; an option or the environment does."""

from __future__ import annotations

import importlib
from typing import NamedTuple

from provisioning.errors import InputError
from provisioning.hil.engines.engine import Engine
from provisioning.hil.options import Wanted


class EngineRow(NamedTuple):
    """`module`: has `open_engine(wanted) -> Engine`, and is imported when it is chosen. `real`: its boards are hardware. `schemes`:
    beginnings of --port that choose it."""

    module: str
    real: bool
    what: str
    schemes: tuple[str, ...] = ()


ENGINES = {
    "virtual": EngineRow("provisioning.hil.engines.virtual", False, "the virtual board: a real MicroPython behind modelled hardware"),
    "qemu": EngineRow("provisioning.hil.engines.qemu", False, "your firmware image on an emulated chip"),
    "serial": EngineRow("provisioning.hil.engines.serial", True, "boards on serial ports of this computer or of an RFC 2217 server"),
    "labgrid": EngineRow("provisioning.hil.engines.labgrid", True, "places of a labgrid lab, held for the run", ("lg:",)),
}
VIRTUAL, SERIAL = "virtual", "serial"


def named(wanted: Wanted) -> str:
    """The engine that the options mean: --engine, else the one whose scheme --port has, else serial for ports and virtual for none.

    Raises InputError for a name without a row.
    """
    if wanted.engine is not None:
        if wanted.engine not in ENGINES:
            raise InputError("hil-engine", f"--engine {wanted.engine} is not one of {', '.join(ENGINES)}.", "Give --engine one of them.")
        return wanted.engine
    for name, row in ENGINES.items():
        if wanted.ports and wanted.ports[0].startswith(tuple(row.schemes) or ("\0",)):
            return name
    return SERIAL if wanted.ports else VIRTUAL


def is_real(wanted: Wanted) -> bool:
    return ENGINES[named(wanted)].real


def open_engine(wanted: Wanted) -> Engine:
    """Raises InputError where the options do not fit the engine."""
    engine: Engine = importlib.import_module(ENGINES[named(wanted)].module).open_engine(wanted)
    return engine
