"""What a client has not read yet: an operating system buffers it for a reader that is slow, and so does an endpoint."""

from __future__ import annotations

LIMIT = 16 << 20  # bytes: 24 minutes of a wire at 115200 baud
_COMPACT = 1 << 16  # bytes taken from the front before the rest moves up


class Unread:
    """Bytes in order. What does not fit is lost, as in an operating system's buffer, and counted in `lost`."""

    def __init__(self) -> None:
        self.lost = 0
        self._bytes = bytearray()
        self._taken = 0

    def __len__(self) -> int:
        return len(self._bytes) - self._taken

    def add(self, data: bytes) -> None:
        fits = max(0, LIMIT - len(self))
        self._bytes += data[:fits]
        self.lost += max(0, len(data) - fits)

    def first(self, size: int) -> bytes:
        """At most `size` of the oldest bytes; they stay until they are taken."""
        return bytes(self._bytes[self._taken : self._taken + size])

    def take(self, size: int) -> None:
        """The oldest `size` bytes are with the client."""
        self._taken += size
        if self._taken >= _COMPACT or self._taken == len(self._bytes):
            del self._bytes[: self._taken]
            self._taken = 0

    def clear(self) -> None:
        self._bytes.clear()
        self._taken = 0
