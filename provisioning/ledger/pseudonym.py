"""What stands in a row in place of a person's name; `names.py` keeps the names. Needs no database layer."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PSEUDONYM = re.compile(r"op-[0-9a-f]{12}")


def draw() -> str:
    """A new one, by chance."""
    return f"op-{secrets.token_hex(6)}"


def without_home(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`fields` with this user's home folder, whose name is mostly the user's, as ~ in every text."""
    home = str(Path.home())
    if len(home) < 3:
        return dict(fields)

    def plain(value: Any) -> Any:
        if isinstance(value, str):
            return re.sub(rf"{re.escape(home)}(?![\w.-])", "~", value)
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value

    return {name: plain(value) for name, value in fields.items()}
