"""Host names as TLS can carry them in SNI: what is wrong with one, in words (RFC 1123 2.1, RFC 1035 2.3.4, RFC 6066 3)."""

from __future__ import annotations

MAX_LABEL = 63  # RFC 1035 2.3.4
_MAX_NAME = 253
_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def why_not_a_host_name(name: str) -> str:
    """Empty when `name` is a host name (RFC 1123 2.1) that TLS can carry in SNI."""
    if not name:
        return "an endpoint is a host name, and this is empty"
    if "://" in name or "/" in name:
        return "an endpoint is a host name alone, without scheme or path"
    if name.count(":") > 1 or name.startswith("["):
        return "an IP address cannot be an endpoint: SNI carries names only"
    if ":" in name:
        return "an endpoint is a host name alone; the port is a key of its own"
    if not name.isascii():
        return "a host name is ASCII; write an international name in its xn-- form"
    if len(name) > _MAX_NAME:
        return f"a host name has at most {_MAX_NAME} characters, this one has {len(name)}"
    labels = name.lower().split(".")
    for label in labels:
        if not label:
            return "a label between two dots is empty"
        if len(label) > MAX_LABEL:
            return f"a label has at most {MAX_LABEL} characters, one here has {len(label)}"
        if not set(label) <= _CHARACTERS:
            return f"a host name has letters, digits, hyphens and dots, and {label!r} has something else"
        if label.startswith("-") or label.endswith("-"):
            return f"a label neither begins nor ends with a hyphen, and {label!r} does"
    if labels[-1].isdigit():
        return "an IP address cannot be an endpoint: SNI carries names only"
    return ""
