"""Writes a bundle's files into a folder: exactly the device's tree, all of it or nothing."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from provisioning.bundle.bundle import KEY_FILE, SET_FILE, Bundle
from provisioning.config.document import shown, wrong
from provisioning.errors import StationError

# What a render may have left in a folder; anything else there is somebody else's.
_OURS = re.compile(r"(lib/twinroot/(__init__\.py|[0-9a-f]{12}(/[\w.]+)?)|trust/(active|\d+/[\w.-]+)|main\.py|boot\.py)")
_PRIVATE = frozenset({KEY_FILE, SET_FILE})  # set.json may hold the Wi-Fi password


def render(bundle: Bundle, directory: Path) -> list[str]:
    """Make `directory` the tree of `bundle`; returns the paths in it, sorted.

    The folder changes by one rename: an interrupted run leaves the old tree or the new one. Raises InputError when the folder holds
    files that no render wrote, StationError when it cannot be written.
    """
    files = {path.lstrip("/"): content for path, content in bundle.tree().items()}
    target = directory.absolute()
    try:
        _refuse_foreign(directory)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            for name, content in files.items():
                _write(fresh / name, content)
            fresh.chmod(0o755)
            _swap(fresh, target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise StationError(
            "cannot-write", f"{shown(directory)}: cannot be written: {error.strerror}.", "Check the folder's permissions and the disk."
        ) from error
    return sorted(files)


def _refuse_foreign(directory: Path) -> None:
    if directory.is_dir():
        entries = sorted(directory.rglob("*"))
        if not (directory / "trust" / "active").is_file() and (file := next((one for one in entries if not one.is_dir()), None)):
            name = file.relative_to(directory).as_posix()  # a main.py, for example: somebody's application
            raise wrong("folder-in-use", f"{shown(directory)}: holds {name}, and no render", "Give --out an empty or a new folder.")
        for entry in entries:
            name = entry.relative_to(directory).as_posix()
            if (entry.is_file() or entry.is_symlink()) and not _OURS.fullmatch(name):
                raise wrong(
                    "folder-in-use", f"{shown(directory)}: holds {name}, which no render wrote", "Give --out an empty or a new folder."
                )
    elif directory.exists() or directory.is_symlink():
        raise wrong("folder-in-use", f"{shown(directory)}: is a file, expected a folder", "Give --out an empty or a new folder.")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o600 if path.name in _PRIVATE else 0o644
    # Created with its final mode: a key is at no moment readable by others.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def _swap(fresh: Path, target: Path) -> None:
    """Put `fresh` where `target` is; the old folder is removed afterwards."""
    old = None
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
        old.rmdir()
        target.rename(old)
    try:
        fresh.rename(target)
    except OSError:
        if old is not None:
            old.rename(target)
        raise
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
