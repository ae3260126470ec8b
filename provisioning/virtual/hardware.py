"""The hardware process: one event loop, no threads (it forks interpreters), any number of boards.

select() is the selector: its timeouts are microseconds, where epoll rounds up to a millisecond.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import selectors
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from provisioning.errors import StationError, TwinrootError
from provisioning.virtual import error_reply
from provisioning.virtual.board import Board
from provisioning.virtual.control import ControlServer
from provisioning.virtual.endpoint.cable import HOST, Cable
from provisioning.virtual.endpoint.pty import PtyEndpoint, remove_links
from provisioning.virtual.endpoint.rfc2217 import Rfc2217Endpoint
from provisioning.virtual.engine import BoardEngine
from provisioning.virtual.faults import BEFORE_POWER
from provisioning.virtual.faults import parse as parse_fault
from provisioning.virtual.interpreter.engine import Engine
from provisioning.virtual.spec import BoardSpec

_LISTED = 10.0  # s for the first USB device; a boot.py that never ends gives none


@dataclass
class Bench:
    """One board with its two endpoints and the lock on its state folder."""

    board: BoardEngine
    pty: PtyEndpoint
    rfc2217: Rfc2217Endpoint
    cable: Cable
    lock: IO[str]

    def describe(self, link: str) -> dict[str, object]:
        """What `virtual --json` prints."""
        url = f"rfc2217://{HOST}:{self.rfc2217.port}"
        return {
            "port": url if link == "rfc2217" else str(self.pty.path),
            "pty": str(self.pty.path),
            "rfc2217": url,
            "mac": self.board.identity.mac,
            "serial": self.board.identity.serial,
            "board": self.board.spec.board,
            "chip": self.board.spec.chip,
            "engine": self.board.spec.engine,
            "wifi": self.board.spec.engine == "micropython" or self.board.spec.wifi,
            "notes": list(self.board.spec.notes),
            "state": str(self.board.state),
            "pid": os.getpid(),
            "control": str(self.board.state / "control"),
        }

    def close(self) -> None:
        self.rfc2217.close()
        self.pty.close()
        self.board.close()
        self.lock.close()


def lock_state(state: Path) -> IO[str]:
    """Raises StationError when another process has this folder."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("w")
    except OSError as error:
        if error.errno in error_reply.EXPLAINED:
            raise error_reply.of_system(error, state) from error
        raise StationError(
            "state-not-writable",
            f"The state folder {state} cannot be used: {error.strerror}",
            "Name a folder that you may write to with --state.",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise StationError(
            "state-busy",
            f"Another virtual board runs on the state folder {state}",
            "Stop that process, or name another folder with --state.",
        ) from None
    return lock


def assemble(spec: BoardSpec, state: Path, engine: Engine | None) -> BoardEngine:
    """A board that is off; without an interpreter it is an emulated one."""
    if engine is not None:
        return Board(spec, state, engine)
    if spec.engine == "replay":
        from provisioning.virtual.replay.board import ReplayBoard

        return ReplayBoard(spec, state)
    from provisioning.virtual.qemu.emulated_board import EmulatedBoard

    return EmulatedBoard(spec, state)


async def start(spec: BoardSpec, state: Path, engine: Engine | None, port: int) -> Bench:
    """Makes one board, connects its endpoints, switches it on."""
    lock = lock_state(state)
    remove_links(state)
    board = assemble(spec, state, engine)
    pty = PtyEndpoint(board, state / "tty")
    network = Rfc2217Endpoint(board)
    board.uart.endpoints = [pty, network]
    await network.listen(HOST, port or board.identity.port)
    if network.port != board.identity.port:
        board.identity.port = network.port
        board.identity.save()
    # What assembling the board needed goes back before the interpreter is forked off: it would carry it.
    ctypes.CDLL(None).malloc_trim(0)
    faults = [parse_fault(fault) for fault in spec.faults]
    before = [fault for fault in faults if fault.name in BEFORE_POWER]
    for fault in before:
        board.faults.inject(fault)
    cable = Cable(pty, network)
    usb = board.usb if isinstance(board, Board) else None
    if usb is not None:
        usb.start(cable)
        network.on_opening = usb.opens
    board.power_on()
    for fault in faults:
        if fault not in before:
            board.faults.inject(fault)
    bench = Bench(board, pty, network, cable, lock)
    if usb is not None and usb.expected:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(usb.listed.wait(), _LISTED)
    try:
        await board.ready()
    except TwinrootError:
        bench.close()
        raise
    return bench


async def serve(arguments: argparse.Namespace, state: Path, engine: Engine | None) -> None:
    """Runs until a signal, or until the lifeline closes. Raises StationError when an emulator ends by itself."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    if arguments.lifeline:
        _watch_lifeline(loop, stop)
    spec = BoardSpec.loads(arguments.spec)
    failures: list[TwinrootError] = []

    def failed(error: TwinrootError) -> None:
        failures.append(error)
        stop.set()

    benches: list[Bench] = []
    controls: list[ControlServer] = []
    try:
        for i in range(arguments.count):
            folder = state if arguments.count == 1 else state / f"{i:02d}"
            port = arguments.port + i if arguments.port else 0
            bench = await start(spec, folder, engine, port)
            benches.append(bench)
            if spec.engine == "qemu":
                bench.board.on_report = failed
            control = ControlServer(bench.board, bench.cable, folder / "control")
            await control.listen()
            controls.append(control)
            _announce(bench.describe(arguments.link), arguments.json)
        await stop.wait()
    finally:
        for control in controls:
            control.close()
        for bench in benches:
            bench.close()
    if failures:
        raise failures[0]


def _watch_lifeline(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Standard input is a pipe from the process that started this one: when it closes, that process is gone."""

    def readable() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            stop.set()

    loop.add_reader(0, readable)


def _announce(board: dict[str, object], as_json: bool) -> None:
    if as_json:
        text = json.dumps(board)
    else:
        text = f"{board['board']}  mac {board['mac']}  port {board['rfc2217']}  pty {board['pty']}  state {board['state']}"
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """The process of its own that provisioning.virtual.run becomes."""
    os.umask(0o077)  # flash, sockets and folders hold what is on the board, keys among it
    parser = argparse.ArgumentParser()
    parser.add_argument("--spec", required=True)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--link", default="rfc2217")
    parser.add_argument("--state", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--lifeline", action="store_true")
    arguments = parser.parse_args()
    given: Path | None = arguments.state
    temporary: Path | None = None
    engine: Engine | None = None
    try:
        if given is None:
            temporary = Path(tempfile.mkdtemp(prefix="virtual-board-state-"))
        if BoardSpec.loads(arguments.spec).engine == "micropython":
            engine = Engine.load()
        loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve(arguments, (given or temporary or Path()).absolute(), engine))
        loop.close()
    except TwinrootError as error:
        return error_reply.report(error, arguments.json)
    except BrokenPipeError:
        return 0  # whoever started this reads no more
    except OSError as error:
        return error_reply.report(error_reply.of_system(error, given or tempfile.gettempdir()), arguments.json)
    finally:
        if engine is not None:
            engine.close()
        if temporary is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(temporary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
