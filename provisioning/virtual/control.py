"""The bench's hand on the board: power, faults, counters, flash image. JSON lines over a Unix socket in the state folder.

Request: {"do": NAME, ...}; answer: {"ok": true, "result": ...} or {"ok": false, "code", "message", "hint", "exit_code"}.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provisioning.errors import InputError, TwinrootError
from provisioning.virtual import error_reply
from provisioning.virtual.endpoint.cable import Cable
from provisioning.virtual.engine import BoardEngine
from provisioning.virtual.faults import parse
from provisioning.virtual.nor_flash import FlashRangeError

# What `wait` waits for -> what happens then.
EVENTS = {
    "off": "the power is off",
    "boot": "the chip begins to boot",
    "held": "the reset line holds the chip",
    "download": "the chip waits in its ROM loader",
    "no-firmware": "there is nothing on the flash that could boot",
}
_REMEMBERED = 64  # events since the last command
_LOOKS = frozenset({"wait", "powered", "counters", "log", "rate"})  # commands that change nothing
_LONGEST_LINE = 1 << 26  # bytes: a whole flash image in base64


def short_path(path: Path) -> tuple[str, int]:
    """A name for `path` that fits a socket address (108 bytes), through a descriptor of its folder; close that afterwards."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{path.name}", folder


def _refused(error: TwinrootError) -> dict[str, Any]:
    return {"ok": False, "code": error.code, "message": error.message, "hint": error.hint, "exit_code": error.exit_code}


class ControlServer:
    """Serves any number of clients; each command is one method here named do_NAME."""

    def __init__(self, board: BoardEngine, cable: Cable, path: Path) -> None:
        self._board = board
        self._cable = cable
        self._path = path
        self._server: asyncio.Server | None = None
        self._snapshots: dict[str, bytes] = {}
        self._clients: set[asyncio.Task[Any]] = set()
        self._waiting: list[tuple[str, asyncio.Future[str]]] = []
        self._happened: deque[str] = deque(maxlen=_REMEMBERED)
        board.on_event = self._event

    async def listen(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        name, folder = short_path(self._path)
        try:
            self._server = await asyncio.start_unix_server(self._client, name, limit=_LONGEST_LINE)
        finally:
            os.close(folder)
        self._path.chmod(0o600)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for client in self._clients:
            client.cancel()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while line := await reader.readline():
                answer = await self._serve(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _serve(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            command = request.pop("do")
            handler: Callable[..., Any] | None = getattr(self, f"do_{command}", None)
            if handler is None:
                return _refused(InputError("virtual-command", f"The virtual board has no command {command}", "See control.py."))
            if command not in _LOOKS:
                self._happened.clear()
            result = handler(**request)
            if asyncio.iscoroutine(result):
                result = await result
        except TwinrootError as error:
            return _refused(error)
        except OSError as error:
            return _refused(error_reply.of_system(error, self._path.parent))
        except (ValueError, TypeError, KeyError, FlashRangeError) as error:
            sentence = f"The virtual board cannot do this: {type(error).__name__}: {error}"
            return _refused(InputError("virtual-command", sentence, "See docs/virtual-board.md."))
        return {"ok": True, "result": result}

    # --- events ---------------------------------------------------------------------------------------------------

    def _event(self, event: str) -> None:
        for wanted, future in list(self._waiting):
            if wanted == event and not future.done():
                future.set_result(event)
                return
        self._happened.append(event)

    async def do_wait(self, event: str, timeout: float) -> bool:
        """True when the event (of EVENTS) happens within `timeout` seconds, or has since the last command that was no
        wait; "off" is true at once when it is off. Raises InputError for a word that is not an event, and for what cannot happen."""
        if event not in EVENTS:
            raise InputError(
                "virtual-event", f"There is no event {event!r}, expected one of {', '.join(EVENTS)}.", "See docs/virtual-board.md."
            )
        if event in self._happened:
            self._happened.remove(event)
            return True
        if event == "off" and not self._board.powered:
            return True
        if event != "off" and not self._board.powered:
            raise InputError("virtual-event", f"The board is off, so that {event!r} never happens.", "Switch it on first: power_on().")
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, future))
        try:
            await asyncio.wait_for(future, timeout)
        except asyncio.TimeoutError:
            return False
        finally:
            self._waiting.remove((event, future))
        return True

    # --- power ----------------------------------------------------------------------------------------------------

    def do_power_off(self) -> None:
        self._board.power_off()

    def do_power_on(self) -> None:
        self._board.power_on()

    def do_reset(self, cause: str = "pin", boot: bool = False) -> None:
        """`boot`: with BOOT held."""
        self._board.restart(cause, download=boot)

    def do_powered(self) -> bool:
        return self._board.powered

    def do_cut(self, operations: int, seed: int = 0) -> None:
        """The power goes in the flash operation after `operations` more; what is torn and how follows from the seed."""
        self._board.cut(operations, seed)

    def do_uncut(self) -> int | None:
        """Takes the cut back; how many operations were still to go."""
        return self._board.uncut()

    # --- flash and counters ---------------------------------------------------------------------------------------

    def do_snapshot(self, name: str) -> None:
        self._snapshots[name] = self._board.flash.peek(0, self._board.flash.size)

    def do_restore(self, name: str) -> None:
        self._board.flash.load(self._snapshots[name])

    def do_read_flash(self, address: int, size: int) -> str:
        return base64.b64encode(self._board.flash.peek(address, size)).decode()

    def do_load_flash(self, address: int, data: str) -> None:
        self._board.flash.load(base64.b64decode(data), address)

    def do_counters(self) -> dict[str, Any]:
        return self._board.counters()

    def do_clear_counters(self) -> None:
        self._board.clear_counters()

    # --- faults ---------------------------------------------------------------------------------------------------

    def do_inject(self, fault: str) -> None:
        """A fault as faults.py writes them."""
        self._board.faults.inject(parse(fault))

    def do_heal(self) -> None:
        self._board.faults.heal()

    async def do_unplug(self) -> None:
        """The port is gone: the device disappears, the connection breaks. The board keeps its power."""
        self._cable.unplug()

    async def do_plug(self) -> dict[str, str]:
        """The port is back under another name."""
        return await self._cable.plug()

    def do_log(self) -> str:
        """What the chip said lately."""
        return self._board.uart.log.decode("utf-8", "replace")

    def do_rate(self) -> int:
        return self._board.uart.rate
