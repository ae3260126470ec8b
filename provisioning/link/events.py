"""What a job tells while it runs: events for programs; the command line turns them into progress for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Event(NamedTuple):
    """One thing that happened. `kind` is one of

    step      a step of the job begins: {"name"}
    bytes     payload progress: {"done", "total"} in bytes of the files, {"rate"} in bytes per second, {"left"} in seconds
    resend    a block was sent again: {"why"}
    transport a transport was chosen: {"transport", "why"}
    baud      the line runs at another rate: {"baud"}
    quiet     the board gives no sign of life: {"seconds"} for how long, {"limit"} after how many it is given up, {"text"}
    ledger    the ledger is away, and waited for, or is back: {"text"}
    board     the board is known: {"mac", "chip"}
    claim     the ledger has promised it a device: {"device"}
    active    which set is active from here on, should the run end: {"active"}, a word of job/active.py
    task      what follows a PASS has ended: {"task": label or on_pass, "result": done or failed, "device", "message"}
    note      something a person should know: {"text"}
    """

    kind: str
    data: dict[str, Any]


Listener = Callable[[Event], None]


def silent(_event: Event) -> None:
    """A listener that wants nothing."""
