"""esptool in a process of its own that is ready before it is needed: it imports esptool, then waits for its arguments.

They come as one line of JSON on standard input (prestart.py), whose end without a line means that nobody needs it; or, when a socket's
number is given, as a message each with the ends of two pipes, for which it forks itself (fork_server.py). Started with `-m`, and nothing of
twinroot is imported here but this file.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import socket
import sys
import urllib.parse
from typing import Any

# What esptool imports only while it works; those that are not there (another release) come when it needs them.
_LATER = ("esptool.cmds", "rich.progress", "rich.live", "serial.urlhandler.protocol_socket", "zlib")
_LONGEST = 1 << 17  # bytes of a message


def main() -> None:
    prepare()
    if len(sys.argv) > 1:
        _serve(socket.socket(fileno=int(sys.argv[1])))
        return
    line = sys.stdin.readline()
    if line:
        _run(json.loads(line))


def prepare() -> None:
    """Import all of esptool, and leave out two things that cost time at each board. Without esptool, its run says so."""
    try:
        loader = importlib.import_module("esptool.loader")
    except ImportError:
        return
    for name in _LATER:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    _no_dumps(loader)
    _no_question(loader)
    _say_word()


def _no_dumps(loader: object) -> None:
    """esptool 5.6 formats a hex dump of all it sends before it asks whether anybody wants a trace: 7 ms and more for each block of 16 KB,
    measured 0.3 s of processor for a firmware of 330 KB."""
    dump = getattr(loader, "HexFormatter", None)
    if dump is not None:
        dump.__str__ = lambda _self: ""


def _no_question(loader: object) -> None:
    """An esp32's ROM has no chip id to tell. esptool asks all the same, twice, and waits 0.2 s for the echoes of each refusal:
    measured, 0.36 s of each run."""
    try:
        rom = importlib.import_module("esptool.targets").ESP32ROM
        error = loader.FatalError  # type: ignore[attr-defined]
    except (ImportError, AttributeError):
        return

    def get_chip_id(_self: object) -> int:
        raise error("esp32 has no chip id")

    rom.get_chip_id = get_chip_id


def _say_word() -> None:
    """A port socket://HOST:NUMBER/WORD is one that serves those who say WORD first (bridge.py); pyserial itself ignores the path."""
    try:
        port = importlib.import_module("serial.urlhandler.protocol_socket").Serial
    except (ImportError, AttributeError):
        return
    connect = port.open

    def open_(self: Any) -> None:
        connect(self)
        word = urllib.parse.urlsplit(self.portstr).path.strip("/")
        if word:
            self._socket.sendall(f"{word}\n".encode())

    port.open = open_


def _run(arguments: list[str]) -> None:
    sys.argv = ["esptool", *arguments]
    runpy.run_module("esptool", run_name="__main__", alter_sys=True)


def _serve(channel: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, _reap)
    while True:
        message, ends, _, _ = socket.recv_fds(channel, _LONGEST, 2)
        if not message:
            return
        if os.fork() == 0:
            channel.close()
            _forked(json.loads(message), *ends)
        for end in ends:
            os.close(end)


def _reap(_signal: int, _frame: object) -> None:
    """The forked ones are gone for good, and the time they took is in this process's account."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return


def _forked(arguments: list[str], output: int, end: int) -> None:
    """The run of one board; never returns."""
    code = 1
    try:
        os.setsid()  # control-C is its caller's
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.write(end, b"%d\n" % os.getpid())
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        _run(arguments)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
    except BaseException:  # noqa: BLE001  what python itself does at the end of a program
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        os.write(end, b"%d\n" % code)
        os._exit(code)


if __name__ == "__main__":
    main()
