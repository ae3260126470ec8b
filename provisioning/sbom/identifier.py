"""The name of a document: the same content has the same name, on every computer and at any time."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any


def identifier(document: dict[str, Any]) -> uuid.UUID:
    """A UUID (version 5, RFC 9562) of the SHA-256 of `document` as canonical JSON."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(text.encode()).hexdigest())
