"""Sets: what a board gets."""

from __future__ import annotations

from provisioning.errors.row import BOARD, INPUT, STATION, Retry, Who, rows

SUBJECT = "Sets"

ROWS = (
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("too-big", "The files do not fit the board's file system.", "Make the app smaller, or use a board file with a bigger partition."),
        ("folder-in-use", "The folder of the result is in use, or a file.", "Give --out an empty or a new folder."),
    ),
    *rows(
        (STATION, BOARD),
        Retry.AFTER,
        Who.STATION,
        ("no-package", "The connection package is missing, here or on the board.", "Install twinroot again; a board: `twinroot update`."),
    ),
    *rows(
        STATION,
        Retry.NO,
        Who.MAINTAINER,
        ("mpy-cross-failed", "mpy-cross refuses a file of the connection package.", "Correct that file."),
    ),
    *rows(STATION, Retry.YES, Who.STATION, ("mpy-cross-hangs", "mpy-cross took too long for a file.", "Run the command again.")),
)
