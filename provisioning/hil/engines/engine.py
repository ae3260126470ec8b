"""What an engine is to a test: hardware with a port, and what it can do beside that."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from provisioning.errors import StationError

POWER, CUT, IMAGE, COUNTERS, FAULTS = "power", "cut", "image", "counters", "faults"  # words of Hardware.can


class Unsupported(StationError):
    """The engine cannot do this; in a test it is a skip with this sentence."""


class FlashOps(NamedTuple):
    """Operations since the board's power came on first: reads, programs (pages), erases (blocks)."""

    reads: int
    programs: int
    erases: int


class Hardware:
    """One board, as its engine drives it. An engine overrides what it can, and names it in `can`."""

    engine = ""
    real = True
    can: frozenset[str] = frozenset()
    instant = False  # whether `fresh` alone gives the known state, files and all, in a moment

    def __init__(self, port: str, number: int = 0) -> None:
        self.port = port
        self.number = number

    @property
    def loader_port(self) -> str:
        """The port through which DTR and RTS reach the chip's reset lines, for what needs its ROM loader."""
        return self.port

    def facts(self) -> dict[str, Any]:
        """What is known without asking the board: mac, chip, board where the engine knows them."""
        return {}

    def wifi(self) -> bool | None:
        """Whether the board has a network that reaches this computer; None where only the options tell."""
        return None

    def fresh(self) -> None:
        """To a known state, as far as the hardware does that: power cycled, faults gone. Nothing where only the prompt can."""

    def reset(self, cause: str) -> bool:
        """A reset of the chip: "hard" is its EN pin. False where only the port's control lines can."""
        return False

    def power_off(self) -> None:
        raise self.unsupported("switch a board's power")

    def power_on(self) -> None:
        raise self.unsupported("switch a board's power")

    def cut(self, operations: int, seed: int) -> None:
        raise self.unsupported("cut the power at a flash operation")

    def wait_off(self, seconds: float) -> bool:
        raise self.unsupported("tell whether the power is off")

    def snapshot(self, name: str) -> None:
        raise self.unsupported("copy a flash image")

    def restore(self, name: str) -> None:
        raise self.unsupported("copy a flash image")

    def flash_ops(self) -> FlashOps | None:
        return None

    def inject(self, fault: str) -> None:
        raise self.unsupported("inject faults")

    def chip_log(self) -> str:
        """What the engine itself has of the chip's output, empty where only the port has it."""
        return ""

    def close(self) -> None:
        """Gives the board back."""

    def unsupported(self, what: str) -> Unsupported:
        return Unsupported("hil-unsupported", f"The engine {self.engine} cannot {what}.", "Run the test with --engine virtual.")


class Engine(Protocol):
    """`count`: how many boards there are; None for as many as are asked for."""

    count: int | None

    def open(self, number: int) -> Hardware:
        """Board `number` from 0 on. Raises TwinrootError."""

    def close(self) -> None:
        """After the boards are closed."""
