"""What an engineer may change while the station runs; a technician sees it, and cannot."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from provisioning.link.rates import FLASH
from provisioning.station.engine import Settings
from provisioning.station.screen import keys

_RATES: tuple[int | None, ...] = (None, *FLASH)
_MOST_RETRIES = 5


class SettingsPage(ModalScreen[None]):
    """Plus and minus: retries; B: the next rate; any other key closes it."""

    def __init__(self, settings: Settings, do: Callable[[str], None]) -> None:
        super().__init__()
        self._settings = settings
        self._do = do

    def compose(self) -> ComposeResult:
        with Vertical(id="page"):
            yield Static(said(self._settings), id="settings", markup=False)

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        if self._settings.locked or not change(self._settings, event.character or ""):
            self.dismiss()
            if event.key in keys.LEAVING:
                self._do(keys.ALWAYS[event.key])
            return
        self.query_one("#settings", Static).update(said(self._settings))


def change(settings: Settings, character: str) -> bool:
    """Whether the key is one of this page."""
    if character in ("+", "-"):
        settings.retries = min(_MOST_RETRIES, max(0, settings.retries + (1 if character == "+" else -1)))
        return True
    if character in ("b", "B"):
        settings.baud = _RATES[(_RATES.index(settings.baud) + 1) % len(_RATES)] if settings.baud in _RATES else None
        return True
    return False


def said(settings: Settings) -> str:
    """The text of the page."""
    rate = f"{settings.baud:,}" if settings.baud else "found by itself"
    how = ("", "") if settings.locked else ("   + and - change it", "   B changes it")
    end = "Locked: this station was started without --engineer." if settings.locked else "They hold for boards that begin from now on."
    return "\n".join([f"Retries of what failed by chance: {settings.retries}{how[0]}", f"Rate: {rate}{how[1]}", end])
