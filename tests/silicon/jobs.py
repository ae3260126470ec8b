"""The rows of the matrix: each starts from a state of its own, raises RowFailedError, and returns what it took and what it saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.silicon import peers
from tests.silicon.cuts import crash, cuts
from tests.silicon.loader import flash
from tests.silicon.product import DEVICE, Products
from tests.silicon.rig import Ran, Rig, RowFailedError


@dataclass(frozen=True)
class Took:
    """`seconds` of the job alone."""

    seconds: float
    detail: str = ""


Job = Callable[[Rig, Products], Took]


def one(rig: Rig, products: Products) -> Ran:
    """The first update, which makes the state "one"."""
    return rig.twinroot("update", products.one, "--device", DEVICE).must()


def two(rig: Rig, products: Products) -> Ran:
    """From one root to another, which makes the state "two"."""
    rig.start("one", lambda on: one(on, products))
    return rig.twinroot("update", products.two, "--device", DEVICE).must()


def update(rig: Rig, products: Products) -> Took:
    rig.start("blank")
    done = one(rig, products)
    rig.keep("one")
    wire = done.report["wire"]
    return Took(
        done.seconds, f"{len(done.report['written'])} files, {wire['sent']} bytes, {wire['turns']} turns, {done.report['transport']}"
    )


def unchanged(rig: Rig, products: Products) -> Took:
    rig.start("one", lambda on: one(on, products))
    done = rig.twinroot("update", products.one, "--device", DEVICE).must("unchanged", written=[])
    return Took(done.seconds)


def verify(rig: Rig, products: Products) -> Took:
    rig.start("one", lambda on: one(on, products))
    return Took(rig.twinroot("verify", products.one, "--device", DEVICE).must().seconds)


def another(rig: Rig, products: Products) -> Took:
    done = two(rig, products)
    rig.keep("two")
    return Took(done.seconds, f"{len(done.report['written'])} files")


def rollback(rig: Rig, products: Products) -> Took:
    rig.start("two", lambda on: two(on, products))
    done = rig.twinroot("rollback").must(generation=1)
    rig.twinroot("verify", products.one, "--device", DEVICE).must()
    return Took(done.seconds)


def networked(rig: Rig, products: Products) -> None:
    """The user's boot.py joins the network of the set, which makes the state "networked"."""
    rig.start("one", lambda on: one(on, products))
    peers.put(rig, products.boot)


def connect(rig: Rig, products: Products) -> Took:
    rig.start("networked", lambda on: networked(on, products))
    _cloud(products, "ok")
    done = _over(rig, products, "ats")
    rig.keep("home")
    return Took(done.seconds, f"anchored by {done.report['selftest']['connect']['root']}")


def failover(rig: Rig, products: Products) -> Took:
    rig.start("home", lambda on: connect(on, products))
    _cloud(products, "wrong-root")
    done = _over(rig, products, "legacy")
    rig.keep("away")
    return Took(done.seconds, f"anchored by {done.report['selftest']['connect']['root']}")


def home(rig: Rig, products: Products) -> Took:
    rig.start("away", lambda on: failover(on, products))
    _cloud(products, "ok")
    return Took(_over(rig, products, "ats").seconds)


def _cloud(products: Products, scenario: str) -> None:
    if products.cloud is not None:
        products.cloud.scenario("ats", scenario)


def _over(rig: Rig, products: Products, route: str) -> Ran:
    done = rig.twinroot("verify", products.one, "--device", DEVICE, "--connect").must()
    told = done.report["selftest"]["connect"]
    if told["route"] != route:
        raise RowFailedError(f"connected over {told['route']}, not over {route}: {told}")
    return done


@dataclass(frozen=True)
class Row:
    """`peer`: which of the peers' times stands beside it."""

    title: str
    job: Job
    peer: Callable[[Rig, Products], float] | None = peers.copy
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
    "crash": Row("update, the chip reset in mid-transfer", lambda rig, products: Took(*crash(rig, products))),
    "cuts": Row("20 power cuts in updates, seconds of all", lambda rig, products: Took(*cuts(rig, products)), None),
    "flash": Row("flash, blank chip to PASS", lambda rig, products: Took(*flash(rig, products)), None),
}
