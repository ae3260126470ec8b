"""A label printer as a Zebra is on TCP port 9100: takes labels, and answers ~HS with its state."""

from __future__ import annotations

import socket
import threading

READY = (b"030,0,0,1245,000,0,0,0,000,0,0,0", b"000,0,0,0,0,2,4,0,00000000,1,000")
NO_PAPER = (b"030,1,0,1245,000,0,0,0,000,0,0,0", READY[1])


class Zebra:
    """A printer on a free port of the loopback interface. `where`: its address; `said`: what it was sent; `state`: its two strings."""

    def __init__(self, state: tuple[bytes, bytes] = READY) -> None:
        self.state = state
        self.said = b""
        self.done = threading.Event()  # a connection has ended
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.where = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Zebra:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line:
                while part := line.recv(4096):
                    for _ in range(part.count(b"~HS")):
                        line.sendall(b"".join(b"\x02" + text + b"\x03\r\n" for text in (*self.state, b"1234,0")))
                    self.said += part.replace(b"~HS\r\n", b"")
            self.done.set()
