"""What the real-time clock says at power on: the option `--clock` and the fault `clock`.

`2000`: a chip without a battery. `host`: this computer's time. `host+90m`, `host-2d`: as many seconds, minutes, hours or days later or
earlier, so that the days between two visits to a board take no time.
"""

from __future__ import annotations

import re
import time

WORD = re.compile(r"2000|host(?:(?P<way>[+-])(?P<count>\d{1,9})(?P<unit>[smhd]))?")
EXAMPLE = "2000, host, host+90m"

_Y2000 = 946684800  # 2000-01-01 in seconds since 1970
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def offset(word: str) -> int:
    """Seconds from this computer's clock to the board's. `word` is one that WORD matches."""
    match = WORD.fullmatch(word)
    if match is None or word == "2000":
        return _Y2000 - int(time.time())
    seconds = int(match["count"] or 0) * _SECONDS[match["unit"] or "s"]
    return -seconds if match["way"] == "-" else seconds
