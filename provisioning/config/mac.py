"""MAC addresses as people write them."""

from __future__ import annotations

import re


def normal(text: str) -> str | None:
    """aa:bb:cc:dd:ee:ff of any usual way to write a MAC, None for anything else."""
    digits = re.sub(r"[:\-. ]", "", text.strip()).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        return None
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))
