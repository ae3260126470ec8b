"""Ports that stay a stand-in's own while it is stopped: products and boards name them, so the next run has to get the same ones."""

from __future__ import annotations

import contextlib
import random
import socket

# Below those that systems give to outgoing connections (from 32768 on Linux, 49152 elsewhere), one of which would take the port meanwhile.
_LOWEST, _HIGHEST = 15_000, 32_000
_TRIES = 50


def bind(endpoint: socket.socket, host: str, port: int) -> int:
    """Bind to `port`, or for 0 to a free one; the port. Raises OSError or OverflowError when that one cannot be had."""
    dice = random.SystemRandom()
    for _ in range(0 if port else _TRIES):
        with contextlib.suppress(OSError):
            endpoint.bind((host, dice.randrange(_LOWEST, _HIGHEST)))
            return int(endpoint.getsockname()[1])
    endpoint.bind((host, port))
    return int(endpoint.getsockname()[1])
