"""The board that is not there: a real MicroPython behind a UART, ROM loader, flash and power that behave like hardware.

from provisioning.virtual import VirtualBoard
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.virtual.client import VirtualBoard

__all__ = ["VirtualBoard"]


def __getattr__(name: str) -> Any:
    # Imported at first use: the pytest plug-in and the command line's help must not pay for it.
    if name == "VirtualBoard":
        from provisioning.virtual.client import VirtualBoard

        return VirtualBoard
    raise AttributeError(name)
