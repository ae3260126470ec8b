"""Labels and the command that follow a PASS: the board has passed, whatever these say."""

from __future__ import annotations

from provisioning.errors.row import BOARD, INPUT, STATION, Retry, Who, rows

SUBJECT = "Labels and commands"

ROWS = (
    *rows(
        STATION,
        Retry.AFTER,
        Who.TECHNICIAN,
        ("printer-not-ready", "The printer has no paper or ribbon, is open, or paused.", "Mend that; then `twinroot label retry`."),
        (
            "printer-hangs",
            "The printer did not take the label in time.",
            "Look at it and at its network; then `twinroot label retry`.",
        ),
        ("printer-failed", "The printer, or the label's file, cannot be reached.", "Is it on? Then `twinroot label retry`."),
    ),
    *rows(
        BOARD,
        Retry.AFTER,
        Who.TECHNICIAN,
        ("tasks-open", "Labels or commands of boards that passed are open.", "`twinroot label retry`, or `close` with a reason."),
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("command-missing", "The command after a PASS cannot be started.", "Check its path and permissions."),
        ("command-hangs", "The command after a PASS did not end in time, and was ended.", "See what it waits for."),
        ("command-failed", "The command after a PASS ended with an error.", "See what it says."),
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.STATION,
        ("no-printer", "It is not said where the label is printed.", "Set TWINROOT_PRINTER, or `printer:` in the product."),
        ("bad-printer", "What is named is not a printer.", "Write tcp://HOST:9100, file:PATH, or a list."),
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("bad-label", "The template of the label cannot be used.", "docs/labels.md shows one."),
        ("label-field", "The label wants what the ledger does not have of this board.", "Take it out of the label."),
        ("no-label", "The product has no label, or no command.", "Add the block to its file."),
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.CALLER,
        ("not-open", "No such label or command is open.", "`twinroot label status` lists what is."),
    ),
)
