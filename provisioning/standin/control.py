"""How others talk to a running stand-in: one JSON object a line, the same on its standard input and on its socket.

    {"id": 1, "do": "scenario", "route": "ats", "name": "wrong-root", "drop": true}
    {"id": 1, "ok": true, …}                 or   {"id": 1, "ok": false, "error": {"code", "message", "hint", "exit"}}

Whoever started it hears events in between: {"event": "ready", …}, then {"event": "connection", …} and {"event": "message", …}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from provisioning.errors import InputError, StationError, TwinrootError
from provisioning.standin.service import Service
from provisioning.standin.state_folder import socket_folder

Request = dict[str, Any]
Answer = dict[str, Any]
_TIMEOUT = 15.0  # seconds for an answer on the socket


async def _scenario(service: Service, request: Request) -> Answer:
    name = str(request["name"])
    drop = request.get("drop")
    await service.set_scenario(str(request["route"]), name, drop=name != "ok" if drop is None else bool(drop))
    return {}


async def _issue(service: Service, request: Request) -> Answer:
    return dict(service.issue(str(request["device"])))


async def _clock(service: Service, request: Request) -> Answer:
    service.time.offset = float(request.get("offset", 0))
    service.time.silent = bool(request.get("silent", False))
    return {}


async def _advance(service: Service, request: Request) -> Answer:
    service.account.advance(float(request["seconds"]))
    return {}


async def _limit(service: Service, request: Request) -> Answer:
    service.account.throttle.limit(str(request["operation"]), float(request["rate"]))
    return {}


async def _publish(service: Service, request: Request) -> Answer:
    await service.publish(str(request["topic"]), str(request["payload"]))
    return {}


async def _status(service: Service, _request: Request) -> Answer:
    return service.info() | {
        "connections": list(service.record.connections)[-100:],
        "messages": list(service.record.messages)[-100:],
        "requests": list(service.record.requests)[-100:],
        "time_requests": service.time.asked,
    }


ACTIONS: dict[str, Callable[[Service, Request], Awaitable[Answer]]] = {
    "scenario": _scenario,
    "issue": _issue,
    "clock": _clock,
    "publish": _publish,
    "advance": _advance,
    "limit": _limit,
    "status": _status,
}


def failure(error: TwinrootError) -> Answer:
    return {"code": error.code, "message": error.message, "hint": error.hint, "exit": error.exit_code}


def error_from(error: Answer) -> InputError | StationError:
    """What `failure` described, as an exception again."""
    kind = InputError if error["exit"] == InputError.exit_code else StationError
    return kind(error["code"], error["message"], error["hint"])


async def answer(service: Service, line: bytes) -> Answer:
    """The answer to one request; a request that makes no sense is answered, too."""
    number: Any = None
    try:
        request = json.loads(line)
        number = request.get("id")
        return {"id": number, "ok": True, **await ACTIONS[request["do"]](service, request)}
    except TwinrootError as error:
        return {"id": number, "ok": False, "error": failure(error)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        wrong = InputError("cloud-request", f"The request makes no sense: {error}.", f"Actions are {', '.join(ACTIONS)}.")
        return {"id": number, "ok": False, "error": failure(wrong)}


def ask(state: Path, request: Request) -> Answer:
    """Ask the stand-in that runs on the folder `state`. Raises StationError when none does, and what it answers with."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT)
            connection.connect((state / "control").read_text(encoding="utf-8"))
            connection.sendall(json.dumps(request).encode() + b"\n")
            reply: Answer = json.loads(connection.makefile().readline())
    except (OSError, ValueError) as error:
        raise StationError(
            "cloud-not-running", f"No cloud stand-in answers on {state}.", f"Start one: twinroot cloud --state {state}"
        ) from error
    if not reply["ok"]:
        raise error_from(reply["error"])
    return reply


class Socket:
    """A private Unix socket on which `twinroot cloud --set` reaches the stand-in; its path is in the state folder's `control`."""

    def __init__(self, service: Service, state: Path) -> None:
        self._service = service
        state = state.absolute()  # who asks may be in another folder
        self._pointer = state / "control"
        self._folder = socket_folder(state, "listening")
        self._server: asyncio.AbstractServer | None = None

    async def start(self) -> None:
        path = self._folder / "socket"
        self._server = await asyncio.start_unix_server(self._serve, str(path))
        self._pointer.write_text(str(path), encoding="utf-8")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                writer.write(json.dumps(await answer(self._service, line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._pointer.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)
