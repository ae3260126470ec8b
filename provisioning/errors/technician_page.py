"""The lines of the technician's page, in its order. A row of the table that a technician may see names its line."""

from __future__ import annotations

from provisioning.errors.row import TechnicianLine

DONE = TechnicianLine("done", "next board")
ALREADY = TechnicianLine("this board had passed already, here or elsewhere; nothing was written", "next board")
WRONG_KIND = TechnicianLine("the wrong kind of board; nothing was written", "box for the supplier")
LOCKED = TechnicianLine("a chip that was locked before; nothing was written", "box for the supplier")
BOOT_MODE = TechnicianLine(
    "its auto-reset does not work: the board starts its program, or stays in its loader",
    "hold BOOT while the run begins; release it, press RESET",
)
DEAF = TechnicianLine("the loader starts and does not hear, or stops answering", "once more in another port, then aside")
BAD_FLASH = TechnicianLine("its flash is bad", "once more, then aside")
NO_STUB = TechnicianLine("the chip answers and does not run what it is given", "once more, then aside")
CHANGED = TechnicianLine("boards were changed during the run", "leave them in, then again")
NOT_STARTING = TechnicianLine(
    "written, but it does not start what was written (from `update`: it does not run MicroPython, or its program keeps the prompt)",
    "once more (R), then aside",
)
NOT_WRITTEN = TechnicianLine("it runs, and does not hold what was written", "once more, then aside")
BAD_LINE = TechnicianLine("the line to the board was bad while its files were written", "another cable or port, then again")
AILING = TechnicianLine("its memory, its flash or its program failed while its files were written", "once more, then aside")
NO_ANSWER = TechnicianLine("no power, a cable without data, no board", "cable, port, BOOT button")
NO_LINES = TechnicianLine("the port is not a USB adapter: it cannot reset a board", "call who set this computer up")
NO_PORT = TechnicianLine("no such port, or too few boards are plugged in", "cable; `twinroot doctor` lists the ports")
DENIED = TechnicianLine("this user may not open the port", "call who set this computer up")
BUSY = TechnicianLine("another program has the port; it is named where the system tells", "close it")
LOST = TechnicianLine("cable, plug or hub; nothing is said about the board", "another cable or port, then again")
SOMEBODY = TechnicianLine(
    "this board, or this serial number, belongs to another device already; nothing was written",
    "take another board; ask before you release one",
)
OTHER_PRODUCT = TechnicianLine("the board was delivered as another product; nothing was written", "take another board")
DAMAGED = TechnicianLine(
    "it is a device already, and its key is not whole any more; nothing was written",
    'aside, and ask: [hand-over.md](hand-over.md), "A new identity"',
)
TWICE = TechnicianLine("two ports lead to one board", "name one of them")
NOT_ALLOWED = TechnicianLine("the board is not of this batch", "take another board")
LEDGER_AWAY = TechnicianLine(
    'the database\'s computer or the network is down ("the ledger is away, waiting"); the board keeps its number',
    "leave the boards in: it goes on by itself; after the error, again when the database is back",
)
LEDGER_OTHER = TechnicianLine("the list of what was done was set up differently, or goes on elsewhere", "call who set this computer up")
LEDGER = TechnicianLine(
    "the list of what was done cannot be written: a full disk, a database that is down",
    "call who set this computer up; never go on with another ledger",
)
NO_NUMBER = TechnicianLine(
    "every serial number of the CSV is used, or none was given for a board without an identity",
    "ask for a new CSV",
)
LABEL = TechnicianLine(
    "the label is not the one of this board, or was used already; nothing was written", "scan once more, or take another label"
)
GAVE_UP = TechnicianLine("this computer gave up on a board: too busy, or a cable", "once more; another cable")
INSTALLATION = TechnicianLine("this computer's installation", "call who set this computer up")
WRONG_FILE = TechnicianLine("a file is not the right one; no port was opened", "call the person who made the product file")

ORDER = tuple(line for line in vars().values() if isinstance(line, TechnicianLine))
