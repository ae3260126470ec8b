"""One fault of each kind that a virtual board has, as a board on a line may have it."""

from __future__ import annotations

import random
from collections.abc import Callable

# Kind -> the fault as it is written. Bytes and operations are anywhere in a run; sector 512 is the first of the file system.
FAULTS: dict[str, Callable[[random.Random], str]] = {
    "cut-op": lambda by: f"cut-op={by.randrange(300)}",
    "reset": lambda by: f"reset@{by.randrange(60_000)}:in",
    "drop": lambda by: f"drop={_rate(by)}",
    "duplicate": lambda by: f"duplicate={_rate(by)}",
    "flip": lambda by: f"flip={_rate(by)}",
    "held": lambda _by: "held",
    "boot": lambda by: f"boot={by.randrange(100, 2000)}",
    "stuck": lambda by: f"stuck@{by.randrange(60_000)}:in",
    "cut": lambda by: f"cut@{by.randrange(60_000)}:in",
    "worn": lambda _by: "worn=512",
    "wifi": lambda _by: "wifi=no-ap",
    "full": lambda _by: "full",
    "heap": lambda by: f"heap={by.randrange(20, 100)}K",
    "clock": lambda _by: "clock=host",
    "no-raw-paste": lambda _by: "no-raw-paste",
}
LASTING = {"worn"}  # no other cable and no other supply mends these


def _rate(by: random.Random) -> str:
    """Of bytes, as a probability: from a line that is all but good to one that no rate helps."""
    return f"{10 ** by.uniform(-6, -3.5):.7f}"
