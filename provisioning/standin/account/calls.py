"""A request that a device made by publishing, and its answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

LONGEST_TOKEN = 64  # bytes of a client token


@dataclass(frozen=True)
class Call:
    """A message to a reserved topic of `thing`; `names` are the parts of the topic that vary."""

    thing: str
    topic: str
    names: dict[str, str] = field(default_factory=dict)
    payload: bytes = b""

    def json(self) -> Any:
        """The payload. Raises ValueError when it is not JSON in UTF-8; NaN and such are not JSON."""

        def refuse(word: str) -> Any:
            raise ValueError(f"{word} is not JSON")

        return json.loads(self.payload.decode("utf-8"), parse_constant=refuse)
