"""Who opens and closes a device: inotify(7), one instance for all boards of a process, since a user has 128 of them and more boards than
that. Constants: inotify.h."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
from collections.abc import Callable

from provisioning.errors import StationError

_IN_OPEN, _IN_CLOSE = 0x20, 0x18
_IN_IGNORED = 0x8000
_IN_NONBLOCK, _IN_CLOEXEC = 0o4000, 0o2000000
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)

Changed = Callable[[list[int]], None]  # +1 for each open, -1 for each close, in their order


class Opens:
    """The instance of this process; made with the first device, closed with the last."""

    def __init__(self) -> None:
        self._instance = -1
        self._listeners: dict[int, Changed] = {}

    def watch(self, device: str, changed: Changed) -> int:
        """Call `changed` from the event loop when `device` was opened or closed; returns what `forget` takes. Raises StationError."""
        if self._instance < 0:
            self._instance = _checked(_libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC))
            asyncio.get_running_loop().add_reader(self._instance, self._read)
        number = _checked(_libc.inotify_add_watch(self._instance, device.encode(), _IN_OPEN | _IN_CLOSE))
        self._listeners[number] = changed
        return number

    def forget(self, number: int) -> None:
        del self._listeners[number]
        _libc.inotify_rm_watch(self._instance, number)
        if not self._listeners:
            asyncio.get_running_loop().remove_reader(self._instance)
            os.close(self._instance)
            self._instance = -1

    def _read(self) -> None:
        events = os.read(self._instance, 65536)
        changes: dict[int, list[int]] = {}
        at = 0
        while at < len(events):
            number, mask, _, size = _EVENT.unpack_from(events, at)
            at += _EVENT.size + size
            if not mask & _IN_IGNORED:
                changes.setdefault(number, []).append(1 if mask & _IN_OPEN else -1)
        for number, steps in changes.items():
            if number in self._listeners:
                self._listeners[number](steps)


def _checked(result: int) -> int:
    if result >= 0:
        return result
    error = ctypes.get_errno()
    if error not in (errno.EMFILE, errno.ENOSPC):
        raise OSError(error, os.strerror(error), "inotify")
    raise StationError(
        "too-many-watches",
        "This user may not watch more devices for who opens them",
        "Raise the limits (`sysctl fs.inotify`: max_user_instances, max_user_watches), or end other programs.",
    )


OPENS = Opens()
