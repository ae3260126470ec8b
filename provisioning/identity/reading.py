"""Files of certificates and keys as InputErrors: where, what is there, and the command that helps. What they hold is read by pem/."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from provisioning.config.document import shown, wrong_file
from provisioning.errors import FileMissing, InputError
from provisioning.identity.files import KEY_MODE
from provisioning.pem import read
from provisioning.pem.read import PemBlock, Unreadable

_OTHERS_WRITE, _ANYBODY = stat.S_IWGRP | stat.S_IWOTH, stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
_ENCRYPTED = ("encrypted-key",)


class KeyEncrypted(InputError):
    """A private key is there, and only who types its password could use it."""


def certificates(path: Path, what: str = "the device's certificate", code: str = "bad-certificate") -> list[bytes]:
    """The DER of every certificate in `path`, at least one. `what` is expected there. Raises InputError, with `code` where it is not."""
    try:
        return read.certificates(_bytes(path, what))
    except Unreadable as error:
        raise _refused(path, what, error, code) from None


def private_key(path: Path, what: str = "the device's private key", code: str = "bad-key") -> PemBlock:
    """The one private key in `path`; a file that others than its owner may read or write is made its owner's alone first.

    Raises InputError, with `code` where it is not a key, also for a key that others can change and that is not ours to protect.
    """
    data = _bytes(path, what)
    try:
        found = read.key(data)
    except Unreadable as error:
        if error.kind is not None and error.kind.name in _ENCRYPTED:
            raise _refused(path, what, error, "key-encrypted", KeyEncrypted) from None
        raise _refused(path, what, error, code) from None
    protect(path)
    return found


def protect(path: Path) -> None:
    """Make a key file its owner's alone. Raises InputError where it belongs to somebody else and everybody could read or others change it.

    A file system without modes (a USB stick, a Windows share) is left as it is.
    """
    if os.name == "nt":
        return
    found = path.stat()
    if not found.st_mode & _ANYBODY:
        return
    try:
        path.chmod(KEY_MODE)
    except OSError:
        exposed = found.st_mode & (_OTHERS_WRITE | stat.S_IROTH)
        if found.st_uid != os.geteuid() and exposed:
            raise wrong_file(
                path,
                "key-exposed",
                f"this private key has mode {stat.S_IMODE(found.st_mode):04o} and another owner, so that others can "
                f"{'change' if exposed & _OTHERS_WRITE else 'read'} it",
                f"As its owner: chmod 600 {shown(path)}",
            ) from None


def _refused(path: Path, what: str, error: Unreadable, code: str, kind: type[InputError] = InputError) -> InputError:
    return wrong_file(path, "bad-pem" if error.kind is None else code, f"{error}; expected {what}", error.hint(shown(path)), kind)


def _bytes(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise wrong_file(path, "file-missing", f"there is no such file, expected {what}", "Check the path.", FileMissing) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file has such a name"
        raise wrong_file(path, "file-unreadable", f"cannot be read: {reason}, expected {what}", "Check its permissions.") from None
