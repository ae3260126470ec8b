"""One emulated board, the states of its flash that runs start from, and the commands that are run on it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioning.errors import StationError
from provisioning.link.port import open_port
from provisioning.virtual import VirtualBoard
from tests.silicon.images import Image
from tests.support.command import twinroot_command

LIMIT = 900.0  # s for one command: nothing may run without an end
BOOT = 90.0  # s from power to the prompt; 0.5 to 12 are usual
PROMPT = b">>> "
STARTED = b"entry 0x"  # the ROM's last word, before the boot loader
LATENCY_MS = 1.0  # of a turn of the line, as a CP2102 has it
PANIC = re.compile(r"Guru Meditation|abort\(\) was called|assert failed|Core +\d+ register dump|Load access fault")
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_EXCERPT = 400  # characters of the serial log as evidence


class EmulatorFailedError(Exception):
    """The emulated chip itself failed while no command ran: it did not start, panicked, or QEMU ended. The text is the evidence."""


class RowFailedError(Exception):
    """The product did not do what the row asks for; the text says what it said."""


@dataclass(frozen=True)
class Ran:
    """One command: seconds of the whole process, exit code, its report, what it wrote to standard error."""

    seconds: float
    code: int
    report: dict[str, Any]
    said: str

    def must(self, code: str = "pass", **fields: object) -> Ran:
        """Raises RowFailedError unless the report says `code` and these fields."""
        wrong = {name: self.report.get(name) for name, wanted in fields.items() if self.report.get(name) != wanted}
        if self.report.get("code") != code or wrong:
            raise RowFailedError(f"{self.told}{f' {wrong}' if wrong else ''}")
        return self

    @property
    def told(self) -> str:
        found = self.report
        message = found.get("message") or self.said.strip()[-200:]
        return f"exit code {self.code}, {found.get('code')}: {message} {found.get('notes') or ''}".strip()


@dataclass(frozen=True)
class Took:
    """What a row measured: seconds of the job alone, and what is worth telling of it."""

    seconds: float
    detail: str = ""


@dataclass
class Rig:
    """`states`: the flash under a name, kept while its power is off. "blank" is a firmware that has booted once."""

    image: Image
    qemu: Path
    board: VirtualBoard = field(init=False)
    states: dict[str, bytes] = field(default_factory=dict)

    def __enter__(self) -> Rig:
        self.board = VirtualBoard(engine="qemu", qemu=self.qemu, firmware=self.image.file, latency_ms=LATENCY_MS)
        self.board.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.board.close()

    @property
    def wifi(self) -> bool:
        return bool(self.board.info["wifi"])

    @property
    def flash_bytes(self) -> int:
        return (self.board.state / "flash.bin").stat().st_size

    # --- power and states -----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Power off and on; the prompt is there when this returns. Raises EmulatorFailedError: no command runs meanwhile."""
        self.off()
        try:
            with open_port(self.board.pty) as wire:
                wire.discard()
                self.board.power_on()
                booted = wire.until(PROMPT, BOOT).endswith(PROMPT)
        except StationError as error:
            raise EmulatorFailedError(error.message) from error
        if not booted:
            raise EmulatorFailedError(f"no prompt within {BOOT:g} s of power: {self.evidence()}")

    def boot(self) -> None:
        """Power off and on, for a program that gives no prompt; returns when the boot loader has said that it starts the firmware.

        Raises EmulatorFailedError.
        """
        self.off()
        try:
            with open_port(self.board.pty) as wire:
                wire.discard()
                self.board.power_on()
                booted = wire.until(STARTED, BOOT).endswith(STARTED)
        except StationError as error:
            raise EmulatorFailedError(error.message) from error
        if not booted:
            raise EmulatorFailedError(f"no boot within {BOOT:g} s of power: {self.evidence()}")

    def off(self) -> None:
        """Starts the board's process again when its QEMU has ended by itself."""
        try:
            self.board.power_off()
        except StationError:
            self.board.restart()
            self.board.power_off()

    def keep(self, state: str) -> None:
        """What is in the flash now, under this name."""
        self.off()
        self.states[state] = (self.board.state / "flash.bin").read_bytes()

    def start(self, state: str, make: Callable[[Rig], object] | None = None, prompt: bool = True) -> None:
        """Powers the board on in `state`, which `make` makes from "blank" when it is not there yet. `prompt`: its program gives one."""
        if "blank" not in self.states:
            self.settle()
            self.keep("blank")
        if state not in self.states and make is not None:
            self.start("blank")
            make(self)
            if state not in self.states:
                self.keep(state)
        self.off()
        self.board.load_flash(0, self.states[state])
        if prompt:
            self.settle()
        else:
            self.boot()

    # --- commands -------------------------------------------------------------------------------------------------

    def twinroot(self, command: str, *arguments: str | Path, port: str | None = None, limit: float = LIMIT) -> Ran:
        """`twinroot COMMAND ARGUMENTS --port PORT --json` as a process. Raises RowFailedError when it does not end."""
        line = twinroot_command(command, *arguments, "--port", port or self.board.pty, "--json")
        ledger = {"TWINROOT_LEDGER": str(self.board.state / "ledger.sqlite")}  # the user's own has nothing to do with this board
        seconds, code, out, said = run(line, limit, ledger)
        return Ran(seconds, code, json.loads(out) if out.strip() else {}, said)

    def panics(self) -> int:
        """How often the chip has panicked, as far as its log goes back."""
        return len(re.findall("Guru Meditation", self.board.log()))

    def panic(self) -> str:
        """What the chip said in its last panic since it was started, empty when it had none."""
        log = self.board.log()
        found = [*PANIC.finditer(log, max(0, log.rfind("rst:0x", 0, -_EXCERPT)))]
        return " ".join(log[found[-1].start() :][:_EXCERPT].split()) if found else ""

    def evidence(self) -> str:
        """The end of what the chip said, from its last panic on when there is one."""
        try:
            log = self.board.log()
        except StationError as error:
            return error.message
        panics = [*PANIC.finditer(log)]
        start = panics[-1].start() if panics else max(0, len(log) - _EXCERPT)
        text = " ".join(log[start : start + _EXCERPT].split())
        return repr(text) if text else "the chip said nothing"


def run(line: list[str], limit: float = LIMIT, environment: Mapping[str, str] | None = None) -> tuple[float, int, str, str]:
    """Seconds, exit code, output, messages. Raises RowFailedError when it does not end within `limit` seconds."""
    began = time.perf_counter()
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=limit, check=False, env=_ENVIRONMENT | (environment or {}))
    except subprocess.TimeoutExpired:
        raise RowFailedError(f"{Path(line[0]).name} {' '.join(line[1:5])} … did not end within {limit:g} s") from None
    return time.perf_counter() - began, done.returncode, done.stdout, done.stderr
