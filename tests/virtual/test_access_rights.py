"""The virtual board is its owner's: another user reaches neither its port nor its control nor its flash; and wait() tells no untruth."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from provisioning.errors import InputError, StationError
from provisioning.virtual.client import VirtualBoard
from provisioning.virtual.endpoint import peer

NOBODY = 65534


def intrude(port: int, control: str, *files: str) -> list[str]:
    """What another user tries: the port, the control socket, the flash, the terminal; what came of each."""
    got = []
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as s:
            s.settimeout(5)
            s.sendall(b"\x03\x03")
            got.append(f"port {s.recv(64)!r}")
    except OSError as error:
        got.append(f"port {type(error).__name__}")
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(control)
            got.append("control open")
    except OSError as error:
        got.append(f"control {type(error).__name__}")
    for name in files:
        try:
            os.close(os.open(name, os.O_RDONLY))
            got.append("file open")
        except OSError as error:
            got.append(f"file {type(error).__name__}")
    return got


def as_nobody(port: int, *paths: str) -> list[str]:
    """`intrude` in a process of another user; forked only, for another user may not be able to start this Python."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(into, "\n".join(intrude(port, *paths)).encode())
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out) as answer:
        said = answer.read().splitlines()
    os.waitpid(pid, 0)
    return said


def row(ours: tuple[str, int], theirs: tuple[str, int], uid: int) -> str:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    return f"{head}   0: {peer._hexadecimal(theirs)} {peer._hexadecimal(ours)} 01 00000000:00000000 00:00000000 00000000 {uid:5} 0 1 1\n"


def test_the_kernels_table_says_whose_a_connection_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        served, _ = listener.accept()
        with served:
            assert peer.owner(served) == os.geteuid() and peer.is_ours(served)
            for uid, good in ((os.geteuid(), True), (0, True), (NOBODY, os.geteuid() == NOBODY), (1, os.geteuid() == 1)):
                table = row(served.getsockname(), client.getsockname(), uid)
                assert (peer.owner(served, table), peer.is_ours(served, table)) == (uid, good)
            assert not peer.is_ours(served, row(client.getsockname(), served.getsockname(), os.geteuid())), "the other direction is ours"
            assert peer.owner(served, "") is None and not peer.is_ours(served, "head\n")


def test_another_user_gets_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    before = os.umask(0)
    try:
        with VirtualBoard(state=tmp_path / "board", paced=False) as board:
            modes = {file.name: file.stat().st_mode & 0o077 for file in board.state.iterdir() if file.is_file() or file.is_socket()}
            assert modes and not any(modes.values()), modes
            port = urlsplit(board.rfc2217).port or 0
            state = str(board.state)
            if os.geteuid() == 0:
                port_said, *rest = as_nobody(port, f"{state}/control", f"{state}/flash.bin", board.pty)
                assert port_said in ("port b''", "port ConnectionResetError")
                assert rest == ["control PermissionError", "file PermissionError", "file PermissionError"]
            with socket.create_connection(("127.0.0.1", port), 5) as mine:  # the owner is still served
                mine.settimeout(5)
                mine.sendall(b"\r\x03")
                assert mine.recv(16)
    finally:
        os.umask(before)


def test_wait_raises_for_what_never_happens_and_for_words_it_does_not_know() -> None:
    with VirtualBoard(paced=False) as board:
        for word in ("on", "Boot", "", "booted"):
            with pytest.raises(InputError, match="There is no event"):
                board.wait(word, 0.1)
        with pytest.raises(StationError, match="had no 'held'"):
            board.wait("held", 0.1)
        board.reset()
        assert board.wait("boot", 10)
        board.power_off()
        assert board.wait("off", 0.1) and board.wait("off", 0.1)
        with pytest.raises(InputError, match="off, so that 'boot' never happens"):
            board.wait("boot", 60)
