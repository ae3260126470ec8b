"""The station's decisions: slots as state machines, fed by what is plugged in, what workers say, what is scanned and which key is pressed.

Nothing here waits, reads a port or draws: time comes from a clock that is given, boards are run by a Crew, and whoever shows the slots is
event by `changed` which of them to draw anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from provisioning.config.device import Device
from provisioning.errors import InputError
from provisioning.job.many import PortResult
from provisioning.job.progress import Progress
from provisioning.job.worker import End
from provisioning.link.events import Event
from provisioning.station.counts import Counts
from provisioning.station.labels import Labels, slot_of
from provisioning.station.slot import BAD, ENDED, Slot, State
from provisioning.station.sockets import Bound, Plugged, Unbound

NATIVE_GONE = 3.0  # seconds; a chip that is its own USB device goes away with each reset, and is back within two
_NOTES = frozenset({"note", "quiet", "ledger"})
_SLIM = ("outcome", "code", "message", "hint", "mac", "device")  # of a report, that the shift remembers


class Crew(Protocol):
    """Who works on boards; what comes of it is given to Engine.said."""

    def start(self, slot: str, number: int, port: str, device: str | None, baud: int | None) -> None:
        """A worker for the board at this slot; `device`: the only one that it may become."""

    def leave(self) -> None:
        """Stop all, their boards left in order."""


@dataclass
class Settings:
    """What an engineer may change while the station runs. `retries`: how often a board that failed by chance is tried again; `baud`: a
    fixed rate; `locked`: a technician cannot change them."""

    retries: int = 1
    baud: int | None = None
    locked: bool = True


@dataclass
class InHand:
    """A label that was scanned before its board was plugged in. `slot`: where the board is expected; None for any."""

    device: str
    slot: str | None


class Engine:
    """`labels`: None where nothing is scanned. `clock`: seconds that only rise."""

    def __init__(self, sockets: Bound | Unbound, crew: Crew, settings: Settings, labels: Labels | None, clock: Callable[[], float]) -> None:
        self.slots = {name: Slot(name, number, fixed=name in sockets.fixed) for number, name in enumerate(sockets.names, 1)}
        self.settings = settings
        self.counts = Counts(clock())
        self.changed: Callable[[Slot], None] = lambda _slot: None
        self.in_hand: InHand | None = None
        self.chosen: str | None = None  # the slot that the next label is for
        self.leaving = False
        self.scans = labels is not None
        self._labels = labels
        self._sockets = sockets
        self._crew = crew
        self._clock = clock

    # --- what is plugged in ---------------------------------------------------------------------------------------

    def plugged(self, ports: Sequence[Plugged]) -> None:
        """What is plugged in now; to be called at every look, since a port that comes back at once was not unplugged."""
        here = self._sockets.match(ports)
        arrived = []
        for slot in self.slots.values():
            port = here.get(slot.name)
            if port is None:
                self._absent(slot)
            elif slot.port is None:
                slot.port, slot.native, slot.gone = port.device, port.native, None
                arrived.append(slot)
            else:
                slot.port, slot.gone = port.device, None
                slot.pulled = slot.pulled and slot.state is State.BUSY
        for slot in arrived:
            self._arrived(slot, len(arrived))

    def _absent(self, slot: Slot) -> None:
        if slot.port is None:
            return
        now = self._clock()
        slot.gone = now if slot.gone is None else slot.gone
        if now - slot.gone < (NATIVE_GONE if slot.native else 0.0):
            return
        if slot.state is State.BUSY:
            slot.pulled = True  # the worker finds out, and says what that means for the board
            return
        slot.port = slot.gone = None
        if not slot.pulled or slot.state is State.PASS:
            slot.state = State.FREE
            slot.clear()
        self.changed(slot)

    def _arrived(self, slot: Slot, together: int) -> None:
        slot.clear()
        if self.leaving:
            return
        if not self.scans:
            self._begin(slot)
            return
        hand = self.in_hand
        if hand is None:
            self._show(slot, State.SCAN)
        elif hand.slot not in (None, slot.name):
            slot.why = f"{hand.device} was scanned for slot {hand.slot}, and a board was plugged in at slot {slot.name}."
            self._show(slot, State.WRONG)
        elif hand.slot is None and together > 1:
            slot.why = f"{hand.device} was scanned, and then {together} boards were plugged in: which of them it is, nobody knows."
            self._show(slot, State.WRONG)
        else:
            self.in_hand = None
            slot.device = hand.device
            self._begin(slot)

    # --- boards ---------------------------------------------------------------------------------------------------

    def _begin(self, slot: Slot) -> None:
        """The first attempt on a board."""
        slot.boards += 1
        slot.began = self._clock()
        slot.seconds = None
        slot.row = PortResult(slot.port or "")
        self._attempt(slot)

    def _attempt(self, slot: Slot) -> None:
        if slot.port is None or slot.row is None:
            return
        slot.progress = Progress(device=slot.device)
        slot.note = ""
        slot.row.attempts += 1
        self._crew.start(slot.name, slot.number, slot.port, slot.device, self.settings.baud)
        self._show(slot, State.BUSY)

    def said(self, name: str, what: Event | End) -> None:
        """A worker's event, or its end."""
        slot = self.slots[name]
        if isinstance(what, End):
            self._ended(slot, what)
            return
        slot.progress.take(what)
        if what.kind in _NOTES:
            slot.note = str(what.data["text"])
        elif what.kind == "step":
            slot.note = ""
        elif what.kind == "task" and what.data["result"] == "failed":
            slot.undone = f"{what.data['task']} failed: {what.data['message']}"
            slot.unlabelled = what.data["task"] == "label"
        self.changed(slot)

    def _ended(self, slot: Slot, end: End) -> None:
        row = slot.row
        if row is None:
            return
        row.report, row.exit_code = slot.progress.completed(end.report), end.exit_code
        slot.note = ""
        if row.may_try_again(self.settings.retries) and not slot.pulled and not self.leaving:
            first = str(row.report["message"])
            self._attempt(slot)
            slot.note = f"Tried once more: {first}"
            return
        slot.seconds = self._clock() - slot.began if slot.began is not None else None
        state = ENDED[row.report["outcome"]]
        if state is State.PASS and slot.seconds is not None:
            slot.cycle.add(slot.seconds)
        slim = {name: row.report[name] for name in _SLIM}
        self.counts.add(slot.name, slot.boards, PortResult(f"slot {slot.name}", row.attempts, slim, row.exit_code))
        self._show(slot, state)

    # --- keys -----------------------------------------------------------------------------------------------------

    def retry(self, name: str | None = None) -> int:
        """Once more for the board at slot `name`, or for all that did not pass; how many are tried."""
        again = [
            slot
            for slot in self.slots.values()
            if slot.state in (State.FAIL, State.ERROR) and slot.port is not None and name in (None, slot.name) and not self.leaving
        ]
        for slot in again:
            if slot.row is not None:
                slot.row = PortResult(slot.port or "")
                slot.began = self._clock()
                self._attempt(slot)
        return len(again)

    def exchanged(self, name: str | None = None) -> int:
        """Boards were changed where no port goes away with them (a fixture's needles, a server's port): the next one is at each slot
        that has ended, or at slot `name`; how many are begun."""
        ended = [
            slot
            for slot in self.slots.values()
            if slot.state in ENDED.values() and slot.port is not None and name in (None, slot.name) and not self.leaving
        ]
        for slot in ended:
            self._arrived(slot, len(ended))
        return len(ended)

    def choose(self, name: str | None) -> None:
        """The slot that the next label, or the next key, is for; None for none."""
        before, self.chosen = self.chosen, name
        for each in {before, name} - {None}:
            self.changed(self.slots[str(each)])

    # --- the scanner ----------------------------------------------------------------------------------------------

    def scan(self, code: str) -> Device | None:
        """The device that a scanned code means, to be given to `label` once the ledger was asked; None where the code was a slot's. Raises
        InputError for one that is none of ours, or is taken."""
        named = slot_of(code)
        if named is not None:
            if named not in self.slots:
                raise InputError("scan-unknown", f"There is no slot {named} at this station.", "Scan the label of another socket.")
            self.choose(named)
            return None
        if self._labels is None:
            raise InputError("scan-off", "Labels are not scanned for this product.", "Plug the board in: it starts by itself.")
        device = self._labels.device(code)
        self._is_new(device.id)
        return device

    def label(self, device: str, bound: str | None) -> Slot | None:
        """A label that `scan` took; `bound`: why the ledger has it as used up, None where it is free. The slot that it is for, None
        while its board is not plugged in yet. Raises InputError."""
        if bound is not None:
            raise InputError("scan-used", f"{device} is used up: {bound}", "Take another label, and put this one aside.")
        self._is_new(device)
        waiting = [slot for slot in self.slots.values() if slot.state is State.SCAN]
        place = self.slots[self.chosen] if self.chosen else waiting[0] if len(waiting) == 1 else None
        if place is None and waiting:
            names = " or ".join(slot.name for slot in waiting)
            raise InputError(
                "scan-slot", f"{device} could be for the board at slot {names}.", "Choose the slot (arrow keys, or its label), then scan."
            )
        if place is not None and place.state not in (State.SCAN, State.FREE):
            raise InputError(
                "scan-slot",
                f"Slot {place.name} has a board that is {place.state.value} already.",
                "Take that board out first, or choose another slot.",
            )
        self.choose(None)
        if place is None or place.state is State.FREE:
            self.in_hand = InHand(device, place.name if place else None)
            return None
        place.device = device
        self._begin(place)
        return place

    def put_back(self) -> None:
        """The label in hand is not used, and no slot is chosen."""
        self.in_hand = None
        self.choose(None)

    def _is_new(self, device: str) -> None:
        if self.in_hand is not None:
            other = "its board is awaited" if self.in_hand.device == device else f"{self.in_hand.device} waits for its board"
            raise InputError("scan-twice", f"{device} was scanned: {other}.", "Plug the board in, or press Escape to put the label back.")
        for slot in self.slots.values():
            if slot.device == device or (slot.state is not State.FREE and slot.shown_device == device):
                raise InputError(
                    "scan-twice", f"{device} is the board at slot {slot.name} already.", "Two boards never get one label: take another one."
                )

    # --- the end --------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> list[Slot]:
        return [slot for slot in self.slots.values() if slot.state is State.BUSY]

    @property
    def bad(self) -> list[Slot]:
        return [slot for slot in self.slots.values() if slot.state in BAD]

    def leave(self) -> None:
        """Begin nothing more, and stop what is being worked on; the ends come as those of others do."""
        self.leaving = True
        self._crew.leave()

    def _show(self, slot: Slot, state: State) -> None:
        slot.state = state
        self.changed(slot)
