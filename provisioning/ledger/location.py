"""Where a ledger is: a path, or a database URL, whose password is shown nowhere, whatever is wrong with the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from provisioning.errors import InputError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?!\\)")  # more than a drive's letter
_HINT = "Give a path, or a URL such as sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME; in a password %40 is @, %2F is /."
_SHORTEST = 3  # characters of a piece of a password that is worth hiding in a sentence of a driver's


@dataclass(frozen=True)
class Location:
    """`shown` is for people; `secrets` are texts that `hide` takes out of what a driver says."""

    url: URL
    shown: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def hide(self, text: str) -> str:
        """`text` without any of the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def read(location: str) -> Location:
    """The location that a person wrote. Raises InputError, which repeats nothing that may be part of a password."""
    if "://" not in location:
        if _SCHEME.match(location) and "@" in location:
            raise InputError("bad-ledger", "The ledger's location looks like a database URL and has no '://'.", _HINT)
        path = str(Path(location).expanduser().resolve())
        return Location(URL.create("sqlite", database=path), path)
    scheme, _, rest = location.partition("://")
    authority = rest[: rest.rfind("@")] if "@" in rest else ""
    if re.search(r"[@/?#\s]", authority):
        raise InputError(
            "bad-ledger", f"The ledger's URL ({scheme}://…) has an '@', '/', '?', '#' or a space in its user or password.", _HINT
        )
    try:
        url = make_url(location)
        if url.port is not None and not 1 <= url.port <= 65535:
            raise ValueError("no port")
    except (sa.exc.ArgumentError, ValueError):
        raise InputError("bad-ledger", f"The ledger's location ({scheme[:40]}://…) is not a database URL.", _HINT) from None
    written = authority.partition(":")[2]
    words = [*(str(value) for value in url.query.values()), str(url.password or ""), written]
    secrets = sorted({word for word in words if len(word) >= _SHORTEST}, key=len, reverse=True)
    plain = url.set(query=dict.fromkeys(url.query, "***"))
    return Location(url, plain.render_as_string(hide_password=True).replace("%2A%2A%2A", "***"), tuple(secrets))
