"""Jobs: which board is which device, what it holds, rescue."""

from __future__ import annotations

from provisioning.errors import technician_page
from provisioning.errors.row import BOARD, INPUT, STATION, Retry, Who, rows

SUBJECT = "Jobs"

ROWS = (
    *rows(
        BOARD,
        Retry.AFTER,
        Who.TECHNICIAN,
        ("other-board", "Another board answers than the one before.", "Leave the boards in; run the command again."),
        bench=technician_page.CHANGED,
    ),
    *rows(
        BOARD,
        Retry.YES,
        Who.TECHNICIAN,
        ("bad-files", "Files on the board are not what its set or the product says.", "Write the product again: `twinroot update`."),
        ("not-as-written", "Board, or ledger, do not read back as they were written.", "Run it again; of a ledger: find out who wrote it."),
        bench=technician_page.NOT_WRITTEN,
    ),
    *rows(
        BOARD,
        Retry.AFTER,
        Who.TECHNICIAN,
        ("bad-selftest", "The board's own report says what is wrong.", "Write the product again: `twinroot update`."),
        ("other-set", "The board has another set active than the one that was meant.", "Write the product to it: `twinroot update`."),
        ("old-certificate", "The board has the certificate from before its renewal.", "Write the product to it: `twinroot update`."),
        bench=technician_page.NOT_WRITTEN,
    ),
    *rows(
        BOARD,
        Retry.AFTER,
        Who.TECHNICIAN,
        ("other-bytecode", "The firmware does not take the set's bytecode.", "Write the product again: `twinroot update`."),
        ("fat-file-system", "The board keeps its files on FAT, where no set is safe.", "Write firmware with littlefs: `twinroot flash`."),
        ("no-set", "The board holds no set to go back to.", "Write a product to it: `twinroot update`."),
        ("no-previous-set", "There is no set before the active one.", "Write the product that it should have: `twinroot update`."),
    ),
    *rows(
        BOARD,
        Retry.AFTER,
        Who.PRODUCT,
        ("no-connection", "The board holds its set whole, and cannot connect.", "Check network and endpoints: `twinroot trust probe`."),
    ),
    *rows(
        BOARD,
        Retry.NO,
        Who.TECHNICIAN,
        ("other-product", "The board is a device of another product.", "Take another board, or that product's file."),
        bench=technician_page.OTHER_PRODUCT,
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        (
            "mac-used",
            "The ledger or the CSV has this board as another device.",
            "Take another board; release the number only when scrapped.",
        ),
        ("serial-used", "Another board is this device already.", "Put the copy aside."),
        ("certificate-used", "The certificate is on another board already.", "Each device needs a certificate of its own."),
        bench=technician_page.SOMEBODY,
    ),
    *rows(
        (INPUT, BOARD),
        Retry.AFTER,
        Who.PRODUCT,
        (
            "other-device",
            "The board is another device than the one that is meant.",
            "Take the board that is meant; a board says who it is.",
        ),
        bench=technician_page.SOMEBODY,
    ),
    *rows(
        (INPUT, BOARD),
        Retry.AFTER,
        Who.PRODUCT,
        ("other-certificate", "The board holds another certificate than the product names.", "Find out which of the two is registered."),
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.TECHNICIAN,
        ("board-twice", "Two ports lead to one board.", "Name one of them."),
        bench=technician_page.TWICE,
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("no-device-left", "Every device of the CSV has a board.", "Add rows to the CSV."),
        ("no-device", "Nothing says which device the board is to be.", "Add --device ID, or --devices CSV."),
        bench=technician_page.NO_NUMBER,
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.TECHNICIAN,
        ("scan-format", "A scanned code is not of the form of the product's labels.", "Scan the board's own label."),
        ("scan-unknown", "A scanned code is on no label of the list.", "Take a label of this batch, or ask for the right list."),
        ("scan-used", "The ledger has the scanned device as delivered.", "Take another label, and put this one aside."),
        ("scan-twice", "The label was scanned already, here or at another slot.", "Take another label, or put the first one back."),
        ("scan-slot", "It is not clear, or not possible, which slot the label is for.", "Choose the slot, then scan."),
        ("scan-off", "A code was scanned, and the product has no labels.", "Plug the board in: it starts by itself."),
        ("scan-needed", "The board's label was not scanned, and the product asks for that.", "Scan it at `twinroot station`."),
        bench=technician_page.LABEL,
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("scan-field", "The list has no column for the labels, or a label twice.", "Correct the list, or scan.field of the product."),
    ),
    *rows(INPUT, Retry.AFTER, Who.PRODUCT, ("bad-mac", "A MAC in the list of boards is none.", "Write it as aa:bb:cc:dd:ee:ff.")),
    *rows(
        STATION,
        Retry.YES,
        Who.TECHNICIAN,
        ("worker-died", "The process for a board ended without a report.", "Run the command again; it goes on with this board."),
        bench=technician_page.GAVE_UP,
    ),
    *rows(
        BOARD,
        Retry.YES,
        Who.TECHNICIAN,
        ("still-held", "The prompt cannot be had although no program of the board starts.", "Run it again; if it repeats, flash it."),
    ),
    *rows(
        BOARD,
        Retry.NO,
        Who.TECHNICIAN,
        ("no-file-system", "The partition holds no littlefs that can be read.", "No files to keep: write it anew with `twinroot flash`."),
        ("no-partition-table", "The flash holds no partition table.", "Write the board anew with `twinroot flash`."),
        ("strange-name", "A file on the board has a name no folder can have.", "Rename it on the board first."),
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.CALLER,
        ("backup-exists", "The folder for the backup is not empty.", "Name a new folder."),
        ("no-backup", "There is no such folder.", "Name the folder that --backup made."),
        ("bad-backup", "The backup cannot be read, or is none.", "Check its permissions, or name the folder that --backup made."),
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("backup-not-written", "The backup cannot be written.", "Name another folder, or free some space."),
    ),
)
