"""What a board that is not at a MicroPython prompt says, as a table: pattern, code, sentence, next step."""

from __future__ import annotations

import re
from typing import NamedTuple

from provisioning.errors import BoardError


class BoardMessage(NamedTuple):
    pattern: bytes  # regular expression over what the line said
    code: str
    sentence: str
    hint: str


# What held a board whose prompt could be had, by the word that RawRepl.hold has for it.
HOLDS = {
    "mount": "It waited for a computer that had mounted a folder on it, and is gone.",
    "rate": "Its program had set the UART of the prompt to another rate.",
    "sleep": "Its program puts the chip to sleep as soon as it is awake.",
    "program": "Its program catches control-C or takes the prompt away, and was stopped between two of its steps or while it started.",
    "boot": "Its boot.py had not ended, and was interrupted.",
    "heap": "Its program had left next to no heap, and was ended by a soft reset.",
    "watchdog": "Its watchdog reset it in the middle; it has been given more patience until the next reset.",
}

RESCUE = "`twinroot rescue --port PORT` gets it back and keeps every file."
_ASIDE = "`twinroot rescue --port PORT` takes its program out of the way and keeps every file; if it goes on, the firmware is damaged."
FLASH = "Write the firmware first: `twinroot flash PRODUCT.yaml --port PORT`."

ANSWERS = (
    BoardMessage(
        rb"invalid header: 0xffffffff|No bootable app|flash read err|ets_main\.c",
        "no-firmware",
        "The board restarts over and over because its flash holds no firmware.",
        FLASH,
    ),
    BoardMessage(
        rb"waiting for download|DOWNLOAD_BOOT|DOWNLOAD\(",
        "rom-loader",
        "The board waits in its ROM loader and does not run MicroPython.",
        "Release BOOT and press RESET, or write the firmware: `twinroot flash PRODUCT.yaml --port PORT`.",
    ),
    BoardMessage(
        rb"esp-at|\r\nready\r\n|AT\+|\r\n(ERROR|OK)\r\n",
        "esp-at",
        "The board runs Espressif's AT firmware, not MicroPython.",
        FLASH,
    ),
    BoardMessage(
        rb"\bD(?:EEP)?SLEEP",
        "asleep",
        "The board goes to deep sleep as soon as it is awake, before its prompt can be had.",
        RESCUE,
    ),
    BoardMessage(
        rb"Guru Meditation|abort\(\) was called|assert failed",
        "crash-loop",
        "The board crashes while it starts: its firmware, or its own program.",
        _ASIDE,
    ),
    BoardMessage(
        rb"CircuitPython",
        "circuitpython",
        "The board runs CircuitPython; twinroot needs MicroPython.",
        FLASH,
    ),
    BoardMessage(
        rb"raw REPL|MicroPython |>>> |Traceback \(most recent call last\)|MPY: soft reboot",
        "repl-unreachable",
        "The board runs MicroPython, but its program blocks the REPL: it catches control-C or has taken the REPL.",
        RESCUE,
    ),
    BoardMessage(
        rb"rst:0x.*rst:0x",
        "crash-loop",
        "The board restarts over and over: its firmware, or its boot.py, resets it while it starts.",
        _ASIDE,
    ),
    BoardMessage(
        rb"[\x20-\x7e\r\n\t]{24,}",
        "other-firmware",
        "Something runs on the board and prints, but gives no MicroPython prompt: another firmware, or a program that keeps control-C.",
        "A MicroPython board: `twinroot rescue --port PORT` gets it back with every file. Another firmware: `twinroot flash PRODUCT.yaml`.",
    ),
    BoardMessage(
        rb".",
        "garbled",
        "What the board sends cannot be read: its line runs at another rate, or it is not a MicroPython board.",
        "Press RESET on the board and try again; check that no other program has changed the rate.",
    ),
    BoardMessage(
        rb"",
        "board-silent",
        "The board does not answer.",
        "Check that it is powered and that this is its port, press RESET, then try again. A board whose program keeps its prompt: "
        "`twinroot rescue --port PORT`.",
    ),
)


def explain(said: bytes, port: str) -> BoardError:
    """The error for a board that said `said` and gave no prompt. The last row of the table matches everything."""
    row = next(row for row in ANSWERS if re.search(row.pattern, said, re.DOTALL))
    return BoardError(row.code, f"{row.sentence[:-1]} ({port}).", row.hint)
