"""Which transport: the best one that the board answers to, and why it is not a better one."""

from __future__ import annotations

from collections.abc import Callable

from provisioning.errors import BoardError, InputError
from provisioning.link import firmware_kind
from provisioning.link.events import Event, Listener, silent
from provisioning.link.repl import DeviceException, LinkBroken, RawRepl, ReceiverEnded
from provisioning.link.transport.ampy import AmpySession
from provisioning.link.transport.base import Session
from provisioning.link.transport.paste import PasteSession
from provisioning.link.transport.stream import StreamSession

NAMES = ("auto", "stream", "paste", "ampy")

# What the board says when it lacks what the receiver needs -> why, in the report. Matched in order.
_LACKS = (
    ("deflate", "its MicroPython has no deflate module (older than 1.21)"),
    ("crc32", "its MicroPython has no CRC-32"),
    ("kbd_intr", "its MicroPython cannot take binary input"),
    ("MemoryError", "its free memory is too small for the receiver"),
    ("memory alloc", "its free memory is too small for the receiver"),
    ("stdin", "its MicroPython gives no binary input"),
)


def _why_not(error: BoardError) -> str:
    raised = error.raised if isinstance(error, (ReceiverEnded, DeviceException)) else error.message
    return next((why for word, why in _LACKS if word.lower() in raised.lower()), "")


def choose(repl: RawRepl, wanted: str = "auto", *, rate: int | None = None, events: Listener = silent) -> tuple[Session, str]:
    """An open session and, in one clause, why it is this one. Raises InputError for a name that is none, BoardError when none works."""
    if wanted not in NAMES:
        raise InputError("bad-transport", f"There is no transport {wanted!r}.", f"Use one of {', '.join(NAMES)}.")
    plain: dict[str, Callable[[], Session]] = {
        "paste": lambda: PasteSession(repl, events=events),
        "ampy": lambda: AmpySession(repl, events=events),
    }
    if wanted in plain:
        try:
            return _told(plain[wanted](), "asked for", events)
        except BoardError:
            firmware_kind.ask(repl)
            raise
    why = ""
    for attempt in range(2):
        try:
            return _told(StreamSession(repl, rate=rate, events=events), "asked for" if wanted == "stream" else "the board takes it", events)
        except (LinkBroken, BoardError) as error:
            why = _why_not(error)
            if why or isinstance(error, (ReceiverEnded, DeviceException)):
                firmware_kind.ask(repl)
            if not why or wanted == "stream":
                raise
            repl.enter()
            if attempt == 0 and "memory" in why:
                repl.soft_reset()  # what the interrupted program held is free now
                continue
            break
    if repl.paste is False:
        return _told(plain["ampy"](), "its MicroPython has no raw paste (older than 1.14)", events)
    return _told(plain["paste"](), why, events)


def _told(session: Session, why: str, events: Listener) -> tuple[Session, str]:
    events(Event("transport", {"transport": session.name, "why": why}))
    return session, why
