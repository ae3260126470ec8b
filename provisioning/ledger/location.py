"""Where a ledger is: a file, or a database by URL; what of the URL may be shown, and what never is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from provisioning.errors import InputError
from provisioning.ledger.place import path_of

# Scheme of a URL -> SQLAlchemy's dialect and driver. Others would need a lock, an order of writers and migrations of their own.
DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?!\\)")  # more than a drive's letter
_SHORTEST = 3  # characters of a text that is worth hiding in a sentence of a driver's
_HINT = "Give a path, or a URL such as postgresql://USER@HOST/DATABASE; in a password %40 is @, %3A is :, %2F is /, %3F is ?, %23 is #."


@dataclass(frozen=True)
class Location:
    """`url`: for the driver. `shown`: for people, without a password. `path`: of an SQLite file."""

    url: URL = field(repr=False)
    shown: str
    path: Path | None
    _secrets: tuple[str, ...] = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What `scrub` takes out."""
        return self._secrets

    def scrub(self, text: str) -> str:
        """`text`, which came from a driver or a server, without any form of the password."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def locate(text: str) -> Location:
    """The location that `text`, a path or a URL, names. Raises InputError, whose sentence holds nothing of a URL but its scheme."""
    path = path_of(text)
    if path is not None:
        if _SCHEME.match(text) and "@" in text:
            raise InputError("bad-ledger", "The ledger's location looks like a database URL and has no '://'.", _HINT)
        return Location(URL.create("sqlite", database=str(path)), str(path), path, ())
    scheme, _, rest = text.partition("://")
    shown = scheme if re.fullmatch(r"[a-z0-9+]{1,40}", scheme) else "?"
    authority = rest[: rest.rfind("@")] if "@" in rest else ""
    try:
        if re.search(r"[@/?#\s]", authority):
            raise ValueError  # a password whose rest would pass for the host, and be shown
        url = make_url(text)
        if url.port is not None and not 1 <= url.port <= 65535:
            raise ValueError
    except (ArgumentError, ValueError, NoSuchModuleError):
        # The text is not repeated: what cannot be read may hold a password anywhere.
        raise InputError("bad-ledger", f"The ledger's address {shown}://… is not a database URL.", _HINT) from None
    if url.drivername not in DRIVERS:
        raise InputError("bad-ledger", f"A ledger cannot be kept in {shown}://….", "Use SQLite (a path) or PostgreSQL (postgresql://…).")
    url = url.set(drivername=DRIVERS[url.drivername])
    if url.get_backend_name() == "sqlite":
        file = Path(url.database) if url.database else None
        return Location(url, str(file) if file else "sqlite://", file, ())
    # Any value of the query may be secret (sslpassword, options), and a part of the address is as good as the whole.
    found = [url.password, authority.partition(":")[2], *(value for name in url.query for value in _values(url, name))]
    # Longest first, so that a form which holds another one goes whole.
    forms = {form for secret in found if secret for form in (secret, quote(secret, safe=""), quote_plus(secret)) if len(form) >= _SHORTEST}
    plain = url.set(drivername="postgresql", query={})
    return Location(url, plain.render_as_string(hide_password=True), None, tuple(sorted(forms, key=len, reverse=True)))


def _values(url: URL, name: str) -> tuple[str, ...]:
    value = url.query.get(name, ())
    return (value,) if isinstance(value, str) else tuple(value)
