"""The jobs on a network: QEMU's emulated Wi-Fi, the stand-in cloud on this computer, and what goes wrong with either endpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from provisioning.errors import BoardError, StationError
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.standin import StandIn
from tests.silicon import peers
from tests.silicon.basics import one
from tests.silicon.product import DEVICE, RETURN_AFTER, Products
from tests.silicon.rig import Ran, Rig, RowFailedError, Took

_OFFLINE = 300.0  # s: docs/device.md, never longer offline while a permitted route works
_HOME = RETURN_AFTER + 120.0  # s: the preferred route is tried again, and both handshakes
_FIRST = 120.0  # s for the first message of a board that is well
_IN_2068 = datetime(2068, 6, 1, tzinfo=timezone.utc)
# The reconnect loop of docs/device.md.
_APP = """import twinroot,utime
def run():
 while 1:
  try:
   c=twinroot.mqtt()
   while 1:
    c.publish('silicon',b'up',qos=1)
    utime.sleep(1)
    c.ping()
  except OSError as e:print(utime.ticks_ms(),repr(e))
run()
"""
# One attempt: [route] or [class, kind, text] of an OSError; anything else is a traceback.
_ATTEMPT = """import twinroot
def attempt():
 try:
  k=twinroot.connect(wait=False)
  k.close()
  return [k.route]
 except OSError as e:return [type(e).__name__,getattr(e,'kind',None),str(e)]
"""
_ATTEMPT_LIMIT = 180.0  # s, as `verify --connect` has it


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


def _cloud_of(products: Products) -> StandIn:
    assert products.cloud is not None  # rows that need Wi-Fi are skipped without one
    return products.cloud


def _legacy_first(rig: Rig, products: Products) -> None:
    """A board in the field: its set prefers the legacy endpoint, whose root is distrusted, and its application publishes."""
    rig.start("blank")
    rig.twinroot("update", products.legacy_first, "--device", DEVICE).must()
    peers.put(rig, products.boot)
    peers.write(rig, "main.py", _APP)


def silence(rig: Rig, products: Products) -> Took:
    """An application publishes over legacy, which is switched off, and repaired later. Seconds from that to the first message over ats.

    A chip that panics restarts, and its application with it, as in the field: what it remembers counts.
    """
    cloud = _cloud_of(products)
    for route in ("ats", "legacy"):
        cloud.scenario(route, "ok")
    seen = len(cloud.messages())
    rig.start("legacy-first", lambda on: _legacy_first(on, products), prompt=False)
    _heard(rig, cloud, "legacy", seen, _FIRST)
    began = time.perf_counter()
    seen = len(cloud.messages())
    cloud.scenario("legacy", "refuse")
    _heard(rig, cloud, "ats", seen, _OFFLINE)
    away = time.perf_counter() - began
    began = time.perf_counter()
    seen = len(cloud.messages())
    cloud.scenario("legacy", "ok")
    _heard(rig, cloud, "legacy", seen, _HOME)
    back = f"repaired: home after {time.perf_counter() - began:.0f} s, with `return_after: {RETURN_AFTER}`"
    panics = rig.panics()
    return Took(away, back + (f"; the chip panicked {panics} times meanwhile" if panics else ""))


def liars(rig: Rig, products: Products) -> Took:
    """A time server that says 2068, then endpoints of a CA with a Chinese name: an error of ours each; then connected, in one session."""
    cloud = _cloud_of(products)
    rig.start("networked", lambda on: networked(on, products))
    began = time.perf_counter()
    told = []
    try:
        with _prompt(rig) as repl:
            repl.run(_ATTEMPT)
            for kind, offset, scenario in (
                ("clock", _IN_2068.timestamp() - time.time(), "ok"),
                ("trust", 0.0, "cjk-root"),
                (None, 0.0, "ok"),
            ):
                cloud.clock(offset)
                for route in ("ats", "legacy"):
                    cloud.scenario(route, scenario)
                found = repl.value("attempt()", _ATTEMPT_LIMIT)
                if (found[1:2] or [None])[0] != kind:
                    raise RowFailedError(f"time offset {offset:.0f} s, endpoints {scenario}: {found}, expected {kind or 'a connection'}")
                told.append(found[0])
    except BoardError as error:
        raise RowFailedError(f"{error.message} (after {told})") from error
    finally:
        cloud.clock(0.0)
        for route in ("ats", "legacy"):
            cloud.scenario(route, "ok")
    return Took(time.perf_counter() - began, ", ".join(told))


@contextmanager
def _prompt(rig: Rig) -> Iterator[RawRepl]:
    """The board's raw prompt, boot.py done."""
    with open_port(rig.board.pty) as wire:
        repl = RawRepl(wire)
        repl.enter()
        yield repl


def _heard(rig: Rig, cloud: StandIn, route: str, after: int, limit: float) -> Any:
    """Returns with the first message over `route`. Raises RowFailedError after `limit` seconds."""
    try:
        return cloud.wait_message(route=route, after=after, timeout=limit)
    except StationError as error:
        tried = [f"{event['route']} {event['outcome']}" for event in cloud.connections()[-4:]]
        raise RowFailedError(f"no message over {route} within {limit:g} s; connections: {tried}") from error
