"""The rows of the matrix, as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.silicon import peers
from tests.silicon.air import air
from tests.silicon.application import by_cable, crashes, over_the_air
from tests.silicon.basics import another, rollback, unchanged, update, verify
from tests.silicon.cuts import crash, cuts
from tests.silicon.held import REACHED, RESCUED, reach, rescue
from tests.silicon.loader import flash
from tests.silicon.network import connect, failover, home, liars, silence
from tests.silicon.own_tests import own_tests
from tests.silicon.product import Products
from tests.silicon.rig import Rig, Took
from tests.silicon.slots import steps

Job = Callable[[Rig, Products], Took]
Peer = Callable[[Rig, Products], float]  # seconds of another tool


@dataclass(frozen=True)
class Row:
    """`peer`: which of the peers' times stands beside it."""

    title: str
    job: Job
    peer: Peer | None = peers.copy
    needs_wifi: bool = False


ROWS = {
    "update": Row("update, first", update),
    "unchanged": Row("update, nothing changed", unchanged, peers.copy_again),
    "verify": Row("verify", verify),
    "another": Row("update, another root", another),
    "rollback": Row("rollback", rollback),
    "connect": Row("verify --connect", connect, needs_wifi=True),
    "failover": Row("the same, the preferred root dead", failover, needs_wifi=True),
    "home": Row("the same, repaired", home, needs_wifi=True),
    "silence": Row("legacy first, its endpoint closed: online over ats", silence, None, needs_wifi=True),
    "liars": Row("a time of 2068, a CA with a Chinese name: an error, then connected", liars, None, needs_wifi=True),
    "crash": Row("update, the chip reset in mid-transfer", crash),
    "cuts": Row("20 power cuts in updates, seconds of all", cuts, None),
    **{f"reach-{name}": Row(f"update, held by {name}", reach(name), None) for name in REACHED},
    **{f"rescue-{name}": Row(f"rescue, held by {name}", rescue(name), None) for name in RESCUED},
    "slots": Row("two slots: 22 steps of set_boot, mark valid, resets, damage", steps, None),
    "air": Row("firmware over the air, and back", air, None, needs_wifi=True),
    "application": Row("an application in the set: by cable, over the air, back", over_the_air, None),
    "application-crashes": Row("one over the air that crashes: rolled back, refused", crashes, None),
    "application-cable": Row("with and without one by cable, rescue, update", by_cable, None),
    "tests": Row("the ten tests of init --tests", own_tests, None),
    "flash": Row("flash, blank chip to PASS", flash, None),
}
