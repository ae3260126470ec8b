"""A reader that is slow gets every byte that the board sent, on either port; what a client drops is dropped, and only that."""

from __future__ import annotations

import hashlib
import socket
import time

from provisioning.virtual.endpoint.unread import LIMIT, Unread
from tests.virtual.board_io import Repl, repl

BURST = 1 << 20
LINE = b"%07d" + b"." * 56 + b"\n"
SEND = f"""
import sys
for i in range({BURST // 64}):
    sys.stdout.buffer.write(b"%07d" % i + b"." * 56 + b"\\n")
print("END")
"""
WANTED = b"".join(LINE % i for i in range(BURST // 64))


def slowly(read, size: int) -> bytes:
    """Reads so much in steps with a pause behind each; the pauses are what is tried."""
    got = bytearray()
    deadline = time.monotonic() + 60
    while len(got) < size:
        got += read(size - len(got))
        assert time.monotonic() < deadline, f"{len(got)} of {size} bytes"
        time.sleep(0.005)
    return bytes(got)


def hold_back(board, sent: int) -> None:
    """Returns when the board has sent so many bytes: nobody has read one of them."""
    deadline = time.monotonic() + 60
    while board.counters()["to_host"] < sent:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_megabyte_to_a_slow_reader_on_the_pseudo_terminal(virtual_board):
    link = repl(virtual_board.pty)
    virtual_board.clear_counters()
    link.port.write(SEND.encode() + b"\x04")
    hold_back(virtual_board, BURST)
    assert slowly(link.port.read, 2) == b"OK"
    got = slowly(lambda size: link.port.read(min(size, 20_000)), BURST)
    assert hashlib.sha256(got).digest() == hashlib.sha256(WANTED).digest()
    assert link.until(b"\x04>").startswith(b"END\r\n")
    assert virtual_board.counters()["unread"] == 0
    link.close()


def test_a_megabyte_to_a_slow_reader_on_the_network_port(virtual_board):
    """A plain socket: pyserial's own client reads ahead as fast as it can, whatever its user does."""
    host, _, port = virtual_board.rfc2217.removeprefix("rfc2217://").partition(":")
    with socket.create_connection((host, int(port)), 20) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        raw.sendall(b"\r\x03\x03\r\x01")
        got = b""
        while not got.endswith(b"to exit\r\n>"):
            got += raw.recv(4096)
        virtual_board.clear_counters()
        raw.sendall(SEND.encode() + b"\x04")
        hold_back(virtual_board, BURST)
        assert slowly(raw.recv, 2) == b"OK"
        got = slowly(lambda size: raw.recv(min(size, 20_000)), BURST)
        assert hashlib.sha256(got).digest() == hashlib.sha256(WANTED).digest()
    assert virtual_board.counters()["unread"] == 0


def test_what_a_client_drops_does_not_come_back(virtual_board):
    """The backlog goes with reset_input_buffer(), as an operating system's does: what comes next is the answer to what is sent next."""
    client = repl(virtual_board.pty)
    virtual_board.clear_counters()
    client.port.write(SEND.encode() + b"\x04")
    hold_back(virtual_board, BURST)
    time.sleep(0.2)  # the last bytes are behind the last chunk that was counted
    client.port.reset_input_buffer()
    client.port.write(b"print('next')\x04")
    assert len(client.until(b"next\r\n\x04\x04>")) < 1 << 17
    client.close()


def test_a_new_client_does_not_get_what_the_last_one_left(virtual_board):
    link = repl(virtual_board.pty)
    virtual_board.clear_counters()
    link.port.write(SEND.encode() + b"\x04")
    hold_back(virtual_board, BURST // 4)
    link.close()
    again = Repl(virtual_board.pty)
    again.enter()
    assert again.run("print('mine')") == "mine\r\n"
    again.close()


def test_what_does_not_fit_is_counted():
    unread = Unread()
    unread.add(b"x" * LIMIT)
    unread.add(b"yz")
    assert (len(unread), unread.lost) == (LIMIT, 2)
    unread.take(LIMIT - 1)
    unread.add(b"yz")
    assert unread.first(10) == b"xyz"
    unread.take(3)
    assert not unread
