"""The chip's UART and what it is wired to: a wire each way, the rates at their ends, the faults on them, the ports of the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from provisioning.virtual import slip
from provisioning.virtual.faults import Fault, WireFaults
from provisioning.virtual.sampling import matches, resample
from provisioning.virtual.spec import BoardSpec
from provisioning.virtual.uart_line import Turnaround, UartLine

DEFAULT_RATE = 115200  # after each reset
_UNSENT = 1 << 16  # bytes that an emulated chip, which never waits, may be ahead of its wire before the rest is lost
_FIFO = 128  # bytes that a chip has handed to its UART and that are still sent when it is reset
_PACKET = 64  # bytes of a full-speed USB packet
_LOG = 1 << 16  # bytes of what the chip said that are kept


class HostEndpoint(Protocol):
    """Where a host is connected."""

    @property
    def rate(self) -> int | None:
        """The host's rate, None when it cannot be known."""

    @property
    def lost(self) -> int:
        """Bytes that its client left unread until they did not fit."""

    def clear_lost(self) -> None: ...
    def deliver(self, data: bytes) -> None: ...
    def space(self) -> None: ...


class Uart:
    """`receive` gets what arrives at the chip; `event` is called with the name of a fault that is more than a damaged byte.

    `sees_rates=False`: the rate that the chip has set cannot be known, so bytes arrive whole at any rate of the host.
    """

    def __init__(self, spec: BoardSpec, receive: Callable[[bytes], None], event: Callable[[str], None], *, sees_rates: bool = True) -> None:
        self._receive = receive
        self._sees_rates = sees_rates
        self.log = bytearray()  # what the chip put on its wire lately
        self.turnaround = Turnaround(spec.latency_ms / 1000)
        self.to_board = UartLine(self._arrived, self.turnaround, spec.paced)
        self.to_host = UartLine(self._leave, self.turnaround, spec.paced)
        self.to_board.on_space = self._space
        self.faults_in = WireFaults(spec.seed, event)
        self.faults_out = WireFaults(spec.seed + 1, event)
        self.endpoints: list[HostEndpoint] = []
        self.stuck = False  # the chip neither reads nor sends
        self.rate = DEFAULT_RATE
        self._holds = False
        self._held = bytearray()  # full packets that no short one has followed

    def hold(self, on: bool) -> None:
        """Whether a USB device sends no empty packet after full ones: the host's driver waits then for what comes next."""
        self._holds = on
        self._held.clear()

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
        if not self._sees_rates:
            self.to_host.forget(_FIFO)
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

    def from_chip(self, data: bytes) -> int:
        """Bytes of a chip that cannot be held back; how many of them are lost, because it is too far ahead of its wire."""
        room = max(0, _UNSENT - self.to_host.backlog)
        self.to_host.send(data[:room])
        return max(0, len(data) - room)

    def _arrived(self, data: bytes) -> None:
        if self.faults_in.active:
            data = self.faults_in.apply(data)
        if self.stuck or not data:
            return
        self._receive(self._sampled(data, self.to_board.rate, self.rate))

    def _leave(self, data: bytes) -> None:
        if self.faults_out.active:
            data = self.faults_out.apply(data)
        if self.stuck or not data:
            return
        self.log += data
        del self.log[:-_LOG]
        if self._holds:
            self._held += data
            if len(self._held) % _PACKET == 0:
                return
            data = bytes(self._held)
            self._held.clear()
        for endpoint in self.endpoints:
            endpoint.deliver(self._sampled(data, self.to_host.rate, endpoint.rate))

    def _sampled(self, data: bytes, sender: int, receiver: int | None) -> bytes:
        """What a receiver at that rate makes of them."""
        if receiver is None or sender == receiver or not self._sees_rates or matches(sender, receiver):
            return data
        return resample(data, sender, receiver)

    # --- faults and counters --------------------------------------------------------------------------------------

    def inject(self, fault: Fault) -> bool:
        """Sets a fault on the wires; False for one that is to happen at once, which is its board's."""
        if fault.name in ("stuck", "reset", "cut") and fault.at is None:
            return False
        ways = {"in": [self.faults_in], "out": [self.faults_out], "": [self.faults_in, self.faults_out]}
        # An event happens once, by default while the host sends.
        for wire in ways[fault.way or ("in" if fault.at is not None or fault.name == "no-raw-paste" else "")]:
            wire.add(fault)
        return True

    def heal(self) -> None:
        """Takes the wires' faults back."""
        self.faults_in.clear()
        self.faults_out.clear()
        self.stuck = False
        self.hold(False)

    @property
    def unread(self) -> int:
        """Bytes that were lost because a client did not read them."""
        return sum(endpoint.lost for endpoint in self.endpoints)

    def clear_counters(self) -> None:
        for endpoint in self.endpoints:
            endpoint.clear_lost()
        self.turnaround.turns = 0
        self.to_board.carried = self.to_host.carried = 0

    def _space(self) -> None:
        for endpoint in self.endpoints:
            endpoint.space()
