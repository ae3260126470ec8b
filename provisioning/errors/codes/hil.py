"""Tests on boards."""

from __future__ import annotations

from provisioning.errors.row import BOARD, INPUT, STATION, Retry, Who, rows

SUBJECT = "Tests on boards"

ROWS = (
    *rows(
        INPUT,
        Retry.AFTER,
        Who.CALLER,
        ("bad-recording", "The file is not a recorded session.", "`twinroot record --port PORT FILE` makes one."),
        ("device-map", "The file is not a device map, or has no board that fits.", "`twinroot devices scan` writes one."),
        ("hil-engine", "The engine of the tests is not known, or lacks what it needs.", "docs/hil.md lists the engines and their options."),
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("coverage-missing", "The package coverage is not installed.", "pip install coverage"),
    ),
    *rows(
        STATION,
        Retry.NO,
        Who.CALLER,
        ("hil-unsupported", "The engine cannot do this to a board; in a test it is a skip.", "Use --engine virtual."),
    ),
    *rows(
        BOARD,
        Retry.YES,
        Who.CALLER,
        ("program-restarted", "The chip restarted while a program of a test ran on it.", "Look at the serial log of the test."),
        ("program-overdue", "A program of a test did not end in the time that it was given.", "Give it longer, or look why it hangs."),
    ),
    *rows(
        BOARD,
        Retry.AFTER,
        Who.CALLER,
        ("snapshot-partial", "Files that a snapshot was too small for have changed.", "Write them to the board again."),
    ),
)
