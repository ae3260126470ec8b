"""What a part of the virtual board sees of the rest, and may do to it. The parts know this; only the board knows its parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from provisioning.chips import Chip
from provisioning.errors import TwinrootError
from provisioning.virtual.facts import LoaderFacts
from provisioning.virtual.identity import BoardIdentity
from provisioning.virtual.interpreter.process import InterpreterProcess
from provisioning.virtual.interpreter.shared_page import SharedPage
from provisioning.virtual.nor_flash import NorFlash
from provisioning.virtual.partition import PartitionEntry
from provisioning.virtual.spec import BoardSpec
from provisioning.virtual.uart import Uart


class Pluggable(Protocol):
    """A USB device of the chip's own."""

    def leave(self, *, by_lines: bool = False) -> None: ...
    def opening(self) -> float: ...


class Circuit(Protocol):
    """A cause of a reset is a key of the chip's `reasons`."""

    spec: BoardSpec
    facts: LoaderFacts | None
    interpreter: InterpreterProcess | None
    dropped: int
    resets: int
    boots: int
    boot_time: float
    loader_forced: bool

    @property
    def state(self) -> Path: ...
    @property
    def usb(self) -> Pluggable | None: ...
    @property
    def chip(self) -> Chip: ...
    @property
    def identity(self) -> BoardIdentity: ...
    @property
    def flash(self) -> NorFlash: ...
    @property
    def page(self) -> SharedPage: ...
    @property
    def uart(self) -> Uart: ...
    @property
    def powered(self) -> bool: ...
    @property
    def reset_cause(self) -> str: ...
    @property
    def running(self) -> PartitionEntry | None:
        """Where the application that was started last lies."""

    @property
    def version(self) -> str:
        """What that says it is, empty for the one that a board has from the start."""

    def restart(self, cause: str, download: bool = False) -> None: ...
    def enter_download(self) -> None: ...
    def force_loader(self) -> None: ...
    def asleep(self) -> None: ...
    def hold_in_reset(self) -> None: ...
    def power_off(self) -> None: ...
    def panic(self, cause: str) -> None: ...
    def abort(self) -> None: ...
    def later(self, seconds: float, step: Callable[[], None]) -> None: ...
    def wifi_meets(self, network: str) -> None: ...
    def say(self, text: str) -> None: ...
    def report(self, error: TwinrootError) -> None: ...
