"""One esptool session: every part of what a board gets, written and read back (MD5) with one connection, one stub, one reset."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from provisioning.config.board_type import BoardType
from provisioning.errors import StationError, TwinrootError
from provisioning.flash import baud, process
from provisioning.flash.esptool_errors import SLOWER, FlashMismatch, explain
from provisioning.flash.loader_access import EsptoolPort, LoaderAccess
from provisioning.flash.prestart import Told
from provisioning.flash.rom import NoAnswer
from provisioning.link.events import Event, Listener, silent


@dataclass(frozen=True)
class Part:
    """A file for a flash address."""

    offset: int
    file: Path


@dataclass
class Written:
    """What a session did. Sizes in bytes, `wire` is what the data took on the wire, compressed."""

    baud: int = 0
    plain: int = 0
    wire: int = 0
    skipped: list[int] = field(default_factory=list)  # addresses whose content was there already
    attempts: int = 0
    seconds: float = 0.0
    began: bool = False  # whether the flash may have been changed


_WRITING = re.compile(r"Writing '?.*'? at (0x[0-9a-f]+)\.\.\.")
_BLOCK = re.compile(r"Writing at (0x[0-9a-f]+) ")
_WROTE = re.compile(r"Wrote (\d+) bytes(?: \((\d+) compressed\))? at (0x[0-9a-f]+)")
_THERE = re.compile(r" at (0x[0-9a-f]+) (?:already in flash|verified)")


def write(
    line: LoaderAccess,
    parts: Sequence[Part],
    *,
    in_loader: bool = False,
    fixed_baud: int | None = None,
    skip_same: bool = False,
    events: Listener = silent,
    silence: float = process.SILENCE,
) -> Written:
    """Write all parts, falling back to lower rates by itself. Raises Failed, which holds the error.

    `in_loader`: the chip waits in its loader, so the first attempt needs no reset. `skip_same`: the chip is asked for the MD5 of each
    part's place, and a part that is there is not sent.
    """
    board = line.board
    key = baud.adapter(line.name)
    done = Written()
    last: TwinrootError | None = None
    mismatches = 0
    for rate in baud.ladder(board, key, fixed_baud, line.native):
        done.attempts += 1
        done.baud = rate
        events(Event("baud", {"baud": rate}))
        try:
            with line.session(in_loader and done.attempts == 1) as endpoint:
                argv = process.command(_arguments(board, endpoint, rate, parts, skip_same))
                follower = _Follower(parts, events, done, partial(line.release, endpoint))
                source = Told(line.source) if endpoint.bridge is not None else line.source
                ended = process.run(argv, line.log, follower, silence, source)
        except TwinrootError as error:
            raise Failed(error, done) from None  # the loader cannot be entered again, or there is no esptool
        done.seconds += ended.seconds
        if ended.code == 0:
            if fixed_baud is None and not line.native:
                baud.remember(key, rate)
            return done
        if endpoint.bridge is not None and endpoint.bridge.failure is not None:
            raise Failed(endpoint.bridge.failure, done)  # the port itself: esptool saw only the end of it
        last, retry = _why(ended, line, rate, silence)
        if isinstance(last, NoAnswer) and in_loader and done.attempts == 1:
            retry = SLOWER  # the chip left its loader in between: once more, with a reset
        mismatches += isinstance(last, FlashMismatch)
        if retry != SLOWER or mismatches > 1:
            break
        events(Event("note", {"text": f"{last.message} Trying a lower rate."}))
    raise Failed(last or StationError("no-rate", "There is no rate to try.", "Check `baud` in the board file."), done)


class Failed(Exception):
    """A session that failed: `error` is what to report, `done.began` whether flash may have changed."""

    def __init__(self, error: TwinrootError, done: Written) -> None:
        super().__init__(error.message)
        self.error = error
        self.done = done


def _why(ended: process.Ended, line: LoaderAccess, rate: int, silence: float) -> tuple[TwinrootError, str]:
    if ended.code is None and ended.output.rstrip().endswith(process.STUB_STARTS):
        return explain("Failed to start stub flasher", line.name, rate, str(line.log))
    if ended.code is None:
        return (
            StationError(
                "esptool-silent", f"esptool said nothing for {silence:.0f} s on {line.name} and was ended.", f"Its output is in {line.log}."
            ),
            SLOWER,
        )
    return explain(ended.output, line.name, rate, str(line.log))


def _arguments(board: BoardType, endpoint: EsptoolPort, rate: int, parts: Sequence[Part], skip_same: bool) -> list[str]:
    arguments = ["--chip", board.chip, "--port", endpoint.port, "--baud", str(rate)]
    arguments += ["--before", endpoint.before, "--after", endpoint.after, "--connect-attempts", "3"]
    arguments += ["write-flash", "--flash-mode", "keep", "--flash-freq", "keep", "--flash-size", "keep"]
    if skip_same:
        # Measured 0.1 s better than --diff-with for a whole firmware, and it needs no knowledge of what lies in the other places.
        arguments += ["--skip-flashed"]
    for part in parts:
        arguments += [f"0x{part.offset:x}", str(part.file)]
    return arguments


class _Follower:
    """Turns esptool's lines into events and numbers. `ending` is called when everything was written and read back, and it only ends."""

    def __init__(self, parts: Sequence[Part], events: Listener, done: Written, ending: Callable[[], None]) -> None:
        self._ending = ending
        self._sizes = {part.offset: part.file.stat().st_size for part in parts}
        self._total = sum(self._sizes.values())
        self._events = events
        self._done = done
        self._at = parts[0].offset if len(parts) == 1 else -1
        self._before = 0  # bytes of the parts that are behind us
        done.plain = done.wire = 0
        done.skipped.clear()

    def __call__(self, line: str) -> None:
        if match := _WROTE.search(line):
            self._done.plain += int(match[1])
            self._done.wire += int(match[2] or match[1])
        elif match := _THERE.search(line):
            self._done.skipped.append(int(match[1], 16))
        elif match := _BLOCK.search(line):
            self._done.began = True
            here = min(int(match[1], 16) - self._at, self._sizes.get(self._at, 0)) if self._at >= 0 else 0
            self._events(Event("bytes", {"done": self._before + here, "total": self._total}))
        elif match := _WRITING.search(line):
            address = int(match[1], 16)
            if address != self._at:  # esptool says where it writes only when there are several parts
                self._before += self._sizes.get(self._at, 0)
                self._at = address
        elif "will be erased" in line or "Erasing" in line:
            self._done.began = True
        elif line.startswith("Staying in flasher stub"):
            self._ending()


def private_file(folder: Path, name: str, content: bytes) -> Path:
    """A file that only this user can read, for an image that holds a device's key."""
    path = folder / name
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    return path
