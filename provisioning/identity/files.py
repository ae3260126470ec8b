"""Files of an identity: written whole or not at all, keys readable by their owner only, nothing overwritten."""

from __future__ import annotations

from pathlib import Path

from provisioning import atomic_files
from provisioning.config.document import shown, wrong
from provisioning.errors import StationError

KEY_MODE = 0o600
PUBLIC_MODE = 0o644


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Create `path` with `content`; a file that is there stays, whoever wrote it meanwhile, and is an InputError.

    The content is on the disk before the name is: a power cut leaves the file or nothing. Raises StationError when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            atomic_files.create(path, content, mode)
        except FileExistsError:
            hint = "Nothing is overwritten here: what devices or the cloud know by this file would be lost. Name another folder."
            raise wrong("file-exists", f"{shown(path)}: is there already", hint) from None
    except OSError as error:
        raise StationError(
            "cannot-write", f"{shown(path)}: cannot be written: {error.strerror}.", "Check the folder's permissions and the disk."
        ) from error


def lay_aside(path: Path, mark: str) -> None:
    """Rename `path` so that `mark` is in its name; nothing where it is not there. What has that name already goes."""
    try:
        path.replace(aside(path, mark))
    except FileNotFoundError:
        return
    except OSError as error:
        raise StationError(
            "cannot-write", f"{shown(path)}: cannot be renamed: {error.strerror}.", "Check the folder's permissions and the disk."
        ) from error


def aside(path: Path, mark: str) -> Path:
    """Where `lay_aside` puts it."""
    return path.with_name(f"{path.name.removesuffix('.pem')}.{mark}.pem")


def discard_key(path: Path) -> bool:
    """Remove a key from this host once its device has proven that it holds it. False where there was none.

    Flash storage keeps old blocks for a while: a key that must leave no trace belongs on a disk that is encrypted.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StationError(
            "cannot-remove", f"{shown(path)}: cannot be removed: {error.strerror}.", "Remove the key by hand; the device has it."
        ) from error
    return True
