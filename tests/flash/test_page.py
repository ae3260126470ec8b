"""The technician's page knows every word that a run can end in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provisioning.flash.preflight import REFUSALS
from provisioning.flash.sayings import SAYINGS
from provisioning.link.answers import ANSWERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "technician.md").read_text("utf-8")
# Who raises what a technician sees, beside the tables.
SOURCES = (
    "flash/rom.py",
    "flash/line.py",
    "flash/esptool.py",
    "job/flash.py",
    "job/many.py",
    "job/assign.py",
    "job/ports.py",
    "ledger/claims.py",
    "ledger/store.py",
)
# Not of a board on the line: where a person types, the sentence is enough.
TYPED = {"no-port", "port-twice", "not-bound", "no-ledger", "ledger-driver", "ledger-not-empty"}


def raised() -> set[str]:
    """Codes in the text of the modules: the first argument of an error."""
    found: set[str] = set()
    for name in SOURCES:
        found |= set(re.findall(r"Error\(\s*\"([a-z][a-z-]+)\"", (ROOT / "provisioning" / name).read_text("utf-8")))
    return found


CODES = sorted({row.code for row in (*REFUSALS, *SAYINGS, *ANSWERS)} | raised() - TYPED)


@pytest.mark.parametrize("code", CODES)
def test_the_page_says_what_to_do(code: str) -> None:
    assert re.search(rf"`(?:[A-Z]+ )?{code}`", PAGE), f"docs/technician.md has no row for {code}"
