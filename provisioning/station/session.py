"""One run of the screen: the hub, the watcher and the ledger's answers behind it, and what is said when it is over."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from textual.message import Message

from provisioning.errors import StationError
from provisioning.job.station import FlashJob, Ready
from provisioning.job.workers import FORKED
from provisioning.station.engine import Engine, Settings
from provisioning.station.hub import Flashing, Hub
from provisioning.station.labels import Labels
from provisioning.station.screen.app import Left, Looked, Said, StationApp
from provisioning.station.sockets import Bound, Unbound
from provisioning.station.watcher import Watcher


class Threads:
    """What feeds the application: started by it, ended by close()."""

    def __init__(self, hub: Hub, watcher: Callable[[Callable[[Message], object]], Watcher], ledger: str | None) -> None:
        self._hub = hub
        self._make = watcher
        self._ledger = ledger
        self._watcher: Watcher | None = None

    def start(self, post: Callable[[Message], object]) -> None:
        self._hub.listen(lambda event: post(Said(event)), lambda: post(Left()))
        self._watcher = self._make(post)
        self._watcher.__enter__()

    def bound(self, device: str) -> str | None:
        from provisioning.ledger import claims
        from provisioning.ledger.store import Ledger

        with Ledger.open(self._ledger) as ledger:
            found = ledger.read(lambda connection: claims.board_of(connection, device))
        # A board that did not pass yet may be tried again with its label: that it is the same board, the claim sees.
        return f"it passed on {found.began[:10]} as the board {found.mac}." if found is not None and found.outcome == "pass" else None

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.__exit__()


def run(job: FlashJob, ready: Ready, sockets: Bound | Unbound, settings: Settings, clock: Callable[[], float]) -> Engine:
    """The screen, until a person leaves it; every board was left in order then. Raises StationError where the screen itself failed."""
    plan, devices = ready
    product = plan.product
    labels = Labels(product.scan, devices) if product.scan else None
    with Hub(Flashing(job, ready if FORKED else None)) as hub:
        engine = Engine(sockets, hub, settings, labels, clock)
        threads = Threads(hub, lambda post: Watcher(lambda ports: post(Looked(ports)), sockets.ports, product.board.usb_ids), job.ledger)
        app = StationApp(engine, threads, product.name, clock)
        try:
            with _signals(app):
                app.run()
        finally:
            threads.close()
    if app.failure is not None:
        raise StationError(
            "internal-error", f"The screen failed: {type(app.failure).__name__}: {app.failure}.", "Report this; --plain goes without it."
        ) from app.failure
    return engine


@contextmanager
def _signals(app: StationApp) -> Iterator[None]:
    """A signal that asks for an end (kill, a terminal that is closed) is as a control-C at the keyboard."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        app.call_later(app.leave)

    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else [])]
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
