"""A labgrid lab on loopback: a real coordinator, real exporters, and virtual boards as their hardware."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from provisioning.virtual import VirtualBoard

_READY = 60.0  # seconds for a server of the lab to be there; 2 on a quiet computer


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _drain(pipe: int) -> None:
    while os.read(pipe, 65536):
        pass
    os.close(pipe)


class Lab:
    """`exporters` computers with `boards` virtual boards each, whose places are desk-0, desk-1, … A context manager."""

    def __init__(self, programs: Path, folder: Path, exporters: int = 1, boards: int = 2) -> None:
        self.programs = programs
        self.folder = folder
        self.places = [f"desk-{number}" for number in range(exporters * boards)]
        self.boards: dict[str, VirtualBoard] = {}
        self.coordinator = f"127.0.0.1:{_free_port()}"
        self._exporters = exporters
        self._undo = ExitStack()
        self._kinds: Sequence[str] = ("NetworkSerialPort", "VirtualBoardPort")

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to find the lab."""
        return {"LG_COORDINATOR": self.coordinator, "TWINROOT_LABGRID_CLIENT": str(self.programs / "labgrid-client")}

    def __enter__(self) -> Lab:
        with ExitStack() as undo:
            self._start(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _start(self, undo: ExitStack) -> None:
        matches = {name: [self._match(name)] for name in self.places}
        # The coordinator's own file, as it writes it: to make each place with labgrid-client takes seconds.
        (self.folder / "places.yaml").write_text(json.dumps({name: self._place(match) for name, match in matches.items()}))
        self.boards = {name: undo.enter_context(VirtualBoard()) for name in self.places}
        self._serve(undo, "Coordinator ready", "labgrid-coordinator", "-l", self.coordinator)
        for number in range(self._exporters):
            file = self.folder / f"exporter-{number}.yaml"
            mine = self.places[number :: self._exporters]
            file.write_text(json.dumps({name: self._resources(self.boards[name]) for name in mine}))
            self._serve(undo, "connected to coordinator", "labgrid-exporter", "-n", f"exporter-{number}", str(file))

    @staticmethod
    def _match(name: str) -> dict[str, str | None]:
        return {"exporter": "*", "group": name, "cls": "*", "name": None, "rename": None}

    @staticmethod
    def _place(matches: list[dict[str, str | None]]) -> dict[str, object]:
        empty: dict[str, object] = {"acquired": None, "acquired_resources": [], "aliases": [], "allowed": [], "comment": "", "tags": {}}
        return {**empty, "reservation": None, "changed": 1.0, "created": 1.0, "matches": matches}

    @staticmethod
    def _resources(board: VirtualBoard) -> dict[str, dict[str, object]]:
        host, _, port = board.rfc2217.removeprefix("rfc2217://").partition(":")
        return {
            "NetworkSerialPort": {"host": host, "port": int(port)},
            "VirtualBoardPort": {"control": board.info["control"], "console": board.pty},
        }

    def _serve(self, undo: ExitStack, ready: str, program: str, *arguments: str) -> None:
        environment = os.environ | self.environment | {"PYTHONUNBUFFERED": "1"}
        environment.pop("PYTHONPATH", None)
        log = self.folder / f"{program}-{len(arguments)}-{arguments[1].replace(':', '-')}.log"
        read, write = os.pipe()
        process = subprocess.Popen(
            [str(self.programs / program), *arguments], cwd=self.folder, env=environment, stdout=write, stderr=subprocess.STDOUT
        )
        os.close(write)
        undo.callback(os.close, read)
        undo.callback(self._stop, process)
        text = b""
        while ready.encode() not in text:
            more = os.read(read, 65536)
            text += more
            assert more, f"{program} ended: {text.decode(errors='replace')}"
        log.write_bytes(text)
        # What it says from here on goes nowhere, and must not fill the pipe.
        threading.Thread(target=_drain, args=(os.dup(read),), daemon=True).start()

    @staticmethod
    def _stop(process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    # -- what a person does ------------------------------------------------------------------------------------------

    def client(self, place: str, *command: str, user: str | None = None, **environment: str) -> str:
        """What `labgrid-client -p PLACE COMMAND…` prints, as `user`."""
        variables = os.environ | self.environment | environment | ({"LG_USERNAME": user} if user else {})
        variables.pop("PYTHONPATH", None)
        made = subprocess.run(
            [str(self.programs / "labgrid-client"), "-p", place, *command],
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        return made.stdout

    def holder(self, place: str) -> str | None:
        """Who has it, as "host/user"."""
        line = next(line for line in self.client(place, "show").splitlines() if line.startswith("  acquired: "))
        return None if line.endswith(" None") else line.partition(": ")[2]
