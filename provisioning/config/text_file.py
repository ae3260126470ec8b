"""Text files that people write: read whole, as UTF-8, with a sentence for each way in which that fails."""

from __future__ import annotations

from pathlib import Path

from provisioning.config.document import shown, wrong, wrong_file
from provisioning.config.nearest import did_you_mean
from provisioning.errors import FileMissing

_MAX_BYTES = 1_000_000


def is_file(path: Path) -> bool:
    """Path.is_file that says no, rather than raise, for a name no file can have (too long, no permission on the way)."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_text(path: Path, most: int = _MAX_BYTES) -> str:
    """The text of `path` (UTF-8, with or without byte-order mark); InputError where it cannot be read as such."""
    name = shown(path)
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise wrong_file(path, "file-missing", "there is no such file", _neighbours(path), FileMissing) from None
    except IsADirectoryError:
        raise wrong("file-is-folder", f"{name}: this is a folder, expected a file", _neighbours(path / "x")) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise wrong("file-unreadable", f"{name}: cannot be read: {reason}", "Check the file's permissions.") from None
    if len(raw) > most:
        raise wrong("file-too-big", f"{name}: is larger than {most // 10**6} MB, expected a text file for people", "Is it the right file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise wrong("not-utf-8", f"{name}:{line}: a byte that is not UTF-8 text", "Save the file as UTF-8 (in Excel: CSV UTF-8).") from None


def _neighbours(path: Path) -> str:
    """A hint that names a file of nearly the same name in the same folder."""
    try:
        there = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return f"There is no folder {shown(path.parent)} either."
    return did_you_mean(path.name, there) or "Check the path; it is relative to the working directory or to the file that names it."
