"""Files of an identity: written whole or not at all, keys readable by their owner only, nothing overwritten."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

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
        # mkstemp creates with 0600 and O_EXCL: a key is at no moment readable by others.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(mode)
            try:
                _publish(temporary, path)
            except FileExistsError:
                hint = "Nothing is overwritten here: what devices or the cloud know by this file would be lost. Name another folder."
                raise wrong("file-exists", f"{shown(path)}: is there already", hint) from None
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StationError(
            "cannot-write", f"{shown(path)}: cannot be written: {error.strerror}.", "Check the folder's permissions and the disk."
        ) from error


def _publish(temporary: Path, path: Path) -> None:
    """Give `temporary` the name `path`, or FileExistsError: of two workers one wins."""
    if os.name == "nt":
        temporary.rename(path)  # fails where the name is taken
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as a USB stick's: the name is taken first, then the content put under it
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def lay_aside(path: Path, mark: str) -> None:
    """Rename `path` so that `mark` is in its name; nothing where it is not there. What has that name already goes."""
    try:
        path.replace(path.with_name(f"{path.name.removesuffix('.pem')}.{mark}.pem"))
    except FileNotFoundError:
        return
    except OSError as error:
        raise StationError(
            "cannot-write", f"{shown(path)}: cannot be renamed: {error.strerror}.", "Check the folder's permissions and the disk."
        ) from error


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
