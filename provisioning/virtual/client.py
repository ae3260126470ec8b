"""The virtual board from Python: starts the hardware process and talks to its control socket. Blocking, for tests and scripts."""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from provisioning.errors import StationError
from provisioning.virtual import error_reply, run
from provisioning.virtual.channel import BoardGone, Channel
from provisioning.virtual.options import VirtualOptions
from provisioning.virtual.spec import BoardSpec

START_TIMEOUT = 90.0  # s for a board to answer; it takes about 0.4 on a quiet computer
_STOP_TIMEOUT = 5.0


class VirtualBoard:
    """A context manager: one running board.

        with VirtualBoard() as vb:
            serial.serial_for_url(vb.port, 115200)

    `state`: a folder that keeps flash and identity; without it they are temporary. `link` says what `port` is: "rfc2217"
    (reset lines, as flashing tools need) or "pty" (a device path). `blank=True`: a chip from the factory. `engine="qemu"` with
    `qemu=` (a folder) and `firmware=` (a file): an emulated chip that runs this image. Other options
    are those of the command line. Raises InputError and StationError.
    """

    def __init__(self, board: str = "virtual-esp32", state: Path | str | None = None, link: str = "rfc2217", **options: Any) -> None:
        paths: dict[str, Any] = {name: Path(options.pop(name)) for name in ("qemu", "firmware", "replay") if options.get(name) is not None}
        self.options = VirtualOptions(
            board=board, state=Path(state) if state is not None else None, link=link, json=True, **paths, **options
        )
        self.port = ""
        self.pty = ""
        self.rfc2217 = ""
        self.mac = ""
        self.serial = ""
        self.pid = 0
        self.info: dict[str, Any] = {}  # what `virtual --json` prints
        self.state = Path()
        self._spec: BoardSpec | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._control: Channel | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> VirtualBoard:
        """Starts the process; returns when the board answers."""
        self.options.check()
        run.check_platform(self.options.engine)
        if self.options.state is None:
            try:
                self._temporary = tempfile.TemporaryDirectory(prefix="virtual-board-state-")
            except OSError as error:
                raise error_reply.of_system(error, "the folder for temporary files") from error
            self.options.state = Path(self._temporary.name)
        self._spec = self._spec or run.resolve(self.options)
        command = run.hardware_command(self._spec, self.options, "--lifeline")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=run.environment()
        )
        described = self.info = self._first_line()
        for name in ("port", "pty", "rfc2217", "mac", "serial", "pid"):
            setattr(self, name, described[name])
        self.state = Path(described["state"])
        self._control = Channel(Path(described["control"]), START_TIMEOUT)
        return self

    def _first_line(self) -> dict[str, Any]:
        """What the process says first: the board, or why there is none. Raises the error that it names."""
        assert self._process is not None and self._process.stdout is not None and self._process.stderr is not None  # noqa: S101
        ready, _, _ = select.select([self._process.stdout], [], [], START_TIMEOUT)
        line = self._process.stdout.readline() if ready else b""
        described: dict[str, Any] = json.loads(line) if line else {}
        if line and "outcome" not in described:
            return described
        self._process.kill()
        said = self._process.stderr.read().decode(errors="replace").strip().splitlines()
        self.close()
        if line:
            raise error_reply.raised_by(described)
        if not ready:
            raise StationError(
                "virtual-start", f"The virtual board did not answer within {START_TIMEOUT:g} s", "The computer is too busy: try again."
            )
        raise StationError(
            "virtual-start",
            f"The virtual board's process ended at its start{': ' + said[-1] if said else ''}",
            "Run `python -m provisioning.virtual` to see all that it says, and report it.",
        )

    def close(self) -> None:
        """Stops the process; temporary state goes with it."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe is not None:
                    pipe.close()
            self._process = None
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None
            self.options.state = None

    def __enter__(self) -> VirtualBoard:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- power ----------------------------------------------------------------------------------------------------

    def power_off(self) -> None:
        """Pulls the plug; the endpoints stay."""
        self.call("power_off")

    def power_on(self) -> None:
        self.call("power_on")

    def reset(self, cause: str = "pin", boot: bool = False) -> None:
        """Resets the chip: pin, watchdog, brownout, ...; `boot`: with BOOT held, so into its ROM loader."""
        self.call("reset", cause=cause, boot=boot)

    @property
    def powered(self) -> bool:
        return bool(self.call("powered"))

    def kill(self) -> None:
        """SIGKILL to the process: a power cut of everything. `start` again with the same state is power on."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def restart(self) -> VirtualBoard:
        """After `kill`: the same state, a new process."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe is not None:
                    pipe.close()
            self._process = None
        return self.start()

    def cut(self, operations: int, seed: int = 0) -> None:
        """The power goes in the flash operation after `operations` more (0: the next). The tear follows from the seed."""
        self.call("cut", operations=operations, seed=seed)

    def wait(self, event: str, timeout: float = 10.0) -> bool:
        """True as soon as the event happens: "off", "boot", "held", "download" or "no-firmware"; at once when it has since the last command
        that changes something.

        Raises StationError when it did not in `timeout` seconds, InputError for a word that is not an event and for what can never happen.
        """
        if self.call("wait", event=event, timeout=timeout):
            return True
        raise StationError("virtual-wait", f"The virtual board had no {event!r} within {timeout:g} s.", "Its log() has what the chip said.")

    def happens(self, event: str, timeout: float = 10.0) -> bool:
        """As `wait`, and False where that raises because it did not happen."""
        return bool(self.call("wait", event=event, timeout=timeout))

    # --- flash and counters ---------------------------------------------------------------------------------------

    def snapshot(self, name: str = "default") -> None:
        """Keeps the flash image in the process's memory."""
        self.call("snapshot", name=name)

    def restore(self, name: str = "default") -> None:
        """Puts a snapshot back; do it while the power is off."""
        self.call("restore", name=name)

    def read_flash(self, address: int, size: int) -> bytes:
        return base64.b64decode(self.call("read_flash", address=address, size=size))

    def load_flash(self, address: int, data: bytes) -> None:
        """Writes the flash as a programmer on the bench would."""
        self.call("load_flash", address=address, data=base64.b64encode(data).decode())

    def counters(self) -> dict[str, Any]:
        """Bytes each way, changes of direction, dropped bytes, flash operations, erases per block, resets, boots."""
        result: dict[str, Any] = self.call("counters")
        return result

    def clear_counters(self) -> None:
        self.call("clear_counters")

    def log(self) -> str:
        """What the chip sent lately, at most 64 KB: boot text, panics, output."""
        return str(self.call("log"))

    # --- faults ---------------------------------------------------------------------------------------------------

    def inject(self, fault: str) -> None:
        """A fault as `--fault` takes it: "flip=0.001", "reset@4000", "cut-op=37", "worn=513", "full", "stuck"; the list is in faults.py."""
        self.call("inject", fault=fault)

    def heal(self) -> None:
        """Takes all faults back."""
        self.call("heal")

    def unplug(self) -> None:
        """The port disappears; the board keeps its power."""
        self.call("unplug")

    def plug(self) -> None:
        """The port comes back under another name: `port`, `pty` and `rfc2217` change."""
        names = self.call("plug")
        self.pty, self.rfc2217 = names["pty"], names["rfc2217"]
        self.port = self.rfc2217 if self.options.link == "rfc2217" else self.pty

    def call(self, command: str, **arguments: Any) -> Any:
        """One command of the control channel. Raises StationError when the process is gone or refuses."""
        if self._control is None:
            raise StationError("virtual-not-running", "The virtual board is not running", "Use it as a context manager.")
        try:
            return self._control.call(command, **arguments)
        except BoardGone:
            self._raise_last_words()
            raise

    def _raise_last_words(self) -> None:
        """Raises the error that the process ended with, where it said one."""
        if self._process is None or self._process.stdout is None:
            return
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            return
        for line in self._process.stdout.read().splitlines():
            said = json.loads(line)
            if "outcome" in said:
                raise error_reply.raised_by(said)
