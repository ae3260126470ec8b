"""The HTTPS side of the control plane: HTTP/1.1 (RFC 9112) over TLS on the loopback, as much of it as AWS's client libraries speak."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from provisioning.errors import StationError
from provisioning.standin import ports
from provisioning.standin.account.faults import Refusal
from provisioning.standin.account.model import Request, Response, failure

LARGEST = 32 * 1024 * 1024  # bytes of a body; a stream's file has at most 24 MB
_LONGEST = 64 * 1024  # bytes of a line
_IDLE = 120.0  # seconds until a connection that asks nothing is closed
_REASONS = {100: "Continue", 200: "OK", 204: "No Content", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 409: "Conflict"}

Answer = Callable[[Request], Awaitable[Response]]


class Listener:
    """Serves `answer` on 127.0.0.1. A connection stays open for the next request."""

    def __init__(self, host: str, context: ssl.SSLContext, answer: Answer) -> None:
        self.port = 0
        self._host = host
        self._context = context
        self._answer = answer
        self._server: asyncio.AbstractServer | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        """Take the port (0: any free one). Raises StationError when it is in use."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.port = ports.bind(listener, self._host, port)
            self._server = await asyncio.start_server(self._serve, sock=listener, ssl=self._context, limit=_LONGEST)
        except (OSError, OverflowError) as error:
            listener.close()
            raise StationError(
                "port-in-use",
                f"Port {port} on {self._host} cannot be used for the control plane: {getattr(error, 'strerror', None) or error}.",
                "Name another port, or 0 for any free one.",
            ) from error

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            # A client may leave at any moment; what it sends beyond HTTP ends its connection.
            with contextlib.suppress(OSError, EOFError, asyncio.TimeoutError, asyncio.LimitOverrunError, ValueError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether another may follow."""
        line = await asyncio.wait_for(reader.readline(), _IDLE)
        if not line.strip():
            return False
        method, target, version = line.decode("ascii").split()
        headers: dict[str, str] = {}
        while line := (await reader.readline()).strip():
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                raise ValueError("a line that is not a header")
            headers[name.strip().lower()] = value.strip()
        try:
            if headers.get("expect", "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await writer.drain()
            body = await _body(reader, headers)
        except Refusal as refusal:
            response, more = failure(refusal.status, refusal.name, refusal.message), False
        else:
            path, _, query = target.partition("?")
            request = Request(method, path, tuple(parse_qsl(query, keep_blank_values=True)), headers, body, query)
            response = await self._answer(request)
            more = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        writer.write(_head(response, more) + (b"" if method == "HEAD" else response.body))
        await writer.drain()
        return more


def _head(response: Response, more: bool) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Status')}"]
    headers = {"content-length": str(len(response.body)), "connection": "keep-alive" if more else "close"} | response.headers
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    """The body, out of its transfer coding; `aws-chunked`, which is a content coding, stays (objects.py undoes it)."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(reader)
    length = int(headers.get("content-length") or 0)
    if not 0 <= length <= LARGEST:
        raise Refusal(413, "RequestEntityTooLargeException", f"A body has at most {LARGEST} bytes")
    return await reader.readexactly(length)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readline()).split(b";")[0], 16):
        if len(body) + size > LARGEST:
            raise Refusal(413, "RequestEntityTooLargeException", f"A body has at most {LARGEST} bytes")
        body += await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():
        pass
    return bytes(body)
