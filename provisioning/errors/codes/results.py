"""How a run ended that did what it was asked for, or was stopped."""

from __future__ import annotations

from provisioning.errors import technician_page
from provisioning.errors.row import PASS, STATION, STOPPED, Retry, Who, rows

SUBJECT = "Results"

ROWS = (
    *rows(PASS, Retry.NO, Who.NOBODY, ("pass", "What was asked for is done and proven.", ""), bench=technician_page.DONE),
    *rows(
        PASS, Retry.NO, Who.NOBODY, ("unchanged", "The board was as it should be; nothing was written.", ""), bench=technician_page.ALREADY
    ),
    *rows(
        PASS,
        Retry.NO,
        Who.NOBODY,
        ("tidied", "The set was there already; what a broken run had left is removed.", ""),
        ("dry-run", "What would be written is in the report; nothing was written.", ""),
        ("backup", "The files of the board are in the folder.", "Keep the folder private: keys are among them."),
        ("restored", "The files of the backup are on the board.", ""),
        ("settled", "A run died after its last write; the board reports its set whole.", ""),
    ),
    *rows(STATION, Retry.NO, Who.NOBODY, ("not-run", "The job has not come to an end yet.", "")),
    *rows(
        STOPPED,
        Retry.AFTER,
        Who.TECHNICIAN,
        ("interrupted", "A person or a signal stopped the run.", "Run the same command again; it goes on where this one stopped."),
    ),
)
