"""Who is at the other end of a loopback connection: the kernel's own table has the user of each socket (proc(5), /proc/net/tcp)."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

_TABLE = Path("/proc/net/tcp")
_LOCAL, _REMOTE, _UID = 1, 2, 7  # columns
_ROOT = 0


def owner(connection: socket.socket, table: str | None = None) -> int | None:
    """The user that opened the other end of this IPv4 connection; None where the table does not have it. `table`: for tests."""
    theirs, ours = _hexadecimal(connection.getpeername()), _hexadecimal(connection.getsockname())
    try:
        lines = (_TABLE.read_text("ascii") if table is None else table).splitlines()
    except OSError:
        return None
    for line in lines[1:]:
        row = line.split()
        if len(row) > _UID and row[_LOCAL] == theirs and row[_REMOTE] == ours:
            return int(row[_UID])
    return None


def is_ours(connection: socket.socket, table: str | None = None) -> bool:
    """Whether it is this user's, or root's."""
    return owner(connection, table) in (os.geteuid(), _ROOT)


def _hexadecimal(address: tuple[str, int]) -> str:
    """As the table writes it: the address as a number in this computer's byte order, the port in the network's."""
    return f"{struct.unpack('=I', socket.inet_aton(address[0]))[0]:08X}:{address[1]:04X}"
