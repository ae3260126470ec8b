"""Files that were downloaded once: by their SHA-256, in the user's cache folder, whole or not there."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from provisioning import private, result_cache
from provisioning.errors import InputError, StationError

MAX_BYTES = 64 * 1024 * 1024  # an image is smaller than the biggest flash that a board can have
SILENCE = 30.0  # seconds a server may say nothing
_BLOCK = 256 * 1024

Progress = Callable[[int, int], None]  # bytes so far, bytes in all (0: the server does not say)


def place(sha256: str) -> Path:
    """Where the firmware image with this hash is, or would be."""
    return result_cache.folder() / "firmware" / f"{sha256.lower()}.bin"


def download(url: str, sha256: str, progress: Progress = lambda _done, _total: None) -> Path:
    """The file at `url`, downloaded unless it is here already, its hash checked. Raises InputError (hash) or StationError (network)."""
    target = place(sha256)
    if _is_kept(target, sha256):
        return target
    try:
        private.folder(target.parent)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".download-")
    except OSError as error:
        raise StationError(
            "cache-unusable", f"The cache folder cannot be written: {error}.", "Set TWINROOT_CACHE to another folder."
        ) from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            found = _fetch(url, stream.write, progress)
            stream.flush()
            os.fsync(stream.fileno())
        if found != sha256.lower():
            raise InputError(
                "firmware-hash",
                f"{url} has the SHA-256 {found}, the board file says {sha256.lower()}.",
                "Nothing was kept. Take hash and address from the same page.",
            )
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _is_kept(target: Path, sha256: str) -> bool:
    """Whether the image is here, byte by byte, where nobody else could have put it."""
    try:
        return hashlib.sha256(private.read(target)).hexdigest() == sha256.lower()
    except OSError:
        return False


def _fetch(url: str, write: Callable[[bytes], object], progress: Progress) -> str:
    """Copy what is at `url`; the SHA-256 of it."""
    digest = hashlib.sha256()
    done = 0
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "twinroot"})  # the schema allows http(s) only
        with urllib.request.urlopen(request, timeout=SILENCE) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(_BLOCK):
                done += len(block)
                if done > MAX_BYTES:
                    raise InputError("firmware-too-big", f"{url} is bigger than {MAX_BYTES >> 20} MB.", "Is it the address of an image?")
                digest.update(block)
                write(block)
                progress(done, total)
    except urllib.error.HTTPError as error:
        raise InputError("firmware-url", f"{url} answers {error.code} {error.reason}.", "Check the address in the board file.") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise StationError(
            "no-download", f"{url} cannot be downloaded: {reason}.", "Check the network, or name a `file` instead."
        ) from None
    if total and done < total:
        raise StationError("no-download", f"{url} ended after {done} of {total} bytes.", "Run the command again.")
    return digest.hexdigest()
