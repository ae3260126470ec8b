"""The stand-in as a process: `python -m provisioning.standin.process --state DIR …`, driven by JSON lines on standard input and output.

It ends when its standard input closes, so it never outlives whoever started it, and on SIGTERM and SIGINT. `run` is the same for
`twinroot cloud`, which has a person or a script in front of it and ends by a signal only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provisioning.errors import InputError, TwinrootError
from provisioning.standin.control import Socket, answer, failure
from provisioning.standin.routes import DEFAULT_PREFIX, DEFAULT_REGION
from provisioning.standin.service import Service, StandinOptions

Emit = Callable[[dict[str, Any]], None]


async def run(options: StandinOptions, on_ready: Emit, on_event: Emit | None = None, *, control: bool = False) -> None:
    """Serve until a signal, or with `control` until standard input ends. `on_ready` is called once, when connections are accepted."""
    service = Service(options)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if on_event:
        service.record.listeners.append(on_event)
    async with contextlib.AsyncExitStack() as undo:
        await service.start()
        undo.push_async_callback(service.stop)
        socket = Socket(service, options.state)
        undo.push_async_callback(socket.stop)
        await socket.start()
        on_ready(service.info())
        if control:
            requests = asyncio.create_task(_requests(service, on_event or on_ready))
            requests.add_done_callback(lambda _task: stop.set())
            undo.callback(requests.cancel)
        await stop.wait()


async def _requests(service: Service, send: Emit) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            send(await answer(service, line))
    finally:
        transport.close()


def _send(line: dict[str, Any]) -> None:
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody listens any more: end as if standard input had closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        os.kill(os.getpid(), signal.SIGTERM)


def _options(arguments: list[str]) -> StandinOptions:
    parser = argparse.ArgumentParser(prog="python -m provisioning.standin.process")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--prefix", default=DEFAULT_PREFIX)
    parser.add_argument("--region", default=DEFAULT_REGION)
    parser.add_argument("--broker", default="auto")
    parser.add_argument("--port", action="append", default=[], help="ROUTE=PORT")
    parser.add_argument("--client-ca", action="append", type=Path, default=[])
    parser.add_argument("--limit", action="append", default=[], help="OPERATION=REQUESTS_A_SECOND")
    given = parser.parse_args(arguments)
    return StandinOptions(
        state=given.state,
        scenario=tuple(given.scenario),
        prefix=given.prefix,
        region=given.region,
        broker=given.broker,
        ports=ports(given.port),
        client_cas=tuple(given.client_ca),
        limits=limits(given.limit),
    )


def ports(words: list[str]) -> dict[str, int]:
    """Route name -> port from words ROUTE=PORT. Raises InputError."""
    from provisioning.standin.scenarios import check_route

    chosen = {}
    for word in words:
        route, _, number = word.partition("=")
        if not number.isascii() or not number.isdigit() or int(number) > 65535:
            raise InputError("cloud-port", f"'{word}' is not a port of a route.", "Write it as ats=18883.")
        chosen[check_route(route)] = int(number)
    return chosen


def limits(words: list[str]) -> dict[str, float]:
    """Operation -> requests a second from words OPERATION=RATE. Raises InputError."""
    chosen = {}
    for word in words:
        operation, _, rate = word.partition("=")
        try:
            chosen[operation] = float(rate)
        except ValueError:
            raise InputError(
                "cloud-limit", f"'{word}' is not a rate of an operation.", "Write it as CreateJob=10, or *=10 for each operation."
            ) from None
    return chosen


def main() -> int:
    try:
        options = _options(sys.argv[1:])
        asyncio.run(run(options, lambda info: _send({"event": "ready", **info}), _send, control=True))
    except TwinrootError as error:
        _send({"event": "error", "error": failure(error)})
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
