"""What every transport offers. The device's part of the guarantees is one piece of code for all of them, firmware/link."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from provisioning.errors import BoardError
from provisioning.link.answer_check import fits
from provisioning.link.payload import Payload
from provisioning.link.repl import RETRY, DeviceException, LinkBroken

_TAG = 32  # characters


class Hello(NamedTuple):
    """What a board is: `mp` version, `mpy` bytecode version (0: none), `fs` the list of its mounts as text ("" when it cannot tell),
    `block` bytes, `free` blocks, `ours` whether it has a /trust, `tag` what its version has behind the numbers ("preview")."""

    mp: tuple[int, ...]
    mpy: int
    machine: str
    platform: str
    uid: str
    fs: str
    block: int
    free: int
    ours: bool
    tag: str = ""

    @property
    def version(self) -> str:
        """As MicroPython's releases have it: 1.27.0, or 1.28.0-preview."""
        tag = re.sub(r"[^0-9A-Za-z.-]", "-", self.tag)[:_TAG]
        return ".".join(str(number) for number in self.mp) + (f"-{tag}" if tag else "")

    @classmethod
    def of(cls, answer: list[Any]) -> Hello:
        mp, mpy, machine, platform, uid, fs, block, free, ours = answer
        made = cls(tuple(mp[:3]), mpy, machine, platform, uid, fs, block, free, ours, mp[3] if len(mp) > 3 else "")
        texts = (made.machine, made.platform, made.uid, made.fs, made.tag)
        numbers = (*made.mp, made.mpy, made.block, made.free)
        if not (len(made.mp) > 1 and (made.block or made.ours) and fits(list(texts), [str]) and fits(list(numbers), [int])):
            raise ValueError("no answer to hello()")
        return made


class TransferPlan(NamedTuple):
    """The board's answer to a payload, before the first write. `need` and `free` are blocks of its file system.

    `send`: indices into Payload.items of what it does not hold; `copy`: of what another of its sets holds; `same`: whether the
    set's folder holds this set.json already; `begun`: (index, bytes, SHA-256 of them) of each file that a broken run may have begun;
    `certificate`: SHA-256 of the device certificate of the set in use, as that says, "" where there is none.
    """

    number: int
    send: tuple[int, ...]
    copy: tuple[int, ...]
    same: bool
    need: int
    free: int
    begun: tuple[tuple[int, int, str], ...] = ()
    certificate: str = ""

    @classmethod
    def of(cls, answer: list[Any]) -> TransferPlan:
        number, send, copy, same, need, free, begun, certificate = answer
        files = tuple((index, size, sha) for index, size, sha in begun)
        whole = all(fits(size, int) and fits(index, int) and fits(sha, str) for index, size, sha in files)
        if not (whole and fits([number, need, free, *send, *copy], [int]) and fits(certificate, str)):
            raise ValueError("no plan")
        return cls(number, tuple(send), tuple(copy), same, need, free, files, certificate)

    def there(self, payload: Payload) -> dict[int, int]:
        """Index -> bytes that need not travel: the beginnings that are right."""
        return {index: size for index, size, sha in self.begun if hashlib.sha256(payload.items[index].content[:size]).hexdigest() == sha}


def none_lost(payload: Payload, send: Sequence[int], name: str) -> Sequence[int]:
    """`send`, unless that has something that only the board had: no set is made then, and the one in use stays."""
    lost = payload.lost(send)
    if lost:
        raise BoardError(
            "identity-damaged",
            f"The file {lost} on the board on {name} is not what its set says, and it is nowhere else.",
            "The board keeps the set that it has. Update it where the device's files are, or ask whoever made the product.",
        )
    return send


def first_plan(hello: Hello, payload: Payload) -> TransferPlan:
    """The plan for a board that holds nothing of ours: known without asking."""
    need = 6 + sum(len(item.content) // hello.block + 1 for item in payload.items)
    return TransferPlan(1, tuple(range(len(payload.items))), (), False, need, hello.free)


def plan_text(payload: Payload) -> tuple[bytes, list[Any]]:
    """The arguments of the device's prepare(): set.json; [its sha256, sizes of all files, [path, sha256] of files outside it...]."""
    rest = [[item.name, item.sha256] for item in payload.rest]
    return payload.set_json, [payload.set_sha256, [len(item.content) for item in payload.items], *rest]


LITTLEFS = b"littlefs"  # at 8 in a file system's first block (littlefs SPEC.md, superblock); FAT has its maker's name at 3

# What a device's exception says -> code, sentence, next step. Matched in order; MicroPython names or only numbers an errno, as repr()
# or in a traceback.
_DEVICE = (
    (
        r"ENOSPC|Errno 28\b|OSError(\(|: )28\b",
        "flash-full",
        "The flash of the board is full",
        "Remove files of your own from the board (not /trust, not /lib/twinroot), then run it again.",
    ),
    (
        r"EROFS|Errno 30\b|OSError(\(|: )30\b",
        "read-only",
        "The board's file system is read-only",
        "Press RESET and run it again; if it repeats, the flash is bad.",
    ),
    (r"\bhash /", "readback", "A file on the board does not read back as it was written", "Run it again; if it repeats, the flash is bad."),
    (
        r"EIO|Errno 5\b|OSError(\(|: )5\b",
        "flash-bad",
        "The flash of the board cannot be read or written",
        "Run it again; if it repeats, it is bad.",
    ),
    (r"MemoryError|memory alloc", "no-memory", "The board ran out of memory", "Restart the board and run the command again."),
    (r"", "device-error", "The board reports an error", "Run the command again; if it repeats, restart the board."),
)


def device_error(what: BoardError | str, name: str) -> BoardError:
    """The error for what the device's code raised on the board at `name`; errors that are not the device's stay as they are."""
    if isinstance(what, BoardError) and not isinstance(what, DeviceException):
        return what
    text, raised = (what, what) if isinstance(what, str) else (what.message, what.raised)
    if raised.startswith("NameError"):  # what was defined there is gone: a watchdog, or a supply that dipped, between two pieces
        return LinkBroken("board-restarted", f"The board on {name} restarted in the middle of a transfer.", RETRY)
    _, code, sentence, hint = next(row for row in _DEVICE if re.search(row[0], raised))
    return BoardError(code, f"{sentence} ({name}: {text[-120:]}).", hint)


class Session(Protocol):
    """An open transfer session on a board. Only `transfer`, `tidy` and `back` write to its flash."""

    name: str

    def hello(self) -> Hello:
        """What the board is."""

    def head(self) -> bytes:
        """The first 16 bytes of the board's file system, for boards that have no list of mounts."""

    def prepare(self, payload: Payload) -> TransferPlan:
        """Plan the payload; writes nothing."""

    @property
    def committing(self) -> bool:
        """Whether the board may have what it needs to commit: from here on only the board knows which set is active."""

    def transfer(self) -> int:
        """Send what is missing, read everything back, commit, clear up. Returns the number of the active set."""

    def audit(self) -> dict[str, str]:
        """Hashes of the active set as they are in flash."""

    def tidy(self) -> None:
        """Remove what broken runs left."""

    def lies(self) -> tuple[int, int]:
        """Numbers of the active set and of the set before it (0: none), of which nothing is changed."""

    def back(self) -> tuple[int, int]:
        """Make the set before the active one active: numbers of the set that was and the set that is active (0: none)."""

    def close(self) -> None:
        """End the session; the board is at its raw prompt again."""
