"""Tests on boards: a pytest plugin (plugin.py) whose fixtures give boards of any engine, and the acceptance of a board (acceptance/).

pytest --pyargs provisioning.hil --port /dev/ttyUSB0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.hil.board import Board, ExpectationFailed, Heap
    from provisioning.hil.engines.engine import Engine, FlashOps, Hardware, Unsupported
    from provisioning.hil.fs import BoardPath, BoardStat
    from provisioning.hil.log import BoardLog
    from provisioning.hil.raised import BoardRaised

_HOMES = {
    "Board": "board",
    "ExpectationFailed": "board",
    "Heap": "board",
    "Engine": "engines.engine",
    "FlashOps": "engines.engine",
    "Hardware": "engines.engine",
    "Unsupported": "engines.engine",
    "BoardPath": "fs",
    "BoardStat": "fs",
    "BoardLog": "log",
    "BoardRaised": "raised",
}
__all__ = [
    "Board",
    "BoardLog",
    "BoardPath",
    "BoardRaised",
    "BoardStat",
    "Engine",
    "ExpectationFailed",
    "FlashOps",
    "Hardware",
    "Heap",
    "Unsupported",
]


def __getattr__(name: str) -> Any:
    # Imported at first use: the plugin is loaded in every pytest run of an environment, and must not pay for it.
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"provisioning.hil.{_HOMES[name]}"), name)
    raise AttributeError(name)
