"""The text of a picture that Textual made."""

from __future__ import annotations

import html
import re

_TEXT = re.compile(
    r'<text class="[^"]*-r\d+" x="([\d.]+)" y="[\d.]+" textLength="([\d.]+)" clip-path="url\(#[^)]*-line-(\d+)\)">([^<]*)</text>'
)


def lines(svg: str) -> list[str]:
    """The lines of the screen, without spaces at their ends."""
    made = [""] * (1 + max(int(number) for number in re.findall(r'id="[^"]*-line-(\d+)"', svg)) + 1)
    for x, length, number, text in _TEXT.findall(svg):
        words = html.unescape(text).replace("\xa0", " ")
        if words.strip():
            at = round(float(x) / (float(length) / len(words)))
            made[int(number)] = made[int(number)].ljust(at) + words
    return [line.rstrip() for line in made]
