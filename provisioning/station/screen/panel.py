"""The panel of one slot: its word large, and below it what there is space for."""

from __future__ import annotations

import textwrap

from textual.content import Content
from textual.widget import Widget

from provisioning.station.screen import letters
from provisioning.station.slot import BAD, Slot, State
from provisioning.untrusted_text import one_line

_LOW = 6  # lines of a panel up to which none is left empty
_MARK = "▶"  # the slot that was chosen


class Panel(Widget):
    """Draws a slot as it is at that moment. Its CSS class is the state's word in lower case: the colour, which says nothing that the word
    does not say, too."""

    def __init__(self, slot: Slot) -> None:
        super().__init__(id=f"slot-{slot.number}")
        self.slot = slot
        self.chosen = False
        self.drawn: State | None = None  # the state that is on the screen
        self.known: tuple[object, ...] = ()

    def show(self, chosen: bool) -> None:
        """The slot has changed."""
        state = self.slot.state
        if state is not self.drawn:
            if self.drawn is not None:
                self.remove_class(self.drawn.value.lower())
            self.add_class(state.value.lower())
            self.drawn = state
        self.chosen = chosen
        self.refresh()

    def render(self) -> Content:
        width, height = self.content_size
        drawn = [line[:width] for line in lines(self.slot, width, height, self.chosen)]
        return Content("\n".join(drawn)).stylize("bold reverse", 0, len(drawn[0]) if drawn else 0)


def lines(slot: Slot, width: int, height: int, chosen: bool = False) -> list[str]:
    """What the panel of `slot` says in so many columns and lines."""
    if width < 1 or height < 1:
        return []
    word = large(slot)
    scale = letters.scale_for(word, width, letters.space(height))
    title = _ends(f"{_MARK if chosen else ''}{slot.name}", slot.shown_device, width)
    figure = [line.center(width).rstrip() for line in letters.draw(word, scale)] if scale else [word.center(width)]
    space = [""] if height > _LOW else []
    return [title, *space, *figure, *_below(slot, width, max(0, height - 1 - len(space) - len(figure)))]


def large(slot: Slot) -> str:
    """The word, or how much is done."""
    percent = slot.progress.percent
    return f"{percent}%" if slot.state is State.BUSY and percent is not None else slot.state.value


def _below(slot: Slot, width: int, count: int) -> list[str]:
    """At most `count` lines, the most needed first."""
    said: list[str] = []
    if slot.state is State.BUSY:
        said.append(one_line(f"{slot.state.value} {slot.progress.step}" if slot.progress.percent is not None else slot.progress.step))
    elif slot.state in (State.FAIL, State.ERROR):
        said.append(str(slot.report.get("code", "")))
    elif slot.state is State.PASS:
        code = str(slot.report.get("code", ""))
        said.append(_took(slot) if code == "pass" else code)
    sentence = textwrap.wrap(one_line(slot.sentence), width) if slot.sentence else []
    if slot.state is State.WRONG or (slot.state in BAD and count <= 1):
        said = []
    if sentence and slot.state in BAD:
        mac = [slot.shown_mac] if slot.shown_mac else []
        free = count - len(said) - len(mac)
        return [*said, *mac, *_cut(sentence, free, width)][:count]
    mac = [slot.shown_mac] if slot.shown_mac else []
    free = count - len(said) - len(mac)
    return [*said, *mac, *_cut(sentence, max(0, free), width)][:count]


def _cut(wrapped: list[str], count: int, width: int) -> list[str]:
    """The first lines of a text, with a mark where there are more."""
    if len(wrapped) <= count or count < 1:
        return wrapped[: max(0, count)]
    last = wrapped[count - 1]
    return [*wrapped[: count - 1], f"{last[: width - 1]}…"]


def _took(slot: Slot) -> str:
    mean = slot.cycle.mean
    took = f"{slot.seconds:.1f} s" if slot.seconds is not None else ""
    return f"{took}  mean {mean:.1f} s" if mean is not None and slot.cycle.count > 1 else took


def _ends(left: str, right: str, width: int) -> str:
    space = width - len(left) - len(right)
    return f"{left}{' ' * space}{right}" if space > 0 else f"{left} {right}"[:width]
