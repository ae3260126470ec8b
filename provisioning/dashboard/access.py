"""Who may look: everybody on this computer where no token is set, otherwise who has the token.

A browser gives the token once, in the body of a form, and then has a cookie that is made from it and is not it; a program sends it as
`Authorization: Bearer`. It is never read from an address, which histories, logs and referrers store. Without a token the page answers only
to the names of the loopback interface: a web page elsewhere, whose name was made to lead here (DNS rebinding), gets nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
from dataclasses import dataclass
from http import cookies
from pathlib import Path
from urllib.parse import urlsplit

from provisioning import atomic_files
from provisioning.errors import InputError, StationError

VARIABLE = "TWINROOT_DASHBOARD_TOKEN"
SHORTEST = 16  # characters
_LONGEST = 512
_SESSION = b"twinroot dashboard session 1"
COOKIE_SECONDS = 30 * 24 * 3600


def token_of(file: Path | None) -> str | None:
    """The token in `file`, which is made (0600) where it is not there; else the environment's, else None. Raises InputError,
    StationError."""
    if file is None:
        named = os.environ.get(VARIABLE)
        return _checked(named, VARIABLE) if named else None
    try:
        if not file.exists():
            atomic_files.create(file, secrets.token_urlsafe(24).encode() + b"\n", 0o600)
        if os.name != "nt" and file.stat().st_mode & 0o077:
            raise InputError("token-exposed", f"{file} can be read by others.", f"chmod 600 {file}; then change the token in it.")
        return _checked(file.read_text("utf-8", errors="replace").strip(), str(file))
    except OSError as error:
        raise StationError(
            "cannot-write", f"The token's file {file} cannot be used: {error.strerror}.", "Name another file with --token-file."
        ) from None


def _checked(token: str, where: str) -> str:
    if not SHORTEST <= len(token) <= _LONGEST or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            "bad-token",
            f"The token in {where} is not {SHORTEST} to {_LONGEST} printable ASCII characters without a space.",
            "--token-file FILE makes a good one where there is no FILE.",
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether the address of an interface is reached from this computer only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Access:
    """`token`: None where everybody on this computer may look. `cookie`: the name of the browser's cookie."""

    token: str | None
    cookie: str

    def session(self) -> str:
        """What the cookie holds: changes with the token, and does not tell it."""
        return hmac.new((self.token or "").encode(), _SESSION, hashlib.sha256).hexdigest()

    def is_token(self, given: str) -> bool:
        """Compared in a time that does not tell how much of it is right."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def allows(self, authorization: str | None, cookie: str | None) -> bool:
        """Whether a request with these headers may look."""
        if self.token is None:
            return True
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        try:
            held = cookies.SimpleCookie(cookie or "").get(self.cookie)
        except cookies.CookieError:
            return False
        return held is not None and hmac.compare_digest(held.value.encode(), self.session().encode())

    def is_here(self, host: str | None) -> bool:
        """Whether the request was meant for this page, by its Host header: any name where a token is asked for."""
        if self.token is not None:
            return True
        try:
            name = urlsplit(f"//{host or ''}").hostname or ""
        except ValueError:
            return False
        return name == "localhost" or is_loopback(name)
