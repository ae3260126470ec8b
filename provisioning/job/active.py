"""Which set is active on a board when a run that changes it does not pass: never a guess, and one sentence in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioning.errors import TwinrootError
from provisioning.link.answer_check import fits
from provisioning.link.repl import DeviceException

if TYPE_CHECKING:
    from provisioning.link.repl import RawRepl

UNTOUCHED, OLD, NEW, UNKNOWN = "untouched", "old", "new", "unknown"

SENTENCES = {
    UNTOUCHED: "Nothing was written to it.",
    OLD: "The set that was active before still is.",
    NEW: "The new set is active.",
    UNKNOWN: "Whether the old or the new set is active is not known: the same command, or `twinroot verify`, asks the board.",
}

# The pointer, or its successor where a first one was about to be named so: as the loader has it.
_POINTER = "(lambda d:[open('/trust/'+n).read()for n in('active','active.new')if n in d])(__import__('uos').listdir('/trust'))"


def sentence(active: str | None) -> str:
    return SENTENCES.get(active or "", "")


def ask(repl: RawRepl, numbers: set[int]) -> str:
    """NEW when one of the sets `numbers` is the active one, OLD when another or none is, UNKNOWN when the board cannot be asked."""
    try:
        repl.enter()
        found = repl.value(_POINTER)
    except DeviceException:
        return OLD  # there is no /trust
    except TwinrootError:
        return UNKNOWN
    if not fits(found, [str]):
        return UNKNOWN
    return NEW if next(filter(None, found), "").strip() in map(str, numbers) else OLD
