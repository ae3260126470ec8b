"""The loopback port to esptool serves the process that it was made for, and nobody else."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from provisioning.flash import process
from provisioning.flash.bridge import Bridge
from provisioning.flash.prestart import Told
from provisioning.link.wire import Wire


class Loop:
    """A wire whose other end says everything back, as far as the bridge uses one."""

    baud = 115200

    def __init__(self) -> None:
        self.written = b""
        self.out = b""

    def write(self, data: bytes) -> None:
        self.written += data
        self.out += data

    def read(self, seconds: float) -> bytes:
        found, self.out = self.out, b""
        if not found:
            time.sleep(seconds)
        return found


@contextmanager
def bridge() -> Iterator[tuple[Bridge, Loop]]:
    wire = Loop()
    with Bridge(wire) as made:  # type: ignore[arg-type]
        yield made, wire


def connect(made: Bridge) -> socket.socket:
    parts = urlsplit(made.url)
    assert parts.hostname and parts.port
    client = socket.create_connection((parts.hostname, parts.port), 5)
    client.settimeout(5)
    return client


def word(made: Bridge) -> bytes:
    return urlsplit(made.url).path.strip("/").encode() + b"\n"


def test_who_says_the_word_is_served() -> None:
    with bridge() as (made, wire), connect(made) as client:
        client.sendall(word(made)[:7])
        client.sendall(word(made)[7:] + b"hello")
        assert client.recv(16) == b"hello" and wire.written == b"hello"


@pytest.mark.parametrize("said", [b"\xc0\x00\x08\x24\x00", b"\n", b"0" * 33, b"A" * 400])
def test_strangers_are_not_and_do_not_keep_the_right_one_out(said: bytes) -> None:
    with bridge() as (made, wire):
        silent = [connect(made) for _ in range(20)]  # more than are listened to
        with connect(made) as stranger:
            stranger.sendall(said)
            with suppress(ConnectionResetError):  # that is not a service either: more was sent than read
                assert stranger.recv(16) == b""
        with connect(made) as client:
            client.sendall(word(made) + b"x")
            assert client.recv(1) == b"x"
            for each in silent:
                each.close()
        assert wire.written == b"x"


def test_a_second_one_finds_nothing() -> None:
    with bridge() as (made, _), connect(made) as client:
        client.sendall(word(made) + b"x")
        assert client.recv(1) == b"x"
        with pytest.raises(OSError):
            connect(made)


def test_esptool_says_it_and_its_command_line_does_not_hold_it() -> None:
    """A real esptool gets through to the wire, started for this run or not; the word is nowhere that other users can read."""
    with bridge() as (made, wire):
        argv = process.command(["--port", made.url, "--before", "no-reset", "--connect-attempts", "1", "read-mac"])
        seen: list[list[str]] = []

        class Spy:
            def take(self, wanted: list[str]) -> process.Running | None:
                taken = Told(None).take(wanted)
                seen.append(list(getattr(taken, "args", [])))
                return taken

        process.run(argv, source=Spy(), silence=20)  # type: ignore[arg-type]
        assert wire.written.startswith(b"\xc0\x00\x08\x24\x00"), "the first thing on the wire is esptool's own greeting"
        assert seen == [[sys.executable, "-m", "provisioning.flash.tool"]]


def test_the_wire_has_what_a_bridge_uses() -> None:
    assert {"write", "read", "baud"} <= set(dir(Wire))
