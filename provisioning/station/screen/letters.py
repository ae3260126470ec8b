"""Large letters made of half blocks, for words that are read from two metres: 3 by 5 pixels each, times a whole number."""

from __future__ import annotations

from functools import lru_cache

HEIGHT = 5  # pixels
_GAP = 1  # pixels between two letters
_BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}

# Only what the words need (slot.State), and figures.
_GLYPHS = {
    "A": (".#.", "#.#", "###", "#.#", "#.#"),
    "B": ("##.", "#.#", "##.", "#.#", "##."),
    "C": (".##", "#..", "#..", "#..", ".##"),
    "E": ("###", "#..", "##.", "#..", "###"),
    "F": ("###", "#..", "##.", "#..", "#.."),
    "G": (".##", "#..", "#.#", "#.#", ".##"),
    "I": ("###", ".#.", ".#.", ".#.", "###"),
    "L": ("#..", "#..", "#..", "#..", "###"),
    "N": ("##.", "#.#", "#.#", "#.#", "#.#"),
    "O": (".#.", "#.#", "#.#", "#.#", ".#."),
    "P": ("##.", "#.#", "##.", "#..", "#.."),
    "R": ("##.", "#.#", "##.", "#.#", "#.#"),
    "S": (".##", "#..", ".#.", "..#", "##."),
    "U": ("#.#", "#.#", "#.#", "#.#", "###"),
    "W": ("#.#", "#.#", "#.#", "###", "#.#"),
    "Y": ("#.#", "#.#", ".#.", ".#.", ".#."),
    "0": ("###", "#.#", "#.#", "#.#", "###"),
    "1": (".#.", "##.", ".#.", ".#.", "###"),
    "2": ("###", "..#", "###", "#..", "###"),
    "3": ("###", "..#", ".##", "..#", "###"),
    "4": ("#.#", "#.#", "###", "..#", "..#"),
    "5": ("###", "#..", "###", "..#", "###"),
    "6": ("###", "#..", "###", "#.#", "###"),
    "7": ("###", "..#", "..#", ".#.", ".#."),
    "8": ("###", "#.#", "###", "#.#", "###"),
    "9": ("###", "#.#", "###", "..#", "###"),
    "%": ("#.#", "..#", ".#.", "#..", "#.#"),
}


def width(word: str) -> int:
    """Pixels."""
    return sum(len(_GLYPHS[letter][0]) + _GAP for letter in word) - _GAP


def rows(scale: int) -> int:
    """Lines that a word takes."""
    return (HEIGHT * scale + 1) // 2


def space(height: int) -> int:
    """Lines for a word in a panel of this height: below it is who the board is, and what is wrong where there is space."""
    return height - (5 if height > 8 else 2 if height > 3 else 1)


def scale_for(word: str, columns: int, lines: int) -> int:
    """The largest scale at which `word` fits; 0 where it does not at all."""
    scale = columns // width(word)
    while scale and rows(scale) > lines:
        scale -= 1
    return scale


@lru_cache(maxsize=512)
def draw(word: str, scale: int) -> tuple[str, ...]:
    """Lines of half blocks, each `width(word) * scale` long."""
    gap = "." * _GAP
    pixels = ["".join(mark * scale for mark in gap.join(_GLYPHS[letter][row] for letter in word)) for row in range(HEIGHT)]
    tall = [line for line in pixels for _ in range(scale)]
    tall += ["." * len(tall[0])] * (len(tall) % 2)
    return tuple(
        "".join(_BLOCKS[(upper == "#", lower == "#")] for upper, lower in zip(tall[at], tall[at + 1], strict=True))
        for at in range(0, len(tall), 2)
    )
