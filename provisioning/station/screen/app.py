"""The application: panels of all slots, what the shift has done, and one line that says what comes next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import ClassVar, Protocol

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Grid
from textual.message import Message
from textual.widgets import Static

from provisioning.errors import InputError, TwinrootError
from provisioning.station.advice import advice
from provisioning.station.engine import Engine
from provisioning.station.hub import WorkerEvent
from provisioning.station.screen import keys
from provisioning.station.screen.details import Details
from provisioning.station.screen.grid import columns
from provisioning.station.screen.panel import Panel
from provisioning.station.screen.settings import SettingsPage
from provisioning.station.screen.status import counted, helped
from provisioning.station.slot import Slot
from provisioning.station.sockets import Plugged
from provisioning.untrusted_text import one_line

_LINES = 4  # of the screen that are not the panels
_LAZY = 0.5  # seconds between two drawings of progress; a change of state is drawn at once


class Source(Protocol):
    """Where the application learns what happens: started with it, in threads that post to it."""

    def start(self, post: Callable[[Message], object]) -> None: ...

    def bound(self, device: str) -> str | None:
        """Why the ledger has the device as used up; None where it is free. May take long, and raise a TwinrootError."""


class Said(Message):
    """A worker said something."""

    def __init__(self, event: WorkerEvent) -> None:
        super().__init__()
        self.event = event


class Looked(Message):
    """What is plugged in."""

    def __init__(self, ports: list[Plugged]) -> None:
        super().__init__()
        self.ports = ports


class Left(Message):
    """No worker is there any more, and none will be."""


class StationApp(App[None]):
    """`source`: what feeds it. `title`: the product."""

    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "station.tcss"
    # No bindings: every key goes through on_key, since a scanner is a keyboard, too.
    BINDINGS: ClassVar[list[Binding | tuple[str, str] | tuple[str, str, str]]] = []

    def __init__(self, engine: Engine, source: Source, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.engine = engine
        self.code = ""  # what the scanner, or a person, has typed so far
        self.failure: BaseException | None = None
        self._source = source
        self._product = title
        self._clock = clock
        self._panels = {name: Panel(slot) for name, slot in engine.slots.items()}
        # Held here rather than looked up: a timer may come while the screen is being taken down.
        self._grid = Grid(*self._panels.values(), id="slots")
        self._lines_of = {name: Static(id=name, markup=False) for name in ("counts", "keys", "advice")}
        self._written: dict[str, str] = {}
        self._stale: set[str] = set()
        self._message = ""  # what a scan was refused for, until something else happens
        self._asked = False  # whether a person was asked if boards are to be stopped

    # --- what is on the screen ------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield self._lines_of["counts"]
        yield self._grid
        yield self._lines_of["keys"]
        yield self._lines_of["advice"]

    def on_mount(self) -> None:
        self.engine.changed = self._changed
        self._arrange()
        for name, panel in self._panels.items():
            panel.show(name == self.engine.chosen)
        self._lines()
        self.set_interval(_LAZY, self._refresh)
        self._source.start(self.post_message)

    def on_resize(self) -> None:
        self._arrange()

    def _arrange(self) -> None:
        width, height = self.size
        self._grid.styles.grid_size_columns = columns(len(self._panels), width, height - _LINES)

    def _changed(self, slot: Slot) -> None:
        """A change of the word is on the screen at once, progress twice a second."""
        panel = self._panels[slot.name]
        if slot.state is panel.drawn and not self._is_news(slot):
            self._stale.add(slot.name)
            return
        panel.show(slot.name == self.engine.chosen)
        self._asked = self._asked and bool(self.engine.busy)
        self._lines()

    def _is_news(self, slot: Slot) -> bool:
        """Whether what is new is more than progress: who the board is, or that it was chosen."""
        panel = self._panels[slot.name]
        known = (slot.shown_mac, slot.shown_device, slot.name == self.engine.chosen, slot.progress.step)
        fresh, panel.known = known != panel.known, known
        return fresh

    def _refresh(self) -> None:
        for name in self._stale:
            self._panels[name].show(name == self.engine.chosen)
        self._stale.clear()
        self._lines()

    def _lines(self) -> None:
        self._write("counts", counted(self.engine, self._product, self._clock()))
        self._write("keys", helped(self.engine, self.code))
        self._write("advice", self._message or advice(self.engine))
        self._lines_of["advice"].set_class(bool(self._message), "refused")

    def _write(self, name: str, text: str) -> None:
        if self._written.get(name) != text:
            self._written[name] = text
            self._lines_of[name].update(one_line(text))

    # --- what happens ---------------------------------------------------------------------------------------------

    def on_said(self, message: Said) -> None:
        self.engine.said(message.event.slot, message.event.what)

    def on_looked(self, message: Looked) -> None:
        self.engine.plugged(message.ports)

    def on_left(self) -> None:
        self.exit()

    def on_key(self, event: events.Key) -> None:
        event.prevent_default()
        event.stop()
        action, self.code = keys.read(event.key, event.character, self.code, self.engine.scans)
        if action:
            self.do(action)
        self._lines()

    def action_help_quit(self) -> None:
        self.leave()  # Textual's own way to say what control-C does

    async def action_quit(self) -> None:
        self.leave()

    def do(self, action: str) -> None:
        """What a key of `keys` means; also for a page that stands in front, where only leaving reaches the station."""
        word, _, rest = action.partition(" ")
        self._message = ""
        actions: dict[str, Callable[[], object]] = {
            "retry": lambda: self.engine.retry(self.engine.chosen),
            "next": lambda: self.engine.exchanged(self.engine.chosen),
            "why": lambda: self.push_screen(Details(self.engine, self.do)),
            "settings": lambda: self.push_screen(SettingsPage(self.engine.settings, self.do)),
            "choose": lambda: self._choose(rest),
            "back": self._back,
            "quit": self._ask_and_leave,
            "stop": self.leave,
            "scan": lambda: self._scan(rest),
        }
        actions[word]()

    def _choose(self, way: str) -> None:
        names = list(self.engine.slots)
        if way in names:
            self.engine.choose(way)
            return
        across = self._grid.styles.grid_size_columns or 1
        step = {"left": -1, "right": 1, "up": -across, "down": across}.get(way)
        if step is None:
            self._message = f"There is no slot {way}."
            return
        at = names.index(self.engine.chosen) + step if self.engine.chosen else 0
        self.engine.choose(names[at % len(names)])

    def _back(self) -> None:
        self._asked = False
        self.engine.put_back()

    def _ask_and_leave(self) -> None:
        if self.engine.busy and not self._asked:
            self._asked = True
            self._message = f"{len(self.engine.busy)} boards are at work: once more stops them, Escape goes on."
            return
        self.leave()

    def leave(self) -> None:
        """Stop what is being worked on, then end."""
        self._message = ""
        if not self.engine.leaving:
            self.engine.leave()
        self._lines()

    # --- the scanner ----------------------------------------------------------------------------------------------

    def _scan(self, code: str) -> None:
        try:
            device = self.engine.scan(code)
        except InputError as error:
            self._refuse(error)
            return
        if device is not None:
            self.run_worker(self._label(device.id))

    async def _label(self, device: str) -> None:
        """The ledger is asked beside everything else: it may be on a server that is silent."""
        try:
            self.engine.label(device, await asyncio.to_thread(self._source.bound, device))
        except TwinrootError as error:
            self._refuse(error)
        self._lines()

    def _refuse(self, error: TwinrootError) -> None:
        self._message = f"{error.message} {error.hint}"
        self.bell()
        self._lines()

    # --- the end --------------------------------------------------------------------------------------------------

    def _handle_exception(self, error: Exception) -> None:
        """Whatever nobody foresaw ends the application in order, and is said as every error is."""
        if self.failure is None:
            self.failure = error
            if self.is_headless:
                super()._handle_exception(error)
                return
            self.leave()
            self.exit()
