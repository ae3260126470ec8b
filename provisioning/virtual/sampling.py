"""What a UART receives when the sender's rate is not its own: the bits of the line, sampled at the receiver's times (8N1)."""

from __future__ import annotations

TOLERANCE = 0.03  # receivers lock within about 3 %: half a bit over the ten bits of a byte, less the edges
_FRAME = 10


def matches(sender: int, receiver: int) -> bool:
    """Whether bytes arrive whole."""
    return abs(sender - receiver) <= TOLERANCE * receiver


def resample(data: bytes, sender: int, receiver: int) -> bytes:
    """The bytes that come out at the other rate, the line being idle before and after."""
    levels: list[int] = []
    for byte in data:
        levels.append(0)
        levels += [byte >> i & 1 for i in range(8)]
        levels.append(1)
    step = sender / receiver  # sender's bits per receiver's bit
    end = len(levels)

    def level(position: float) -> int:
        index = int(position)
        return levels[index] if index < end else 1

    out = bytearray()
    at = 0.0
    while at < end:
        if level(at):
            at = _next_low(levels, int(at))
            continue
        if level(at + 0.5 * step):
            at += 0.5 * step  # too short for a start bit
            continue
        value = 0
        for i in range(8):
            value |= level(at + (1.5 + i) * step) << i
        out.append(value)  # with or without a stop bit: the hardware flags the error and keeps the byte
        at += (_FRAME - 0.5) * step
        while at < end and not level(at):
            at += 1.0
    return bytes(out)


def _next_low(levels: list[int], start: int) -> float:
    try:
        return float(levels.index(0, start))
    except ValueError:
        return float(len(levels))
