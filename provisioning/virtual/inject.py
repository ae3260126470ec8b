"""`twinroot virtual --state DIR --inject WHAT`: the bench's hand on a board that runs already, from another process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from provisioning.errors import InputError, StationError
from provisioning.virtual.channel import Channel
from provisioning.virtual.faults import FAULTS
from provisioning.virtual.faults import parse as parse_fault

# Beside the faults of faults.py: word on the command line, command of control.py.
ACTIONS = {
    "heal": "heal",
    "power-off": "power_off",
    "power-on": "power_on",
    "unplug": "unplug",
    "plug": "plug",
    "counters": "counters",
}


def check(words: list[str], state: Path | None) -> None:
    """Raises InputError for the first word that is neither a fault nor an action."""
    if words and state is None:
        raise InputError("option", "--inject needs the board's state folder", "Give --state DIR of the board that runs.")
    for word in words:
        name = word.partition("=")[0].partition("@")[0].partition(":")[0]
        if word not in ACTIONS and name not in FAULTS:
            known = ", ".join((*FAULTS, *ACTIONS))
            raise InputError("fault", f"{word!r} is neither a fault nor an action", f"Known are {known}; see docs/virtual-board.md.")
        if word not in ACTIONS:
            parse_fault(word)


def inject(words: list[str], state: Path) -> list[dict[str, Any]]:
    """Does it, in this order; what each answered. Raises StationError when no board runs there, and what the board refuses."""
    if not (state / "control").exists():
        several = sorted(path.parent for path in state.glob("*/control"))
        if several:
            raise StationError(
                "virtual-several", f"{state} holds the folders of {len(several)} virtual boards", f"Name one of them, such as {several[0]}."
            )
    channel = Channel(state.absolute() / "control")
    try:
        return [{"did": word, "result": _one(channel, word)} for word in words]
    finally:
        channel.close()


def _one(channel: Channel, word: str) -> Any:
    return channel.call(ACTIONS[word]) if word in ACTIONS else channel.call("inject", fault=word)


def report(done: list[dict[str, Any]], state: Path, as_json: bool) -> None:
    """On standard output: one object, or a line for each."""
    if as_json:
        text = json.dumps({"outcome": "pass", "state": str(state), "done": done})
    else:
        text = "\n".join(f"{one['did']}: {'done' if one['result'] is None else json.dumps(one['result'])}" for one in done)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
