"""A board in its ROM loader: firmware, checks, esptool, fuses."""

from __future__ import annotations

from provisioning.errors import technician_page
from provisioning.errors.row import BOARD, INPUT, STATION, Retry, Who, rows

SUBJECT = "Firmware and ROM loader"

ROWS = (
    *rows(
        BOARD,
        Retry.NO,
        Who.SUPPLIER,
        ("wrong-chip", "The board has another chip than the product's board.", "Take a board of the right type, or correct `board`."),
        ("wrong-revision", "The chip's revision is too old for board or firmware.", "Take a newer chip, or another firmware image."),
        ("unknown-chip", "The chip is not one that twinroot knows, or can provision.", "Take another board."),
        ("flash-too-small", "The board has less flash than is needed.", "Take a board with more flash, or correct the board file."),
        bench=technician_page.WRONG_KIND,
    ),
    *rows(
        BOARD,
        Retry.NO,
        Who.SUPPLIER,
        ("secure-boot", "The chip has secure boot on.", "Use a fresh chip: this one takes only images signed with its keys."),
        ("flash-encryption", "The chip has flash encryption on.", "Use a fresh chip: this one takes only images made with its key."),
        ("secure-download", "The chip is in secure download mode.", "Use a fresh chip."),
        ("security-on", "The chip was locked before; plain firmware cannot be written.", "Use a fresh chip."),
        bench=technician_page.LOCKED,
    ),
    *rows(
        BOARD,
        Retry.AFTER,
        Who.TECHNICIAN,
        ("wrong-boot-mode", "The board restarts into its program, not its ROM loader.", "Hold its BOOT button while the run begins."),
        bench=technician_page.BOOT_MODE,
    ),
    *rows(
        BOARD, Retry.AFTER, Who.TECHNICIAN, ("rom-deaf", "The ROM loader hears nothing.", "Try another port."), bench=technician_page.DEAF
    ),
    *rows(
        BOARD,
        Retry.YES,
        Who.TECHNICIAN,
        ("rom-confused", "The ROM loader stopped answering.", "Try another port."),
        bench=technician_page.DEAF,
    ),
    *rows(
        BOARD,
        Retry.YES,
        Who.TECHNICIAN,
        ("flash-mismatch", "What was read back from flash is not what was written.", "Run the command again; if it repeats, put it aside."),
        bench=technician_page.BAD_FLASH,
    ),
    *rows(
        BOARD,
        Retry.NO,
        Who.SUPPLIER,
        ("flash-protected", "The flash took nothing.", "It is write-protected or defect: put the board aside."),
        ("no-flash-chip", "The chip answers, its flash does not.", "Soldering or supply of the flash chip: put the board aside."),
        bench=technician_page.BAD_FLASH,
    ),
    *rows(
        BOARD,
        Retry.YES,
        Who.TECHNICIAN,
        ("stub-not-started", "esptool's flasher did not start on the chip.", "Run the command again; if it repeats, put it aside."),
        bench=technician_page.NO_STUB,
    ),
    *rows(
        STATION,
        Retry.YES,
        Who.TECHNICIAN,
        ("no-answer", "Nothing answers in the ROM loader.", "Check power and cable, or hold the BOOT button while the run begins."),
        bench=technician_page.NO_ANSWER,
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        (
            "no-reset-lines",
            "A pseudo-terminal has no reset lines, and no ROM loader behind them.",
            "Use the board's rfc2217:// or USB port.",
        ),
        bench=technician_page.NO_LINES,
    ),
    *rows(
        STATION,
        Retry.YES,
        Who.TECHNICIAN,
        ("port-gone", "The port went away while the board was written.", "Try another cable or USB port."),
        ("line-errors", "The line loses or damages bytes.", "Try another cable or USB port; a hub without power is often the cause."),
        bench=technician_page.LOST,
    ),
    *rows(
        STATION,
        Retry.YES,
        Who.TECHNICIAN,
        ("esptool-silent", "esptool said nothing for too long and was ended.", "Run the command again; try another cable."),
        ("esptool-failed", "esptool failed for a reason that is not in the table.", "Run the command again; its output is in the log."),
        bench=technician_page.GAVE_UP,
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.PRODUCT,
        ("no-rate", "There is no rate to try.", "Check `baud` in the board file."),
        bench=technician_page.GAVE_UP,
    ),
    *rows(STATION, Retry.YES, Who.STATION, ("bridge-failed", "The connection to esptool broke.", "Run the command again.")),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("no-esptool", "esptool is not installed, or does not start.", "pip install 'esptool>=5.2,<6'"),
        ("esptool-version", "The installed esptool is not version 5.", "pip install 'esptool>=5.2,<6'"),
        bench=technician_page.INSTALLATION,
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("cache-unusable", "The cache folder cannot be written.", "Set TWINROOT_CACHE to another folder."),
    ),
    *rows(STATION, Retry.YES, Who.STATION, ("no-download", "The firmware image cannot be fetched.", "Run the command again.")),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("firmware-hash", "The firmware image does not have the SHA-256 of the board file.", "Take hash and address from the same page."),
        ("firmware-image", "The file is not a firmware image.", "Take the .bin that MicroPython offers for this board."),
        ("firmware-chip", "The firmware image is for another chip.", "Take the image for the board's chip."),
        ("firmware-offset", "The chip does not start from the board file's offset.", "Correct `firmware.offset`."),
        ("needs-littlefs", "The image keeps its files on FAT, where a rename is not atomic.", "Take an image with littlefs."),
        ("no-partition", "The image has no partition of the board file's name.", "Correct `partition.name` in the board file."),
        ("partition-outside", "The image's partition ends behind the flash.", "Take the image for this flash size."),
        ("partition-too-small", "The image's partition is smaller than the board file's.", "Correct `partition`, or take another image."),
        bench=technician_page.WRONG_FILE,
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("firmware-url", "The image's address answers with an error.", "Check the address in the board file."),
        ("firmware-too-big", "What the address answers is too big for an image.", "Is it the address of an image?"),
        ("no-security", "There is nothing to burn for this board or chip.", "See `security` in docs/yaml.md."),
        ("key-readable", "A key of the chip's security can be read by others.", "chmod 600 FILE"),
    ),
    *rows(
        INPUT,
        Retry.NO,
        Who.TECHNICIAN,
        ("not-allowed", "The board is not on the list of allowed boards.", "Take a board of this batch, or correct the list."),
        bench=technician_page.NOT_ALLOWED,
    ),
    *rows(STATION, Retry.AFTER, Who.TECHNICIAN, ("espefuse-failed", "The fuses cannot be read.", "Check the port, and run it again.")),
    *rows(BOARD, Retry.NO, Who.PRODUCT, ("burn-failed", "A fuse could not be burned.", "Those before it are burned; look at the summary.")),
)
