"""Virtual boards for labgrid: a resource, and drivers for power and console, so that a lab's strategies run on them.

For labgrid's Python, which this file is imported by as a file (`imports:` of an environment); it needs labgrid alone, and nothing of this
package. An exporter has, for a board of `twinroot virtual --state DIR`,

    board-1:
      VirtualBoardPort: {control: DIR/control, console: "rfc2217://127.0.0.1:PORT"}

The control socket is a file: the drivers run on the exporter's computer, or where its folder is. Protocol of the socket: control.py of
provisioning/virtual, a JSON line there and one back.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

import attr
import serial
from labgrid import target_factory
from labgrid.driver import Driver
from labgrid.driver.consoleexpectmixin import ConsoleExpectMixin
from labgrid.driver.exception import ExecutionError
from labgrid.protocol import ConsoleProtocol, PowerProtocol, ResetProtocol
from labgrid.resource import Resource
from labgrid.step import step
from pexpect import TIMEOUT

ANSWER = 60.0  # seconds until a board that does not answer is an error
_TEXT = attr.validators.instance_of(str)


@target_factory.reg_resource
@attr.s(eq=False)
class VirtualBoardPort(Resource):  # type: ignore[misc]
    """`control`: the board's control socket. `console`: its port, a URL or a device that pyserial opens. `speed`: of its prompt."""

    control: str = attr.ib(validator=_TEXT)
    console: str = attr.ib(default="", validator=_TEXT)
    speed: int = attr.ib(default=115200, validator=attr.validators.instance_of(int))


def ask(control: str, command: str, **arguments: Any) -> Any:
    """One command on the control socket. Raises ExecutionError with the board's sentence."""
    # By a descriptor of the folder: the name of a socket has at most 107 bytes.
    try:
        folder = os.open(os.path.dirname(control), os.O_RDONLY | os.O_DIRECTORY)  # noqa: PTH120
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(ANSWER)
                line.connect(f"/proc/self/fd/{folder}/{os.path.basename(control)}")  # noqa: PTH119
                line.sendall(json.dumps({"do": command, **arguments}).encode() + b"\n")
                said = line.makefile("rb").readline()
        finally:
            os.close(folder)
    except OSError as error:
        raise ExecutionError(f"no virtual board answers at {control}: {error}") from error
    answer = json.loads(said) if said else {"ok": False, "message": f"the virtual board at {control} has ended"}
    if not answer["ok"]:
        raise ExecutionError(answer["message"])
    return answer["result"]


@target_factory.reg_driver
@attr.s(eq=False)
class VirtualBoardPowerDriver(Driver, PowerProtocol, ResetProtocol):  # type: ignore[misc]
    """The plug and the reset line of a virtual board."""

    bindings = {"port": VirtualBoardPort}  # noqa: RUF012  as labgrid's own drivers

    @Driver.check_active
    @step()
    def on(self) -> None:
        ask(self.port.control, "power_on")

    @Driver.check_active
    @step()
    def off(self) -> None:
        ask(self.port.control, "power_off")

    @Driver.check_active
    @step()
    def cycle(self) -> None:
        self.off()
        self.on()

    @Driver.check_active
    @step(result=True)
    def get(self) -> bool:
        return bool(ask(self.port.control, "powered"))

    @Driver.check_active
    @step()
    def reset(self) -> None:
        ask(self.port.control, "reset")


@target_factory.reg_driver
@attr.s(eq=False)
class VirtualBoardConsoleDriver(ConsoleExpectMixin, Driver, ConsoleProtocol):  # type: ignore[misc]
    """The console of a virtual board. A port has one client: deactivate this driver before another program opens it."""

    bindings = {"port": VirtualBoardPort}  # noqa: RUF012
    txdelay: float = attr.ib(default=0.0, validator=attr.validators.instance_of(float))
    txchunk: int = attr.ib(default=1, validator=attr.validators.instance_of(int))

    def on_activate(self) -> None:
        self.open()

    def on_deactivate(self) -> None:
        self.close()

    def open(self) -> None:
        self.serial = serial.serial_for_url(self.port.console, baudrate=self.port.speed, timeout=0)

    def close(self) -> None:
        self.serial.close()

    def _read(self, size: int = 1, timeout: float = 0.0, max_size: int | None = None) -> bytes:
        """`size` or more bytes, at most `max_size`. Raises pexpect's TIMEOUT when none came in `timeout` seconds."""
        reading = max(size, self.serial.in_waiting)
        self.serial.timeout = timeout
        data = bytes(self.serial.read(min(reading, max_size) if max_size else reading))
        if not data:
            raise TIMEOUT(f"nothing came within {timeout:.2f} s")
        return data

    def _write(self, data: bytes) -> int:
        return self.serial.write(data) or 0
