"""Which sets an update leaves on a device: of those that can be read the one in use, the one before it, and the last one that a handshake
has proven. So a board can always go back, and never holds more than AT_ONCE.

The device decides it: kept() of firmware/link/sets.py for an update by cable, tidy() of firmware/twinroot/ota.py for one over the air.
tests/device/test_staying_sets.py runs both, and this, on the same boards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FIELDS = ("set", "previous", "proven")  # of a device's report about itself, which speaks of the set in use

AT_ONCE = len(_FIELDS) + 1  # sets on a device while one is written


def staying(report: Mapping[str, Any]) -> set[int]:
    """Numbers of the sets that stay on the board that reports this."""
    return {report[name] for name in _FIELDS if report.get(name)}
