"""Get a board back from its own program: by its prompt where that can be had, else through its ROM loader. No file is lost."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from provisioning.config.board_type import BoardType
from provisioning.config.load import load_board
from provisioning.errors import BoardError
from provisioning.flash import work
from provisioning.flash.loader_access import LoaderAccess, open_line
from provisioning.job.evidence import Before, unrecorded
from provisioning.job.prompt_session import reported
from provisioning.job.report import Report
from provisioning.job.selftest import chip_of, mac_text
from provisioning.link import board_messages, native_usb, prompt_recovery
from provisioning.link.answer_check import checked, understood
from provisioning.link.events import Listener, silent
from provisioning.link.port import held
from provisioning.link.repl import RawRepl
from provisioning.link.wire import Wire
from provisioning.rescue import blocks, cause, copies, loader, programs
from provisioning.rescue.programs import Files, Renamed
from provisioning.rescue.prompt_files import AmpyFiles, PromptFiles

_ANY_BRIDGE, _ANY_NATIVE = "esp32-generic", "esp32-s3"  # board files whose reset wiring most boards have
_PATIENCE = 6.0  # seconds that the prompt is asked for before the loader is
_BOOT = 4.0  # seconds of control-C after a reset; a board that needs longer to boot is reached through its loader
_PROOF = 30.0  # seconds from the restart to a prompt that nobody asked for
_LOST = 0.5  # seconds for the prompt of a board whose own USB port has just come back
# MicroPython before 1.19 has no bytes.hex() and no implementation._machine.
_IDENTITY = "[ubinascii.hexlify(__import__('umachine').unique_id()).decode(),__import__('uos').uname().machine]"
_PROMPT = b">>> "
_RESTART = "import umachine\numachine.reset()"  # a watchdog, a mount and a rate that were left do not outlive a reset of the chip


def rescue(port: str | None, board: str | None = None, events: Listener = silent, before: Before = unrecorded) -> Report:
    """Rename the programs that hold the board on `port`, restart it, and see its prompt. `before` is called ahead of the first write.
    Returns a report; what goes wrong is in it."""
    report = Report(listener=events)
    with reported(report), _line(port, board, report) as line:
        _Rescue(line, report, before).run()
    return report


@contextmanager
def _line(port: str | None, board: str | None, report: Report) -> Iterator[LoaderAccess]:
    started = time.monotonic()
    try:
        with held(port) as name, open_line(_wiring(name, board), name, work.log_file(uuid.uuid4().hex)) as line:
            yield line
    finally:
        report.wire["seconds"] = round(time.monotonic() - started, 4)


def _wiring(port: str, board: str | None) -> BoardType:
    """How the loader of the board is entered. Without a board file: as on most boards."""
    return load_board(board or (_ANY_NATIVE if native_usb.device_at(port) else _ANY_BRIDGE))


class _Rescue:
    """One run on one board."""

    def __init__(self, line: LoaderAccess, report: Report, before: Before) -> None:
        self.line = line
        self.report = report
        self.before = before
        self.held: list[str] = []  # sentences: what held the board, as far as is known
        self.applications: list[str] = []  # paths: what a renamed /main.py ran, in its set

    def run(self) -> None:
        with self.line.wire() as wire:
            repl = RawRepl(wire)
            try:
                with self.report.step("connect"):
                    repl.enter(_PATIENCE, make_up=False, boot=_BOOT)
                renamed = self._by_prompt(repl)
            except BoardError as error:
                self.report.note(f"{error.message} Its files are reached through the ROM loader.")
                self.held += cause.in_output(repl.said)
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
        with self.report.step("look"):
            left = prompt_recovery.clear_leftovers(repl, _BOOT)
            files = _at_prompt(repl, self.report)
            found = programs.programs(files)
            sources = found | programs.run_by(files, found)
        by_chance = repl.persisted and cause.in_source(sources)  # a later interrupt hit a gap
        if repl.hold is None and not left and not by_chance and not cause.starts_watchdog(sources):
            repl.leave()
            return None
        self.held += [board_messages.HOLDS[word] for word in (repl.hold, *left) if word]
        return self._rename(files, found, sources, lambda: repl.run(_RESTART, follow=False))

    def _by_loader(self, wire: Wire, refusal: BoardError) -> Renamed:
        """Through the ROM loader; `refusal`: why the prompt could not be had."""
        with _loader(self.line, wire, self.report, refusal) as held:
            files = blocks.mount(held.flash, held.partition)
            found = programs.programs(files)
            return self._rename(files, found, found | programs.run_by(files, found), lambda: None)

    def _rename(self, files: Files, found: dict[str, bytes], sources: dict[str, bytes], restart: Callable[[], object]) -> Renamed:
        """`sources`: of what is `found`, and of what that runs."""
        self.held += cause.in_source(sources)
        self.applications = sorted(sources.keys() - found.keys())
        if found:
            self.before(self.report)
        with self.report.step("rename"):
            renamed = programs.rename(files, found)
        self.report.written = sorted(renamed.values())
        restart()
        return renamed

    def _prove(self) -> None:
        """The board starts, and shows a prompt that nobody interrupted a program for."""
        with self.line.wire() as wire:
            deadline = time.monotonic() + _PROOF
            while (left := deadline - time.monotonic()) > 0:
                if wire.until(_PROMPT, min(left, _LOST) if wire.native else left).endswith(_PROMPT):
                    return
                wire.write(b"\r")  # a prompt that came before the USB port did; a program that runs takes no notice
        raise BoardError(
            "still-held",
            f"The board on {self.line.name} does not show its prompt after a restart, although none of its programs starts any more.",
            "Run the same command again; if it repeats, its firmware is damaged: `twinroot rescue --backup DIR` keeps its files, then "
            "`twinroot flash PRODUCT.yaml` writes it anew.",
        )

    def _pass(self, renamed: Renamed) -> None:
        moved = ", ".join(f"{old} is {new} now" for old, new in renamed.items()) or "it had no program of its own"
        why = f" What held it: {' '.join(_sentence(text) for text in dict.fromkeys(self.held))}" if self.held else ""
        for path in self.applications:
            self.report.note(
                f"/main.py ran {path}, which stays in its set; `twinroot update` of a product with an application puts it back."
            )
        self.report.passed(f"{self.report.mac or self.line.name} is at its prompt; {moved}.{why}")


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def backup(port: str | None, folder: Path, board: str | None = None, events: Listener = silent) -> Report:
    """Copy the files of the board on `port` into `folder`. Writes nothing to the board."""
    report = Report(listener=events)
    with reported(report), _line(port, board, report) as line, _files(line, report) as files:
        with report.step("copy"):
            report.files = copies.save(files, folder, copies.Whose(report.mac, report.chip))
        report.passed(f"{len(report.files)} files of {report.mac} are in {folder}, keys among them: keep it private.", "backup")
    return report


def restore(port: str | None, folder: Path, board: str | None = None, events: Listener = silent, before: Before = unrecorded) -> Report:
    """Write the files in `folder` to the board on `port`, each whole or not at all; others on the board stay. `before` is called ahead of
    the first write."""
    report = Report(listener=events)
    with reported(report):
        contents, folders, whose = copies.load(folder)
        with _line(port, board, report) as line, _files(line, report) as files:
            if whose.mac != report.mac and any(path.startswith(copies.TRUST) for path in contents):
                raise BoardError(
                    "other-board",
                    f"{folder} holds the identity of {whose.mac or 'a board that it does not name'}, and this is {report.mac}: "
                    "two boards must not be one device.",
                    "Take the folder `trust` out of a copy of it to bring over the other files; nothing was written.",
                )
            if isinstance(files, PromptFiles) and files.on_fat():
                raise BoardError(
                    "fat-file-system",
                    f"The board on {line.name} keeps its files on FAT, where a power cut during a rename can lose the file.",
                    "Write firmware with littlefs (`twinroot flash PRODUCT.yaml`), then restore; nothing was written.",
                )
            before(report)
            with report.step("write"):
                report.written = copies.restore(files, contents, folders)
        report.passed(
            f"{len(report.written)} of {len(contents)} files were written to {report.mac}; the others were there already.", "restored"
        )
    return report


def _at_prompt(repl: RawRepl, report: Report) -> PromptFiles:
    """The files of the board at the prompt; who it is goes into the report. Raises BoardError."""
    with understood(repl.wire.name):
        uid, machine = checked(repl.value(_IDENTITY), [str], repl.wire.name)
    report.mac, report.chip = mac_text(uid), chip_of(machine)
    if repl.has_raw_paste():
        report.transport = "prompt"
        return PromptFiles(repl)
    report.transport = "ampy"
    report.note("Its MicroPython has no raw paste (older than 1.14): its files travel by ampy.")
    return AmpyFiles(repl)


@contextmanager
def _files(line: LoaderAccess, report: Report) -> Iterator[Files]:
    """The board's files by its prompt, else through its loader; its program is started again at the end."""
    with line.wire() as wire:
        repl = RawRepl(wire)
        try:
            with report.step("connect"):
                repl.enter(_PATIENCE, make_up=False, boot=_BOOT)
                prompt_recovery.clear_leftovers(repl, _BOOT)
                files = _at_prompt(repl, report)
        except BoardError as error:
            report.note(f"{error.message} Its files are reached through the ROM loader.")
            with _loader(line, wire, report, error) as held:
                yield blocks.mount(held.flash, held.partition)
            return
        try:
            yield files
        finally:
            repl.leave()


@contextmanager
def _loader(line: LoaderAccess, wire: Wire, report: Report, refusal: BoardError) -> Iterator[loader.Held]:
    """The chip in its ROM loader, its files found; it starts its program at the end. `refusal`: why the prompt could not be had."""
    report.transport = "loader"
    if not wire.native and not wire.reset_board():
        raise BoardError(
            refusal.code,
            refusal.message,
            "This port has no reset lines, so the ROM loader cannot be entered from here: use the board's own USB port, or an adapter "
            "with DTR and RTS, and run the same command again.",
        )
    try:
        with report.step("loader"):
            held = loader.look(line.enter(wire), line.name)
        report.mac, report.chip = held.facts.mac, held.facts.chip
        yield held
        report.wire |= {"flash_read": held.flash.read_bytes, "sectors_written": len(held.flash.written)}
    finally:
        wire.baud = wire.home_baud
        wire.reset_board()
