"""The jobs that need no network: each starts from a state of its own, raises RowFailedError, and returns what it took and what it saw."""

from __future__ import annotations

from tests.silicon.product import DEVICE, Products
from tests.silicon.rig import Ran, Rig, Took


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
        done.seconds,
        f"{len(done.report['written'])} files, {wire['sent']} bytes, {wire['turns']} direction changes, {done.report['transport']}",
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
