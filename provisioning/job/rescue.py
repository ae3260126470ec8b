"""Get a board back from its own program: by its prompt where that can be had, else through its ROM loader. No file is lost."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from provisioning.config.board import Board
from provisioning.config.load import load_board
from provisioning.errors import BoardError
from provisioning.flash import work
from provisioning.flash.line import Line, open_line
from provisioning.job.board import chip_of, mac_text
from provisioning.job.report import Report
from provisioning.job.running import reported
from provisioning.link import answers
from provisioning.link.events import Listener, silent
from provisioning.link.port import is_native_usb, resolve
from provisioning.link.repl import RawRepl
from provisioning.link.wire import Wire
from provisioning.rescue import blocks, cause, loader, programs, prompt
from provisioning.rescue.programs import Files, Renamed
from provisioning.rescue.prompt_files import PromptFiles

_ANY_BRIDGE, _ANY_NATIVE = "esp32-generic", "esp32-s3"  # board files whose reset wiring most boards have
_PATIENCE = 6.0  # seconds that the prompt is asked for before the loader is
_BOOT = 4.0  # seconds of control-C after a reset; a board that needs longer to boot is reached through its loader
_PROOF = 30.0  # seconds from the restart to a prompt that nobody asked for
_IDENTITY = "(__import__('umachine').unique_id().hex(),__import__('sys').implementation._machine)"
_PROMPT = b">>> "


def rescue(port: str | None, board: str | None = None, events: Listener = silent) -> Report:
    """Rename the programs that hold the board on `port`, restart it, and see its prompt. Returns a report; what goes wrong is in it."""
    report = Report(listener=events)
    with reported(report), _line(port, board, report) as line:
        _Rescue(line, report).run()
    return report


@contextmanager
def _line(port: str | None, board: str | None, report: Report) -> Iterator[Line]:
    name = resolve(port)
    started = time.monotonic()
    try:
        with open_line(_wiring(name, board), name, work.log_file(uuid.uuid4().hex)) as line:
            yield line
    finally:
        report.wire["seconds"] = round(time.monotonic() - started, 4)


def _wiring(port: str, board: str | None) -> Board:
    """How the loader of the board is entered. Without a board file: as on most boards."""
    return load_board(board or (_ANY_NATIVE if is_native_usb(port) else _ANY_BRIDGE))


class _Rescue:
    """One run on one board."""

    def __init__(self, line: Line, report: Report) -> None:
        self.line = line
        self.report = report
        self.held: list[str] = []  # sentences: what held the board, as far as is known

    def run(self) -> None:
        with self.line.wire() as wire:
            repl = RawRepl(wire)
            try:
                with self.report.step("connect"):
                    repl.enter(_PATIENCE, make_up=False, boot=_BOOT)
                renamed = self._by_prompt(repl)
            except BoardError as error:
                self.report.note(f"{error.message} Its files are reached through the ROM loader.")
                self.held += cause.heard(repl.said)
                renamed = self._by_loader(wire, error)
        if renamed is None:
            self.report.passed(
                f"Nothing holds {self.report.mac or self.line.name}: it gives its prompt, and nothing was renamed.", "unchanged"
            )
            return
        with self.report.step("restart"):
            self._prove()
        self._pass(renamed)

    def _by_prompt(self, repl: RawRepl) -> Renamed | None:
        """None when nothing holds the board, which starts its program again then."""
        self.report.transport = "prompt"
        with self.report.step("look"):
            if watched := prompt.calm(repl):
                self.held.append(answers.HOLDS["watchdog"])
            if prompt.heap(repl) < prompt.LITTLE:
                repl.hold = "heap"
                repl.soft_reset(_BOOT)
            uid, machine = repl.value(_IDENTITY)
            self.report.mac, self.report.chip = mac_text(uid), chip_of(machine)
            files = PromptFiles(repl)
            found = programs.programs(files)
        if repl.hold is None and not watched and not cause.starts_watchdog(found):
            repl.leave()
            return None
        if repl.hold is not None:
            self.held.append(answers.HOLDS[repl.hold])
        return self._rename(files, found, lambda: prompt.restart(repl))

    def _by_loader(self, wire: Wire, refusal: BoardError) -> Renamed:
        """Through the ROM loader; `refusal`: why the prompt could not be had."""
        self.report.transport = "loader"
        if not wire.reset_board():
            raise BoardError(
                refusal.code,
                refusal.message,
                "This port has no reset lines, so the ROM loader cannot be entered from here: use the board's own USB port, or an adapter "
                "with DTR and RTS, and run the same command again.",
            )
        try:
            with self.report.step("loader"):
                held = loader.look(self.line.enter(wire), self.line.name)
                self.report.mac, self.report.chip = held.facts.mac, held.facts.chip
                files = blocks.mount(held.flash, held.partition)
                found = programs.programs(files)
            renamed = self._rename(files, found, lambda: None)
            self.report.wire |= {"flash_read": held.flash.read_bytes, "sectors_written": len(held.flash.written)}
            return renamed
        finally:
            wire.baud = wire.home_baud
            wire.reset_board()

    def _rename(self, files: Files, found: dict[str, bytes], restart: Callable[[], None]) -> Renamed:
        self.held += cause.in_source(found)
        with self.report.step("rename"):
            renamed = programs.rename(files, found)
        self.report.written = sorted(renamed.values())
        restart()
        return renamed

    def _prove(self) -> None:
        """The board starts, and shows a prompt that nobody asked for."""
        with self.line.wire() as wire:
            if wire.until(_PROMPT, _PROOF).endswith(_PROMPT):
                return
        raise BoardError(
            "still-held",
            f"The board on {self.line.name} does not show its prompt after a restart, although none of its programs starts any more.",
            "Run the same command again; if it repeats, its firmware is damaged: `twinroot rescue --backup DIR` keeps its files, then "
            "`twinroot flash PRODUCT.yaml` writes it anew.",
        )

    def _pass(self, renamed: Renamed) -> None:
        moved = ", ".join(f"{old} is {new} now" for old, new in renamed.items()) or "it had no program of its own"
        why = f" What held it: {' '.join(_sentence(text) for text in dict.fromkeys(self.held))}" if self.held else ""
        self.report.passed(f"{self.report.mac or self.line.name} is at its prompt; {moved}.{why}")


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def backup(port: str | None, folder: Path, board: str | None = None, events: Listener = silent) -> Report:
    raise NotImplementedError


def restore(port: str | None, folder: Path, board: str | None = None, events: Listener = silent) -> Report:
    raise NotImplementedError
