"""Whole sentences: what is wrong at each slot, and what comes next."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from provisioning.station.engine import Engine
from provisioning.station.screen import keys
from provisioning.station.slot import Slot
from provisioning.untrusted_text import one_line


class Details(ModalScreen[None]):
    """Of the chosen slot, else of all that have something to say; any key but those that scroll closes it, control-C the station too."""

    def __init__(self, engine: Engine, do: Callable[[str], None]) -> None:
        super().__init__()
        self._engine = engine
        self._do = do

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="page"):
            yield Static(said(self._engine), markup=False)

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        page = self.query_one("#page", VerticalScroll)
        ways = {"up": page.scroll_up, "down": page.scroll_down, "pageup": page.scroll_page_up, "pagedown": page.scroll_page_down}
        if event.key in ways:
            ways[event.key]()
            return
        self.dismiss()
        if event.key in keys.LEAVING:
            self._do(keys.ALWAYS[event.key])


CLOSES = "Any key closes this."


def said(engine: Engine) -> str:
    """The text of the page."""
    chosen = [engine.slots[engine.chosen]] if engine.chosen else [slot for slot in engine.slots.values() if slot.sentence]
    return "\n\n".join([*(map(_of, chosen) if chosen else ["Nothing is wrong at any slot."]), CLOSES])


def _of(slot: Slot) -> str:
    who = "  ".join(text for text in (slot.shown_device, slot.shown_mac, slot.port or "") if text)
    lines = [f"Slot {slot.name}  {slot.state.value} {slot.report.get('code', '')}".rstrip(), who, slot.sentence]
    if slot.hint:
        lines.append(f"Next: {slot.hint}")
    if slot.cycle.mean is not None:
        lines.append(f"{slot.cycle.count} passed here, {slot.cycle.mean:.1f} s each.")
    return "\n".join(one_line(line) for line in lines if line)
