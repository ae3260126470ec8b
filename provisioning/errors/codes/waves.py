"""A fleet's migration: plans and their waves."""

from __future__ import annotations

from provisioning.errors.row import BOARD, INPUT, STATION, Retry, Who, rows

SUBJECT = "Waves"

ROWS = (
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("plan-product", "A plan's product file is of another product.", "Correct plan or product file."),
        ("plan-version", "The versions of a plan's product files do not rise: now, wanted, back.", "Write a higher `version:`."),
        ("plan-back", "A plan's way back does not lead to the phase now.", "Make it the product of the phase now with a higher version."),
        ("plan-retires", "The phase that is wanted retires a root that the way back needs.", "Retire it in a later plan."),
        ("plan-set", "A signed set is not there, has expired, or is not the one of its product file.", "Render and sign it again."),
        ("plan-device", "A wave by jobs lists a device that nobody knows.", "Correct it, or collect evidence first."),
        ("plan-devices", "The waves select other devices than when the plan was reviewed.", "`twinroot migrate plan PLAN`, and a review."),
        ("plan-edited", "The plan's file is not the one that the fleet follows.", "`twinroot migrate start PLAN` takes it on."),
        ("plan-other", "The fleet follows another plan that is not over.", "Finish it, or `twinroot migrate end`."),
        ("plan-not-started", "The fleet does not follow this plan.", "`twinroot migrate start PLAN` takes it on; it offers nothing yet."),
        ("same-phase", "The product is in this phase already.", "Name another one with --to, or leave --to out."),
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.CALLER,
        ("no-wave", "The plan has no such wave.", "Correct --wave."),
        ("wave-not-started", "The wave has not started, so there is nothing to take back.", "Leave it as it is."),
        ("wave-not-running", "The wave's boards get nothing now.", "`twinroot migrate status` says why."),
        ("wave-not-by-cable", "The wave goes by jobs.", "Leave --port out."),
        ("wave-going-back", "A wave is on its way back.", "`twinroot migrate back` first."),
        ("not-in-wave", "The board is not in this wave; nothing was written.", "Its own wave comes in its turn."),
    ),
    *rows(
        BOARD, Retry.NO, Who.PRODUCT, ("wave-stopped", "A wave is stopped, and later ones do not start.", "Take it back, or end the plan.")
    ),
    *rows(STATION, Retry.AFTER, Who.CALLER, ("plan-busy", "Another program works on the plan.", "Let it work, or stop it.")),
)
