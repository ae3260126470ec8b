"""A board's files as a folder on this computer, and back: all of them, the keys among them, so the folder is for this user only."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from provisioning.errors import BoardError, InputError, StationError
from provisioning.parsed import from_json
from provisioning.rescue.programs import PROGRAMS, Files

ABOUT = ".twinroot-backup.json"  # beside the files: whose they are; never written to a board
TRUST = "/trust/"
_NEW = ".new"  # of a file that is written and not in its place yet
_POINTER = "/trust/active"  # makes what lies beside it active, so it comes after that
_STRANGE = frozenset('\\:*?"<>|')  # that a file name of some system cannot have


@dataclass(frozen=True)
class Whose:
    """The board that files came from."""

    mac: str | None
    chip: str | None


def save(files: Files, folder: Path, whose: Whose) -> dict[str, str]:
    """Everything on the board into `folder`, which must not be there or be empty; path -> SHA-256. It appears when it is complete."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "backup-exists", f"{folder} is there already and not empty.", "Name a new folder: a backup is not mixed with another."
        )
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    hashes = {}
    try:
        partial.mkdir(parents=True, mode=0o700)
        for path, inside, _ in files.walk():
            target = partial.joinpath(*_parts(path))
            if inside:
                target.mkdir(mode=0o700)
            else:
                hashes[path] = _private(target, files.read(path))
        about = {"mac": whose.mac, "chip": whose.chip, "files": hashes}
        _private(partial / ABOUT, json.dumps(about, indent=1, sort_keys=True).encode())
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise StationError(
            "backup-not-written",
            f"The backup cannot be written to {folder}: {error.strerror or error}.",
            "Name another folder, or free some space.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return hashes


def _parts(path: str) -> list[str]:
    """The names in `path`, each one that every system takes. Raises BoardError for one that would lead elsewhere."""
    parts = path.strip("/").split("/")
    for part in parts:
        if part in ("", ".", "..") or _STRANGE & set(part) or not part.isprintable():
            raise BoardError(
                "strange-name", f"The board has a file whose name no folder here can have: {path!r}.", "Rename it on the board first."
            )
    return parts


def _private(path: Path, content: bytes) -> str:
    """Write a file that only this user can read; its SHA-256."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600), "wb") as stream:
        stream.write(content)
    return hashlib.sha256(content).hexdigest()


def load(folder: Path) -> tuple[dict[str, bytes], list[str], Whose]:
    """(path -> content, folders, whose they are) of a backup, or of any folder. Raises InputError."""
    if not folder.is_dir():
        raise InputError("no-backup", f"{folder} is not a folder.", "Name the folder that --backup made.")
    contents: dict[str, bytes] = {}
    folders = []
    try:
        for entry in sorted(folder.rglob("*")):
            path = "/" + entry.relative_to(folder).as_posix()
            if path == f"/{ABOUT}":
                continue
            if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
                raise InputError("bad-backup", f"{entry} is neither a file nor a folder.", "Take it out of the folder.")
            if entry.is_dir():
                folders.append(path)
            else:
                contents[path] = entry.read_bytes()
    except OSError as error:
        raise InputError("bad-backup", f"{folder} cannot be read: {error.strerror or error}.", "Check its permissions.") from error
    return contents, folders, _about(folder)


def _about(folder: Path) -> Whose:
    try:
        found = from_json((folder / ABOUT).read_text("utf-8"))
        return Whose(found["mac"], found["chip"])
    except FileNotFoundError:
        return Whose(None, None)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("bad-backup", f"{folder / ABOUT} cannot be read.", "Take the backup from where it was made once more.") from error


def restore(files: Files, contents: dict[str, bytes], folders: list[str]) -> list[str]:
    """Write what the board does not hold already, each file whole or not at all; the paths. Nothing else on the board is touched.

    What makes the rest count comes last: the pointer to the active set, then the programs that the board starts.
    """
    there = {path for path, inside, _ in files.walk() if inside}
    for folder in folders:
        if folder not in there:
            files.make_folder(folder)
    written = []
    for path in sorted(contents, key=lambda path: (path in PROGRAMS, path == _POINTER, path)):
        if files.exists(path) and files.read(path) == contents[path]:
            continue
        new = f"{path}{_NEW}"
        files.write(new, contents[path])
        files.rename(new, path)
        written.append(path)
    return written
