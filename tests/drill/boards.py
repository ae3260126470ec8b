"""Many virtual boards in a few processes. All of them are plugged in, and few are powered at a time: a board that is off costs nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from provisioning.virtual import run
from provisioning.virtual.channel import Channel
from provisioning.virtual.options import MOST_BOARDS, VirtualOptions

_FLASH = "flash.bin"


class Board:
    """One board, off. `port` stays the same for its whole life."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.mac = str(described["mac"])
        self.state = Path(described["state"])
        self.port = str(self.state / "tty")
        self._channel = Channel(Path(described["control"]))
        self.call("power_off")

    def call(self, command: str, **arguments: Any) -> Any:
        return self._channel.call(command, **arguments)

    @contextmanager
    def powered(self, clock: str = "host") -> Iterator[None]:
        """On, with this time in its clock (provisioning/virtual/rtc.py); the plug is pulled at the end, whatever it does then."""
        self.call("inject", fault=f"clock={clock}")
        self.call("power_on")
        try:
            yield
        finally:
            self.call("power_off")

    @property
    def flash(self) -> bytes:
        return (self.state / _FLASH).read_bytes()

    def clone(self, image: bytes) -> None:
        """Another board's flash, as a programmer writes it: into the file that the board has mapped, while it is off."""
        with (self.state / _FLASH).open("r+b") as file:
            file.write(image)

    def log(self) -> str:
        return str(self.call("log"))

    def close(self) -> None:
        self._channel.close()


class Boards:
    """`count` boards with their states below `folder`, each with a blank file system. A context manager."""

    def __init__(self, folder: Path, count: int, processes: int = 2) -> None:
        self._folder = folder
        least = -(-count // MOST_BOARDS)
        share, more = divmod(count, max(processes, least))
        self._shares = [share + (i < more) for i in range(max(processes, least))]
        self._processes: list[subprocess.Popen[bytes]] = []
        self.all: list[Board] = []

    def __enter__(self) -> Boards:
        for number, share in enumerate(self._shares):
            options = VirtualOptions(
                count=share, link="pty", clock="host", paced=False, state=self._folder / f"bench-{number}", seed=number + 1, json=True
            )
            command = run.hardware_command(run.resolve(options), options, "--lifeline")
            self._processes.append(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=run.environment(), start_new_session=True)
            )
        for process, share in zip(self._processes, self._shares, strict=True):
            assert process.stdout is not None
            for _ in range(share):
                self.all.append(Board(json.loads(process.stdout.readline())))
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        for board in self.all:
            board.close()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(10)
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()
