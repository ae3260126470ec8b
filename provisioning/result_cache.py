"""Results that take a while and depend only on bytes that are hashed, kept in the user's cache folder.

Measured, processor time of a command that each saves: the models of a file 190 ms (config/checked.py), the compiled package 96, device code
57, a device's pair 46, roots 35, a certificate alone 34.

What is kept may be deleted at any time and is never secret. But code is among it that will run on devices, so that nobody else may write
it (private.py). An entry carries the key it was made from and the SHA-256 of its content: one that is torn, of another version or not ours
is as good as none, and a folder that cannot be used costs the time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from provisioning import private


def key_of(*parts: bytes) -> str:
    """SHA-256 over `parts`, each with its length, as hex."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


def read(name: str, key: str) -> Any:
    """The JSON value that was kept in the file `name` under `key`; None where there is none."""
    try:
        head, _, body = private.read(folder() / name).partition(b"\n")
        if head == _head(key, body):
            return json.loads(body)
    except (OSError, ValueError, RuntimeError):  # RuntimeError: no home directory
        pass
    return None


def write(name: str, key: str, value: Any) -> None:
    """Keep `value` (JSON) under `key`; another key's value in the same file goes. Two writers at once do no harm."""
    body = json.dumps(value, ensure_ascii=True).encode()
    with contextlib.suppress(OSError, RuntimeError):
        private.write(folder() / name, _head(key, body) + b"\n" + body)


def _head(key: str, body: bytes) -> bytes:
    return f"{key} {hashlib.sha256(body).hexdigest()}".encode()


def folder() -> Path:
    """TWINROOT_CACHE, or the user's cache folder; not made yet. Raises RuntimeError where there is no home directory."""
    named = os.environ.get("TWINROOT_CACHE", "")
    if named.strip():
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("twinroot", appauthor=False))
