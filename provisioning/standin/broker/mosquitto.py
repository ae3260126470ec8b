"""mosquitto as a child process on a Unix socket in a private folder, gone when the stand-in is gone, however it went."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import sys
from pathlib import Path

from provisioning.errors import StationError
from provisioning.standin.state_folder import socket_folder

# mosquitto 2.0 is the first with Unix sockets. Started by root it would become a user who cannot enter our folder.
_CONFIG = """\
listener 0 {socket}
user {user}
allow_anonymous true
persistence false
log_dest stderr
log_type error
log_type warning
"""
_START_TIMEOUT = 5.0  # seconds until its socket answers
_STOP_TIMEOUT = 3.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _die_with_parent() -> None:
    """In the child, before exec: the kernel ends it when the stand-in ends, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Mosquitto:
    """A mosquitto of our own; it does not know of any other that runs on this machine."""

    name = "mosquitto"

    def __init__(self, program: Path, state: Path) -> None:
        self._program = program
        self._process: asyncio.subprocess.Process | None = None
        self._folder = socket_folder(state, "mosquitto")
        self._socket = self._folder / "socket"

    async def start(self) -> None:
        config = self._folder / "mosquitto.conf"
        config.write_text(_CONFIG.format(socket=self._socket, user=pwd.getpwuid(os.geteuid()).pw_name), encoding="utf-8")
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._program,
                "-c",
                config,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                preexec_fn=_die_with_parent,
            )
            await asyncio.wait_for(self._answers(self._process), _START_TIMEOUT)
        except (OSError, asyncio.TimeoutError) as error:
            await self.stop()
            raise self._failed(str(error) or "it does not answer") from error

    async def _answers(self, process: asyncio.subprocess.Process) -> None:
        while True:
            try:
                _reader, writer = await self.attach()
            except (FileNotFoundError, ConnectionRefusedError):
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(process.wait(), 0.02)
                    said = await process.stderr.read() if process.stderr else b""
                    raise self._failed(said.decode(errors="replace").strip().splitlines()[-1:]) from None
            else:
                writer.close()
                return

    @staticmethod
    def _failed(why: str | list[str]) -> StationError:
        reason = why if isinstance(why, str) else (why or ["it ended at once"])[0]
        return StationError("cloud-broker", f"mosquitto did not start: {reason}.", "Use --broker amqtt, which needs nothing.")

    async def attach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self._socket))

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_TIMEOUT)
            except asyncio.TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)
