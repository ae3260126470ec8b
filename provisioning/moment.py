"""The time that a document says it was made at: given, or none. Without one a document is a function of its content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone

from provisioning.errors import InputError

EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
_LAST = 253402300799  # Unix seconds of 9999-12-31T23:59:59Z

# Where a standard demands a time and none is given.
NO_TIME = datetime(1970, 1, 1, tzinfo=timezone.utc)


def moment_of(timestamp: str | None, environment: Mapping[str, str]) -> datetime | None:
    """The time of a document, UTC, to the second: `timestamp` (a day, or RFC 3339), else SOURCE_DATE_EPOCH of `environment`
    (Unix seconds), else none. Raises InputError."""
    if timestamp is not None:
        try:
            found = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", timestamp.strip()))
            found = found if found.tzinfo else found.replace(tzinfo=timezone.utc)
            return found.astimezone(timezone.utc).replace(microsecond=0)
        except (ValueError, OverflowError):
            raise InputError("bad-date", f"{timestamp!r} is not a time.", "Write it as 2030-01-01 or 2030-01-01T12:00:00Z.") from None
    epoch = environment.get(EPOCH_VARIABLE)
    if not epoch:
        return None
    if not re.fullmatch(r"[0-9]{1,12}", epoch) or int(epoch) > _LAST:
        raise InputError("bad-date", f"{EPOCH_VARIABLE} is {epoch[:40]!r}, expected Unix seconds.", "Set it to what `date +%s` prints.")
    return datetime.fromtimestamp(int(epoch), timezone.utc)
