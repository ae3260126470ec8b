"""What is wanted, beside what was measured: as a table, and whether all of it holds. Ratios are of the same round."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.board import HOME_RATE
from tests.bench.rounds import AGAIN, MODULES, RAISED, SIX, TREE, Key, Rounds
from tests.bench.tables import target


@dataclass(frozen=True)
class Ratio:
    """How many times as fast `ours` is as `theirs`; `rate` None: each at its best. Without `wanted` it is told only."""

    ours: str
    theirs: str
    files: str
    rate: int | None
    wanted: float | None = None
    copied: str = ""  # where the peer's files are others


# Seconds of the whole command on the example product, at RAISED.
SECONDS = {"first update": 1.3, "update, nothing changed": 0.45}
RATIOS = (
    Ratio("first update", "mpremote cp", TREE, HOME_RATE, 4.0),
    Ratio("first update", "mpytool cp", TREE, HOME_RATE, 2.5),
    Ratio("first update", "mpytool cp", TREE, None, 2.0),
    Ratio("first update", "mpremote cp", TREE, HOME_RATE, copied=MODULES),
    Ratio("first update", "mpytool cp", TREE, HOME_RATE, copied=MODULES),
    Ratio("update, nothing changed", "mpremote cp" + AGAIN, TREE, HOME_RATE),
    Ratio("update, nothing changed", "mpytool cp" + AGAIN, TREE, HOME_RATE),
    Ratio("update, nothing changed", "mpytool cp" + AGAIN, TREE, None),
    Ratio("transfer", "mpremote cp", SIX, HOME_RATE),
    Ratio("transfer", "mpytool cp", SIX, HOME_RATE),
    Ratio("transfer", "mpytool cp", SIX, None),
    Ratio("transfer", "ampy put", SIX, HOME_RATE),
)


def rows(found: Rounds) -> tuple[list[list[str]], bool]:
    """The table's rows, and whether every target holds."""
    made = [target(f"{name}, {RAISED}, s", found.seconds(name, TREE, RAISED), limit) for name, limit in SECONDS.items()]
    for ratio in RATIOS:
        if any(key.what == ratio.theirs for key in found.costs):
            made.append(_ratio(found, ratio))
    return [row for row, _ in made], all(ok for _, ok in made)


def _ratio(found: Rounds, ratio: Ratio) -> tuple[list[str], bool]:
    copied = ratio.copied or ratio.files
    ours, theirs = (ratio.rate or found.best_rate(what, files) for what, files in ((ratio.ours, ratio.files), (ratio.theirs, copied)))
    mine, other = found.costs[Key(ratio.ours, ratio.files, ours)], found.costs[Key(ratio.theirs, copied, theirs)]
    values = [peer.seconds / own.seconds for own, peer in zip(mine, other, strict=True)]
    rates = f"{ours}" if ours == theirs else f"{ours} against {theirs}"
    return target(f"{ratio.ours}: times as fast as {ratio.theirs}, {copied}, {rates}", values, ratio.wanted, at_least=True)
