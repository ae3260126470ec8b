"""The chip's UART and what it is wired to: a wire each way, the rates at their ends, the faults on them, the ports of the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from provisioning.virtual.faults import WireFaults
from provisioning.virtual.rom import slip
from provisioning.virtual.sampling import matches, resample
from provisioning.virtual.spec import BoardSpec
from provisioning.virtual.wire import Turnaround, Wire

DEFAULT_RATE = 115200  # after each reset


class Endpoint(Protocol):
    """Where a host is connected."""

    @property
    def rate(self) -> int | None:
        """The host's rate, None when it cannot be known."""

    def deliver(self, data: bytes) -> None: ...
    def space(self) -> None: ...


class Uart:
    """`receive` gets what arrives at the chip; `event` is called with the name of a fault that is more than a damaged byte."""

    def __init__(self, spec: BoardSpec, receive: Callable[[bytes], None], event: Callable[[str], None]) -> None:
        self._receive = receive
        self.turnaround = Turnaround(spec.latency_ms / 1000)
        self.to_board = Wire(self._arrived, self.turnaround, spec.paced)
        self.to_host = Wire(self._leave, self.turnaround, spec.paced)
        self.to_board.on_space = self._space
        self.faults_in = WireFaults(spec.seed, event)
        self.faults_out = WireFaults(spec.seed + 1, event)
        self.endpoints: list[Endpoint] = []
        self.stuck = False  # the chip neither reads nor sends
        self.rate = DEFAULT_RATE

    def set_rate(self, rate: int) -> None:
        """The chip's own rate, at once."""
        self.rate = self.to_host.rate = rate

    def when_sent(self, step: Callable[[], None]) -> None:
        """Calls `step` when everything before it is sent: at once, or later unless there is a reset before."""

        def idle() -> None:
            self.to_host.on_idle = None
            step()

        if self.to_host.backlog:
            self.to_host.on_idle = idle
        else:
            step()

    def reset(self) -> None:
        """The chip begins anew: what it had not received is lost, what it had sent is on its way."""
        self.stuck = False
        self.to_host.on_idle = None
        self.to_board.clear()
        self.set_rate(DEFAULT_RATE)

    def power_off(self) -> None:
        """Both lines are dead."""
        self.to_host.on_idle = None
        self.to_board.clear()
        self.to_host.clear()

    def from_host(self, data: bytes, rate: int, frames: bool) -> None:
        """Bytes that a host put on the wire. `frames`: whoever receives them wants whole SLIP frames."""
        self.to_board.rate = rate
        # A fault at a byte happens when that byte is through.
        self.to_board.frame_end = slip.FRAME_END if frames and not self.faults_in.active else None
        self.to_board.send(data)

    def _arrived(self, data: bytes) -> None:
        if self.faults_in.active:
            data = self.faults_in.apply(data)
        if self.stuck or not data:
            return
        if self.to_board.rate != self.rate and not matches(self.to_board.rate, self.rate):
            data = resample(data, self.to_board.rate, self.rate)
        self._receive(data)

    def _leave(self, data: bytes) -> None:
        if self.faults_out.active:
            data = self.faults_out.apply(data)
        if self.stuck or not data:
            return
        for endpoint in self.endpoints:
            rate = endpoint.rate
            same = rate is None or rate == self.to_host.rate or matches(self.to_host.rate, rate)
            endpoint.deliver(data if same else resample(data, self.to_host.rate, rate or self.to_host.rate))

    def _space(self) -> None:
        for endpoint in self.endpoints:
            endpoint.space()
