"""The two wires of a UART: bytes take ten bits each at the current rate, and the direction takes time to turn.

One timer per wire while bytes are on it, none when it is idle. A receiver that acts on whole frames only names their last byte, and is
woken when that is through instead of a thousand times a second: what it does, it does at the same time, and boards by the dozen cost
little. Times are in seconds, rates in bits per second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

BITS_PER_BYTE = 10  # 8N1: start, eight data bits, stop
_FRAME_SHARE = 4096  # bytes handed over at most while the end of a frame is awaited: the sender must hear that there is room again
_QUANTUM = 0.001  # bytes are handed over at least this far apart: what a USB adapter does too


class Turnaround:
    """Shared by both wires: counts the changes of direction and charges each with the latency."""

    def __init__(self, latency: float = 0.0) -> None:
        self.latency = latency
        self.turns = 0
        self._last: object = None

    def charge(self, wire: object) -> float:
        if self._last is wire:
            return 0.0
        first = self._last is None
        self._last = wire
        if first:
            return 0.0
        self.turns += 1
        return self.latency


class UartLine:
    """One direction. `send` puts bytes on it; `deliver` gets them when their stop bits are through."""

    def __init__(self, deliver: Callable[[bytes], None], turnaround: Turnaround, paced: bool) -> None:
        self._deliver = deliver
        self._turnaround = turnaround
        self.paced = paced
        self.rate = 115200
        self.frame_end: bytes | None = None  # the byte that the receiver waits for, None while it wants every byte in time
        self.carried = 0
        self._queue = bytearray()
        self._next = 0.0  # loop time at which the first queued byte is through
        self._timer: asyncio.TimerHandle | None = None
        self.on_space: Callable[[], None] | None = None
        self.on_idle: Callable[[], None] | None = None

    @property
    def backlog(self) -> int:
        """Bytes on the wire or before it."""
        return len(self._queue)

    def send(self, data: bytes) -> None:
        if not data:
            return
        wait = self._turnaround.charge(self)
        if not self.paced and not wait and not self._queue:
            self.carried += len(data)
            self._deliver(data)
            return
        loop = asyncio.get_running_loop()
        if not self._queue:
            self._next = max(loop.time() + wait, self._next - self._byte_time) + self._byte_time
        self._queue += data
        if self._timer is None:
            self._schedule(loop)

    @property
    def _byte_time(self) -> float:
        return BITS_PER_BYTE / self.rate if self.paced else 0.0

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        more = len(self._queue)
        if self._byte_time:
            more = min(more, self._frame_share() if self.frame_end else max(1, int(_QUANTUM / self._byte_time)))
        self._timer = loop.call_at(self._next + (more - 1) * self._byte_time, self._tick, loop)

    def _frame_share(self) -> int:
        assert self.frame_end is not None  # noqa: S101 - only called while it is set
        end = self._queue.find(self.frame_end, 0, _FRAME_SHARE)
        return end + 1 if end >= 0 else _FRAME_SHARE

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if not self._queue:
            return
        late = loop.time() - self._next
        n = len(self._queue) if not self._byte_time else min(len(self._queue), int(late / self._byte_time + 1e-6) + 1)
        if n > 0:
            data = bytes(self._queue[:n])
            del self._queue[:n]
            self._next += n * self._byte_time
            self.carried += n
            self._deliver(data)
        if self._queue and self._timer is None:
            self._schedule(loop)
        if n > 0 and self.on_space is not None:
            self.on_space()
        if not self._queue and self.on_idle is not None:
            self.on_idle()

    def forget(self, after: int) -> None:
        """Only the next `after` bytes are still to come."""
        del self._queue[after:]

    def clear(self) -> None:
        """The line goes dead: what was on it is gone."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
