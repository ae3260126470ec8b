"""The last line of the screen: what comes next, from the whole bench at once. The first row that fits is the one that is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from provisioning.errors.table import ROWS
from provisioning.station.engine import Engine
from provisioning.station.slot import Slot, State

Rule = Callable[[Engine], str]


def advice(engine: Engine) -> str:
    """One sentence for whoever stands at the bench."""
    return next(text for rule in _RULES if (text := rule(engine)))


def _of(engine: Engine, *states: State) -> list[Slot]:
    return [slot for slot in engine.slots.values() if slot.state in states]


def _names(slots: Sequence[Slot]) -> str:
    names = [slot.name for slot in slots]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{'slot' if len(names) == 1 else 'slots'} {listed}"


def _leaving(engine: Engine) -> str:
    return f"Leaving: {_names(engine.busy)} first gets its board in order." if engine.leaving and engine.busy else ""


def _ledger(engine: Engine) -> str:
    away = [slot for slot in engine.busy if "is away, waiting" in slot.note]
    return "The ledger is away: leave the boards in, it goes on by itself." if away else ""


def _wrong(engine: Engine) -> str:
    wrong = _of(engine, State.WRONG)
    return f"Take the board out of {_names(wrong)}: {wrong[0].why}" if wrong else ""


def _in_hand(engine: Engine) -> str:
    hand = engine.in_hand
    if hand is None:
        return ""
    return f"{hand.device} is scanned: plug its board in{f' at slot {hand.slot}' if hand.slot else ''}."


def _scan(engine: Engine) -> str:
    waiting = _of(engine, State.SCAN)
    if not waiting:
        return ""
    if engine.chosen in [slot.name for slot in waiting]:
        return f"Scan the label of the board at slot {engine.chosen}."
    if len(waiting) == 1:
        return f"Scan the label of the board at {_names(waiting)}."
    return f"Choose one of {_names(waiting)} (arrow keys, or the socket's label), then scan."


def _bad(engine: Engine) -> str:
    bad = _of(engine, State.FAIL, State.ERROR)
    if not bad:
        return ""
    first = _do(bad[0])
    others = [slot for slot in bad if _do(slot) != first]
    more = f" Then {_names(others)}." if others else ""
    passed = _of(engine, State.PASS)
    more += f" Take out and label {_names(passed)}." if passed else ""
    return f"{_names([slot for slot in bad if slot not in others]).capitalize()}: {first}.{more}"


def _do(slot: Slot) -> str:
    """The technician's word for it (docs/technician-codes.md), else the report's own next step."""
    row = ROWS.get(str(slot.report.get("code")))
    return row.bench.do if row is not None and row.bench is not None else (slot.hint or "put the board aside").rstrip(".")


def _undone(engine: Engine) -> str:
    """A label that was not printed; it stays in the ledger until it is."""
    undone = [slot for slot in _of(engine, State.PASS) if slot.undone]
    if not undone:
        return ""
    devices = ", ".join(slot.shown_device for slot in undone)
    if not any(slot.unlabelled for slot in undone):
        return f"{_names(undone).capitalize()}: PASS, and the command after it failed for {devices}: call who set the station up."
    # A label that is scanned is used up by the PASS, so that such a board cannot come again.
    again = "`twinroot label retry PRODUCT`" if engine.scans else "plug in again"
    return f"{_names(undone).capitalize()}: no label for {devices}. See to the printer, then {again}."


def _passed(engine: Engine) -> str:
    passed = _of(engine, State.PASS)
    if not passed:
        return ""
    if all(slot.report.get("code") == "unchanged" for slot in passed):
        return f"{_names(passed).capitalize()} passed before: {', '.join(slot.shown_device for slot in passed)}. Take out."
    fixed = " Then N: next boards." if all(slot.fixed for slot in passed) else ""
    return f"Take out and label {_names(passed)}: {', '.join(slot.shown_device for slot in passed)}.{fixed}"


def _busy(engine: Engine) -> str:
    return f"Leave the boards in: {len(engine.busy)} at work." if engine.busy else ""


def _begin(engine: Engine) -> str:
    return "Scan a label, or plug a board in." if engine.scans else "Plug a board in: it starts by itself."


_RULES: tuple[Rule, ...] = (_leaving, _ledger, _wrong, _in_hand, _scan, _bad, _undone, _passed, _busy, _begin)
