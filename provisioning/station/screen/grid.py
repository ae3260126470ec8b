"""How many panels side by side: so that the words are as large as they can be."""

from __future__ import annotations

from provisioning.station.screen import letters

_WORD = "ERROR"  # the widest of the words


def columns(count: int, width: int, height: int) -> int:
    """Of `count` panels in so many columns and lines; words as large as possible, then panels as alike in both directions as possible."""

    def rank(across: int) -> tuple[int, int, int]:
        down = -(-count // across)
        wide, high = width // across - 1, height // down
        scale = letters.scale_for(_WORD, max(1, wide), letters.space(high))
        return scale, -(across * down - count), -abs(wide - 2 * high)

    return max(range(1, count + 1), key=rank)
