"""The boards in a station's slots, and the technician who changes them."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from provisioning.virtual import VirtualBoard
from tests.soak.faults import FAULTS, LASTING

TRIES = 4  # then a board is put aside
_MENDED = 2  # failures after which cable and supply are changed for others


@dataclass
class Unit:
    """One board on its way."""

    number: int
    board: VirtualBoard
    fault: str  # "" for most
    failures: list[str] = field(default_factory=list)  # what the station said each time


@dataclass
class Bench:
    """`slots` boards at a time of `boards` in all; every `every`-th has a fault, the kinds in turn."""

    slots: int
    boards: int
    every: int
    by: random.Random
    say: Callable[[str], None]
    units: list[Unit] = field(default_factory=list)
    passed: dict[str, str] = field(default_factory=dict)  # MAC -> its fault
    aside: dict[str, str] = field(default_factory=dict)
    started: int = 0
    ports: list[int] = field(default_factory=list)  # TCP ports of slots that are free

    def fill(self) -> None:
        """A new board in each free slot, as long as there are any; each slot keeps its port."""
        count = min(self.slots - len(self.units), self.boards - self.started)
        numbers = range(self.started, self.started + count)
        self.started += count
        free = [self.ports.pop() if self.ports else 0 for _ in numbers]
        with ThreadPoolExecutor(4) as pool:
            self.units += pool.map(self._new, numbers, free)

    def _new(self, number: int, port: int) -> Unit:
        faulty = number % self.every == self.every - 1
        kind = list(FAULTS)[number // self.every % len(FAULTS)] if faulty else ""
        fault = FAULTS[kind](random.Random(number)) if faulty else ""
        # A file system that is full is on a board that has one: firmware is there already.
        board = VirtualBoard(paced=False, blank=kind != "full", seed=number + 1, port=port).start()
        if fault:
            board.call("inject", fault=fault)
        return Unit(number, board, fault)

    @property
    def done(self) -> int:
        return len(self.passed) + len(self.aside)

    def ended(self, said: dict[str, str]) -> None:
        """What the station said of each port, by its last word: boards that passed leave, others are looked after."""
        for unit in list(self.units):
            word = said.get(unit.board.port)
            if word is None:
                continue  # not reached in this round
            if word.startswith("PASS"):
                self._leave(unit, self.passed)
                continue
            unit.failures.append(word)
            if len(unit.failures) >= TRIES:
                self.say(f"board {unit.number} ({unit.fault or 'no fault'}) put aside: {unit.failures[-1]}")
                self._leave(unit, self.aside)
                continue
            if len(unit.failures) >= _MENDED and unit.fault.partition("=")[0] not in LASTING:
                unit.board.call("heal")
            unit.board.power_off()
            unit.board.power_on()

    def _leave(self, unit: Unit, where: dict[str, str]) -> None:
        where[unit.board.mac] = unit.fault
        self.units.remove(unit)
        self.ports.append(int(unit.board.port.rpartition(":")[2].partition("?")[0]))
        unit.board.close()

    def close(self) -> None:
        for unit in self.units:
            unit.board.close()
