"""The keys of a station file, as people write them: which socket of the bench is which slot."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from provisioning.config.validate import BlockModel

MOST_SLOTS = 64
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,7}$"
_NAME_SCHEMA = {"anyOf": [{"type": "string", "pattern": _NAME}, {"type": "integer", "minimum": 0}]}


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class SlotFile(BlockModel):
    """One place for a board."""

    name: Annotated[str, BeforeValidator(_text), Field(pattern=_NAME), WithJsonSchema(_NAME_SCHEMA)] = Field(
        description="what stands at the socket: a number, or up to 8 letters and digits"
    )
    port: str = Field(
        min_length=1,
        description="usbpath:1-2.3 (a socket of a hub), serial:NUMBER (an adapter), a device (COM5, /dev/ttyUSB0) or a URL",
    )


class StationFile(BlockModel):
    """The slots of a station, in the order in which devices are given out."""

    slots: list[SlotFile] = Field(min_length=1, max_length=MOST_SLOTS, description="a list of slots: `- {name: 1, port: usbpath:1-2.3}`")
