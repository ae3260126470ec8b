"""A QR code (ISO/IEC 18004) as SVG or PNG, by segno."""

from __future__ import annotations

import io
from typing import Literal

LONGEST = 1000  # characters: what a scanner still reads from a small label


def render(text: str, form: Literal["svg", "png"]) -> bytes:
    """The picture, with the quiet zone of four modules around it; error correction M (15 %)."""
    import segno

    made = segno.make(text, error="m", micro=False, boost_error=True)
    picture = io.BytesIO()
    made.save(picture, kind=form, scale=8, border=4)
    return picture.getvalue()
