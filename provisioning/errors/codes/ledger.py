"""The ledger, and what is wrong with one."""

from __future__ import annotations

from provisioning.errors import technician_page
from provisioning.errors.row import BOARD, INPUT, STATION, Retry, Who, rows

SUBJECT = "The ledger"

ROWS = (
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("ledger-unusable", "The ledger cannot be read or written.", "Repair disk or database; never go on with another ledger."),
        ("ledger-busy", "Another program held the ledger for too long.", "Close the program that has it open."),
        bench=technician_page.LEDGER,
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("ledger-away", "The ledger's server did not come back in time.", "Repair server or network; the next run settles the boards."),
        bench=technician_page.LEDGER_AWAY,
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("ledger-denied", "The ledger does not let this user do that.", "docs/factory.md lists the roles and their grants."),
        ("ledger-older", "The ledger's tables are of an older form.", "Its owner runs `twinroot ledger migrate`."),
        ("ledger-newer", "The ledger's tables are of a newer form.", "Install the newer toolkit on this computer."),
        bench=technician_page.LEDGER_OTHER,
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.STATION,
        ("not-a-ledger", "The file that is named as the ledger is a text.", "Correct --ledger, or TWINROOT_LEDGER."),
        ("ledger-moved", "The ledger ended with a move: it goes on elsewhere.", "`twinroot ledger show` says where."),
        bench=technician_page.LEDGER_OTHER,
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.STATION,
        ("ledger-not-empty", "The ledger that rows were to be copied to has rows of its own.", "Give an empty database."),
    ),
    *rows(STATION, Retry.AFTER, Who.STATION, ("ledger-driver", "The database's driver is not installed.", "pip install it.")),
    *rows(
        STATION,
        Retry.NO,
        Who.MAINTAINER,
        ("ledger-field", "A row has a field or kind the ledger does not know.", "This is a defect; report it."),
        ("ledger-secret", "A row held a private key and was refused.", "This is a defect; report it."),
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.CALLER,
        ("bad-ledger", "The ledger's place is not a path and no database URL.", "Give a path, or a URL such as sqlite:///PATH."),
        ("no-ledger", "There is no ledger at this place.", "Name it with --ledger."),
        ("no-seals", "The file of signed heads cannot be read.", "`twinroot ledger seal --out FILE` makes it."),
        ("seal-key", "The two halves of the signing key are not of one key.", "Give both halves of one RSA key."),
        ("not-bound", "The ledger binds nothing to this board or device.", "`twinroot ledger show` lists what it knows."),
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.STATION,
        ("bad-anchor", "A line of the anchor file is none.", "The file was edited or damaged; compare it with a copy."),
        ("bad-seal", "A line of the file of signed heads is none.", "The file was edited or damaged; compare it with a copy."),
    ),
    *rows(
        BOARD,
        Retry.NO,
        Who.STATION,
        ("row-missing", "A row was written and is not there.", "Find out who had access; compare with a copy."),
        ("tail-missing", "The last rows were written and are not there.", "Find out who had access; compare with a copy."),
        ("row-replaced", "A row is not the one that was anchored.", "Find out who had access; compare with a copy."),
        ("row-edited", "A row does not have the hash that was recorded.", "Find out who had access; compare with a copy."),
        ("row-unreadable", "A row cannot be read.", "Find out who had access; compare with a copy."),
        ("row-moved", "A row was written as another one.", "Find out who had access; compare with a copy."),
        ("chain-broken", "A row does not continue the row before it.", "Find out who had access; compare with a copy."),
        ("seal-forged", "A signed head was not made with this key.", "Find out who had access; compare with a copy."),
        ("seal-missing", "A signed head does not continue the one before it.", "Find out who had access; compare with a copy."),
        ("column-edited", "A column differs from the record of its row.", "Find out who had access; compare with a copy."),
    ),
)
