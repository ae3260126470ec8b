"""Virtual boards that stand for what is plugged in: named by the environment, in a list or in a file that may change meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

REHEARSED = "TWINROOT_REHEARSAL"  # environment: ports with commas, or @FILE with a line for each: PORT [SOCKET [SERIALNUMBER]]


class Rehearsed(NamedTuple):
    """A port, where it is plugged in, and its USB serial number; "" for what is not said."""

    device: str
    location: str = ""
    serial: str = ""


def is_rehearsal() -> bool:
    return bool(os.environ.get(REHEARSED))


def ports() -> list[Rehearsed]:
    """What is plugged in now."""
    named = os.environ.get(REHEARSED, "")
    if not named.startswith("@"):
        return [Rehearsed(port) for port in named.split(",") if port]
    try:
        lines = Path(named[1:]).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [Rehearsed(*line.split()[:3]) for line in lines if line.strip()]
