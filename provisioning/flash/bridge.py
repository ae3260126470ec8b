"""esptool on a port that this process keeps open: a TCP socket on the loopback interface, and the bytes carried over.

Why: the port is ours from the first question to the board's report, so no other program gets between two steps and no line twitches when
one program closes the port and the next one opens it; and esptool sets the time limit of its port for every command, which pyserial turns
into a negotiation of 150 ms over RFC 2217. esptool's rate change is seen in the stream (command 0x0F, "Serial Protocol" in its
documentation) and made here, after the answer and before anything else passes.

Any local user can connect to a loopback port, and whoever got in could read a flash or write one. So the first thing that counts is a word
that only the process which was started for this run has been told, by its standard input (tool.py sends it); whoever does not say it is
not served and does not keep the right one out.
"""

from __future__ import annotations

import hmac
import secrets
import selectors
import socket
import struct
import threading
from types import TracebackType

from provisioning.errors import StationError, TwinrootError
from provisioning.link.wire import Wire

CHANGE_BAUDRATE = 0x0F
_REQUEST = bytes([0xC0, 0x00, CHANGE_BAUDRATE])  # 0xC0 occurs only at the ends of frames, so this is a frame's beginning
_ANSWER = bytes([0xC0, 0x01, CHANGE_BAUDRATE])
_REQUEST_BYTES = 64  # more than the whole request, escaped
_SLICE = 0.2  # seconds until an end is noticed
_WIRE_SLICE = 0.02  # the same on the wire, which wakes up this often anyway (link/port.py)
_CHUNK = 16384
_STRANGERS = 16  # connections that have not said the word yet; the oldest goes when another one comes


class Bridge:
    """`url` is what esptool opens, the word at its end. One connection; use as a context manager. `failure` says what went wrong with the
    port."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_STRANGERS)
        self._listener.setblocking(False)
        self._word = secrets.token_hex(16)
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}/{self._word}"
        self.failure: TwinrootError | None = None
        self._wanted: int | None = None  # the rate that was asked for and not answered yet
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Bridge:
        self._thread.start()
        return self

    def close(self) -> None:
        """End the session; the port is this process's alone again when this returns."""
        self._stop.set()
        self._thread.join()
        self._listener.close()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _serve(self) -> None:
        try:
            client = self._accept()
            if client is None:
                return
            with client:
                upward = threading.Thread(target=self._up, args=(client,), daemon=True)
                upward.start()
                self._down(client)
                self._stop.set()
                upward.join()
        except TwinrootError as error:
            self.failure = error
        except OSError as error:
            self.failure = StationError("bridge-failed", f"The loopback connection to esptool broke: {error}.", "Run the command again.")
        finally:
            self._stop.set()

    def _accept(self) -> socket.socket | None:
        """The connection that says the word first; None at the end of the session."""
        expected = f"{self._word}\n".encode()
        heard: dict[socket.socket, bytes] = {}
        with selectors.DefaultSelector() as ready:
            ready.register(self._listener, selectors.EVENT_READ)
            try:
                while not self._stop.is_set():
                    for key, _ in ready.select(_SLICE):
                        if key.fileobj is self._listener:
                            self._meet(ready, heard)
                            continue
                        client = next(each for each in heard if each is key.fileobj)
                        heard[client] += _peek(client, len(expected) - len(heard[client]))
                        if hmac.compare_digest(heard[client], expected):
                            del heard[client]
                            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                            client.settimeout(_SLICE)
                            self._listener.close()  # one esptool, and nobody else
                            return client
                        if not expected.startswith(heard[client]) or not heard[client]:
                            _refuse(ready, heard, client)
            finally:
                for client in heard:
                    client.close()
        return None

    def _meet(self, ready: selectors.BaseSelector, heard: dict[socket.socket, bytes]) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        client.setblocking(False)
        if len(heard) >= _STRANGERS:
            _refuse(ready, heard, next(iter(heard)))
        heard[client] = b""
        ready.register(client, selectors.EVENT_READ)

    def _down(self, client: socket.socket) -> None:
        """esptool to the board, until esptool hangs up."""
        tail = b""
        while not self._stop.is_set():
            try:
                data = client.recv(_CHUNK)
            except TimeoutError:
                continue
            except ConnectionError:
                return
            if not data:
                return
            tail = self._notice(tail + data)
            self._wire.write(data)

    def _notice(self, seen: bytes) -> bytes:
        """Look for a request to change the rate; returns what must be looked at again with the next bytes."""
        at = seen.rfind(_REQUEST)
        if at < 0:
            return seen[-2:]
        frame = seen[at + 1 : at + _REQUEST_BYTES].split(b"\xc0")[0]
        body = frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
        if len(body) >= 12:
            self._wanted = struct.unpack_from("<I", body, 8)[0]
            return b""
        return seen[at:]

    def _up(self, client: socket.socket) -> None:
        """The board to esptool, until the end of the session or of the port."""
        held = b""  # what arrived since the rate was asked for: passed on when the answer is whole and our side has changed
        try:
            while not self._stop.is_set():
                data = self._wire.read(_WIRE_SLICE)
                if self._wanted is not None:
                    held += data
                    at = held.find(_ANSWER)
                    if at < 0 or held.find(b"\xc0", at + 1) < 0:
                        continue
                    self._wire.baud, self._wanted = self._wanted, None
                    data, held = held, b""
                if data:
                    client.sendall(data)
        except TwinrootError as error:
            self.failure = error
            self._stop.set()
        except OSError:
            self._stop.set()  # esptool hung up; _down notices, too


def _peek(client: socket.socket, count: int) -> bytes:
    """What a stranger said, at most `count` bytes; something wrong where the connection is gone."""
    try:
        return client.recv(count) or b"\0"
    except OSError:
        return b"\0"


def _refuse(ready: selectors.BaseSelector, heard: dict[socket.socket, bytes], client: socket.socket) -> None:
    ready.unregister(client)
    del heard[client]
    client.close()
