"""The page's server: a few fixed addresses, GET and HEAD, live by server-sent events (WHATWG HTML, "Server-sent events").

Nothing here writes the ledger. The page is three files of this package, holds no row itself, and may load and ask only its own server
(Content-Security-Policy); rows come as JSON and are put into the page as text.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from provisioning.dashboard.access import COOKIE_SECONDS, Access
from provisioning.dashboard.connections import Connections
from provisioning.dashboard.feed import Feed
from provisioning.dashboard.search import search
from provisioning.errors import TwinrootError
from provisioning.ledger.store import Ledger

CONNECTIONS = 64
REQUEST_SECONDS = 15.0  # from the connection to the end of the answer
STREAM_SECONDS = 3600.0  # of one stream of events; the browser asks for the next by itself
BEAT_SECONDS = 10.0  # between two words on a stream, so that both ends notice a dead one
SILENCE_SECONDS = 10.0  # of the other end, in the middle of a request or an answer
_BODY = 4096  # bytes of the form with the token

_STATIC = Path(__file__).parent / "static"
PAGES = {
    "/": ("dashboard.html", "text/html; charset=utf-8"),
    "/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
    "/dashboard.js": ("dashboard.js", "text/javascript; charset=utf-8"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_METHODS = ("GET", "HEAD")


class Dashboard(ThreadingHTTPServer):
    """`serve_forever` until `shutdown`. `name`: the ledger's, for people. `tls`: the server's side, for https."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(
        self,
        address: tuple[str, int],
        feed: Feed,
        open_ledger: Callable[[], Ledger],
        name: str,
        token: str | None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)
        self.feed = feed
        self.ledger_name = name
        self.tls = tls
        self.access = Access(token, f"twinroot_{self.server_port}")
        self.connections = Connections(CONNECTIONS)
        self._open_ledger = open_ledger
        self._asking = threading.Lock()

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks the network for the name of this computer.
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def ask(self, question: str) -> list[dict[str, Any]]:
        """One search at a time. Raises TwinrootError, TimeoutError."""
        if not self._asking.acquire(timeout=SILENCE_SECONDS):
            raise TimeoutError
        try:
            with self._open_ledger() as ledger:
                return ledger.read(lambda connection: search(connection, question))
        finally:
            self._asking.release()

    def service_actions(self) -> None:
        self.connections.sweep()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.connections.enter(client_address[:2], request, REQUEST_SECONDS):
            with suppress(OSError):
                request.settimeout(0.0)
                request.send(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.leave(client_address[:2])

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(SILENCE_SECONDS)
        with self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as line:
            self.connections.extend(client_address[:2], line, REQUEST_SECONDS)
            line.do_handshake()
            super().finish_request(line, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that ended, or no TLS: nobody's business but the other end's."""


class _Handler(BaseHTTPRequestHandler):
    server: Dashboard
    protocol_version = "HTTP/1.1"
    server_version = "twinroot"
    sys_version = ""
    timeout = SILENCE_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """No log: an address may hold what a person looked for."""

    def __getattr__(self, name: str) -> Any:
        # Any other method, by whatever name.
        if name.startswith("do_"):
            return self._not_allowed
        raise AttributeError(name)

    def do_GET(self) -> None:
        if not self._may_look():
            return
        path = urlsplit(self.path).path
        if path in PAGES:
            name, kind = PAGES[path]
            self._send(HTTPStatus.OK, (_STATIC / name).read_bytes(), kind)
        elif path == "/events":
            self._stream()
        elif path == "/state":
            self._state()
        elif path == "/search":
            self._search()
        elif path == "/login":
            self._redirect()
        else:
            self._plain(HTTPStatus.NOT_FOUND, "There is no such page.")

    def do_HEAD(self) -> None:
        self.do_GET()  # `_send` leaves the body out

    def do_POST(self) -> None:
        if self.path != "/login" or self.server.access.token is None:
            self._not_allowed()
            return
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > _BODY:
            self._plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The form is too long.")
            return
        form = parse_qs(self.rfile.read(int(size)).decode("utf-8", "replace"), max_num_fields=4)
        if not self.server.access.is_token(form.get("token", [""])[0].strip()):
            self._form(HTTPStatus.FORBIDDEN, wrong=True)
            return
        access = self.server.access
        secure = "; Secure" if self.server.tls else ""
        cookie = f"{access.cookie}={access.session()}; HttpOnly; SameSite=Strict; Path=/; Max-Age={COOKIE_SECONDS}{secure}"
        self._redirect({"Set-Cookie": cookie})

    def _may_look(self) -> bool:
        access = self.server.access
        if not access.is_here(self.headers.get("Host")):
            self._plain(HTTPStatus.MISDIRECTED_REQUEST, "This page answers to the names of this computer only; a token opens it to others.")
            return False
        path = urlsplit(self.path).path
        if access.allows(self.headers.get("Authorization"), self.headers.get("Cookie")) or path == "/dashboard.css":
            return True
        if path in ("/", "/login"):
            self._form(HTTPStatus.OK if path == "/login" else HTTPStatus.UNAUTHORIZED)
        else:
            self._plain(HTTPStatus.UNAUTHORIZED, "This page wants its token.")
        return False

    def _form(self, status: HTTPStatus, *, wrong: bool = False) -> None:
        page = (_STATIC / "login.html").read_bytes()
        word = b'<p role="alert">This is not the token. The file named by --token-file has it.</p>' if wrong else b""
        self._send(status, page.replace(b"<!-- wrong -->", word), "text/html; charset=utf-8")

    def _stream(self) -> None:
        server, key = self.server, self.client_address[:2]
        self._head(HTTPStatus.OK, "text/event-stream; charset=utf-8")
        if self.command == "HEAD":
            return
        name = json.dumps({"ledger": server.ledger_name})
        self.wfile.write(f"retry: 2000\nevent: ledger\ndata: {name}\n\n".encode())
        seen, beats = 0, int(STREAM_SECONDS / BEAT_SECONDS)
        for _ in range(beats):
            # As long as the other end takes what it is sent, the connection may last.
            server.connections.extend(key, self.connection, BEAT_SECONDS + REQUEST_SECONDS)
            version, payload = server.feed.wait(seen, BEAT_SECONDS)
            if server.feed.stopped:
                return
            self.wfile.write(b"event: state\ndata: " + payload + b"\n\n" if version != seen else b": \n\n")
            self.wfile.flush()
            seen = version

    def _state(self) -> None:
        payload = self.server.feed.wait(0, SILENCE_SECONDS)[1]
        if payload:
            self._json(HTTPStatus.OK, {"ledger": self.server.ledger_name, **json.loads(payload)})
        else:
            self._json(HTTPStatus.SERVICE_UNAVAILABLE, {"message": "The ledger was not read yet.", "hint": "Ask again."})

    def _search(self) -> None:
        question = parse_qs(urlsplit(self.path).query, max_num_fields=4).get("q", [""])[0]
        try:
            self._json(HTTPStatus.OK, {"attempts": self.server.ask(question)})
        except TwinrootError as error:
            self._json(HTTPStatus.SERVICE_UNAVAILABLE, {"message": error.message, "hint": error.hint})
        except TimeoutError:
            self._json(HTTPStatus.SERVICE_UNAVAILABLE, {"message": "The ledger is busy with other searches.", "hint": "Search again."})

    def _not_allowed(self) -> None:
        self._plain(HTTPStatus.METHOD_NOT_ALLOWED, "This page is only read.", {"Allow": ", ".join(_METHODS)})

    def _redirect(self, more: dict[str, str] | None = None) -> None:
        self._send(HTTPStatus.SEE_OTHER, b"", "text/plain; charset=utf-8", {"Location": "/", **(more or {})})

    def _json(self, status: HTTPStatus, data: object) -> None:
        self._send(status, json.dumps(data).encode(), "application/json")

    def _plain(self, status: HTTPStatus, text: str, more: dict[str, str] | None = None) -> None:
        self._send(status, f"{text}\n".encode(), "text/plain; charset=utf-8", more)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses, without what was asked for in it."""
        status = HTTPStatus(code)
        self._plain(status, status.phrase)

    def _send(self, status: HTTPStatus, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self._head(status, kind, {"Content-Length": str(len(body)), **(more or {})})
        if getattr(self, "command", None) != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, more: dict[str, str] | None = None) -> None:
        self.close_connection = True
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Connection": "close", **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
