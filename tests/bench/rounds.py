"""Every round measures each job and each tool once on the same board, so that what else this computer does meets all alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import send
from tests.bench.board import HOME_RATE, Board, Cost
from tests.bench.jobs import JOBS
from tests.bench.payload import reference, written_to
from tests.bench.peers import PEERS, Peer
from tests.bench.product import Products

RAISED = 921600
RATES = (HOME_RATE, RAISED, 2000000)
TREE, MODULES, SIX = "example product", "example product, modules as files", "six files"
AGAIN = ", nothing changed"


@dataclass(frozen=True)
class Key:
    """What was measured: a job or a tool, on which files, at which rate."""

    what: str
    files: str
    rate: int


class Rounds:
    """`costs[key]`: one cost for each round."""

    def __init__(self, on: Board, products: Products, six: list[str], peers: tuple[Peer, ...] = PEERS) -> None:
        self.costs: dict[Key, list[Cost]] = {}
        self._on = on
        self._products = products
        self._six = six
        self._peers = peers
        for job in JOBS:  # uncounted: fills the caches of both sides and makes the states
            job.run(on, products, RAISED)
        self._send(RAISED)

    def round(self) -> None:
        for job in JOBS:
            for rate in RATES if job.on_wire else (RAISED,):
                self._add(Key(job.name, TREE, rate), job.run(self._on, self._products, rate))
        for rate in RATES:
            self._add(Key("transfer", SIX, rate), self._send(rate))
        for peer in self._peers:
            for rate in peer.rates:
                for name, files in ((TREE, self._products.files), (SIX, self._six)):
                    if name == SIX or peer.folders:
                        self._copy(peer, name, files, rate)
            if peer.folders:
                self._add(Key(peer.name, MODULES, HOME_RATE), peer.copy(self._on, self._products.modules, HOME_RATE))

    def _copy(self, peer: Peer, name: str, files: list[str], rate: int) -> None:
        self._add(Key(peer.name, name, rate), peer.copy(self._on, files, rate))
        if peer.skips:
            self._add(Key(peer.name + AGAIN, name, rate), peer.again(self._on, files, rate))

    def _send(self, rate: int) -> Cost:
        self._on.start("blank")
        return self._on.measured(lambda: send.process_of(self._on.port, rate))

    def _add(self, key: Key, cost: Cost) -> None:
        self.costs.setdefault(key, []).append(cost)

    def seconds(self, what: str, files: str, rate: int) -> list[float]:
        return [cost.seconds for cost in self.costs[Key(what, files, rate)]]

    def best_rate(self, what: str, files: str) -> int:
        """The rate at which `what` is fastest."""
        rates = [key.rate for key in self.costs if (key.what, key.files) == (what, files)]
        return min(rates, key=lambda rate: median(self.seconds(what, files, rate)))


def six_files(place: Path) -> list[str]:
    """The reference payload on disk."""
    place.mkdir()
    return [str(path) for path in written_to(reference(), place)]
