"""The software bill of materials, and what is known against its parts."""

from __future__ import annotations

from provisioning.errors.row import BOARD, INPUT, Retry, Who, rows

SUBJECT = "The software bill of materials"

ROWS = (
    *rows(
        INPUT,
        Retry.AFTER,
        Who.CALLER,
        (
            "bad-firmware-version",
            "What was typed is not a version that a board says of its MicroPython.",
            "Write it as the report of `update` and the ledger have it.",
        ),
        ("bad-advisories", "A file is not a list of advisories in the OSV format.", "Export it again, or correct what is named."),
    ),
    *rows(
        BOARD,
        Retry.AFTER,
        Who.PRODUCT,
        (
            "known-vulnerability",
            "Advisories of the given list are about what is on the board.",
            "Name a firmware that has the correction in the board file and write it with `twinroot flash`.",
        ),
    ),
)
