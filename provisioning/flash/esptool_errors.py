"""What esptool says when it fails, as one sentence with a next step: a table, first match wins.

`retry`: "slower" when a lower rate may help (the line damaged something), "" when the same would happen again.
The patterns are matched against esptool 5's output, from its last connection on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from provisioning.errors import BoardError, FileMissing, StationError, TwinrootError
from provisioning.flash.rom import NoAnswer
from provisioning.link.open_errors import PortBusy, PortNotFound


class FlashMismatch(BoardError):
    """What was read back from flash is not what was written."""


@dataclass(frozen=True)
class EsptoolError:
    """`sentence` may use {port}, {baud} and the pattern's named groups."""

    pattern: str
    error: type[TwinrootError]
    code: str
    sentence: str
    hint: str
    retry: str = ""


SLOWER = "slower"
_CABLE = "Try another cable or USB port; a hub without its own power is often the cause."

ESPTOOL_ERRORS = (
    EsptoolError(
        r"(?:port is busy or doesn't exist|Could not open )[^\n]*\n?[^\n]*(?:Errno 2\b|FileNotFoundError|refused|No such)",
        PortNotFound,
        "port-not-found",
        "The port {port} is not there.",
        "Check the cable and the name; `twinroot doctor` lists the ports.",
    ),
    EsptoolError(
        r"(?:port is busy or doesn't exist)[^\n]*\n?[^\n]*Errno 13\b",
        StationError,
        "port-denied",
        "This user may not open {port}.",
        "Add the user to the group that owns it (dialout or uucp), then log in again.",
    ),
    EsptoolError(
        r"port is busy or doesn't exist|exclusively lock|Access is denied",
        PortBusy,
        "port-busy",
        "Another program uses {port}.",
        "Close it (a serial monitor?) and run the command again.",
    ),
    EsptoolError(
        r"This chip is (?P<found>[\w-]+), not (?P<wanted>[\w-]+)",
        BoardError,
        "wrong-chip",
        "The board on {port} has an {found}, the product needs an {wanted}.",
        "Take a board of the right type, or correct `board` in the product file.",
    ),
    EsptoolError(
        r"requires chip revision in range \[(?P<range>[^\]]*)",
        BoardError,
        "wrong-revision",
        "The chip on {port} has a revision that the firmware is not made for (it wants {range}).",
        "Take a firmware image for this revision.",
    ),
    EsptoolError(
        r"Wrong boot mode detected \((?P<mode>0x[0-9a-f]+)\)",
        BoardError,
        "wrong-boot-mode",
        "The board on {port} restarts, but into its program (boot mode {mode}) and not into the ROM loader.",
        "Hold its BOOT button while the run begins; if that helps, its auto-reset circuit does not pull IO0.",
    ),
    EsptoolError(
        r"Download mode successfully detected, but getting no sync reply",
        BoardError,
        "rom-deaf",
        "The board on {port} is in its ROM loader and hears nothing.",
        "Its RX line is open or held by something else on the board.",
    ),
    EsptoolError(
        r"Failed to start stub flasher|Stub flasher.*(?:fail|not start)|Unexpected response: b''",
        BoardError,
        "stub-not-started",
        "esptool's flasher was sent to the board on {port} and did not start.",
        "Run the command again; when it stays so, the chip's RAM or supply is bad: put the board aside.",
        SLOWER,
    ),
    EsptoolError(
        r"Secure Boot|Secure boot|flash encryption|Flash Encryption|[Ee]ncryption enabled",
        BoardError,
        "security-on",
        "The chip on {port} has secure boot or flash encryption on, and plain firmware cannot be written to it.",
        "Such a chip takes only images signed or encrypted with its own keys; use a fresh one.",
    ),
    EsptoolError(
        r"will not fit in (?P<size>\d+) bytes of flash",
        BoardError,
        "flash-too-small",
        "The board on {port} has {size} bytes of flash, too few for what is to be written.",
        "Take a board with more flash, or correct `flash_size` and `partition` in the board file.",
    ),
    EsptoolError(
        r"written flash region is empty",
        BoardError,
        "flash-protected",
        "The flash on {port} took nothing: it reads back empty.",
        "The flash chip is write-protected or defect: put the board aside.",
    ),
    EsptoolError(
        r"MD5 of file does not match data in flash",
        FlashMismatch,
        "flash-mismatch",
        "What was read back from the flash on {port} is not what was written.",
        "Run the command again; when it stays so, the flash chip is worn or its supply is bad: put the board aside.",
        SLOWER,
    ),
    EsptoolError(
        r"(?:Unable to verify flash chip connection|Failed to communicate with the flash chip|flash chip connection)",
        BoardError,
        "no-flash-chip",
        "The chip on {port} answers, its flash does not.",
        "Soldering or supply of the flash chip: put the board aside.",
    ),
    EsptoolError(
        r"Failed to connect to [\w-]+: (?!Wrong boot)[^\n]*",
        NoAnswer,
        "no-answer",
        "Nothing answers on {port} in the ROM loader.",
        "Check power and cable (some carry no data), or hold the BOOT button while the run begins.",
    ),
    EsptoolError(
        r"SerialException|could not be reconnected|device reports readiness to read|device disconnected|Errno 5\b|"
        r"ClearCommError|WriteFile failed|"
        r"[Cc]onnection (?:is )?(?:closed|reset|lost)|socket disconnected|port.{0,40}(?:not open|closed)|Broken pipe|Lost connection",
        StationError,
        "port-gone",
        "The port {port} went away while the board was written.",
        _CABLE,
    ),
    EsptoolError(
        r"No serial data received|No more data to read|"
        r"Serial data stream stopped|Invalid head of packet|Packet content transfer stopped|Timed out|"
        r"Corrupt|Invalid SLIP|Response doesn't match|Failed to (?!connect)[a-z]+ |"
        r"after seq|Operation or feature not supported",
        StationError,
        "line-errors",
        "The line to {port} loses or damages bytes at {baud} baud.",
        _CABLE,
        SLOWER,
    ),
    EsptoolError(
        r"unrecognized arguments|Usage:|No such option|Invalid value",
        StationError,
        "esptool-version",
        "The installed esptool does not take the arguments of version 5.",
        "pip install 'esptool>=5.2,<6'",
    ),
    EsptoolError(
        r"No module named '?esptool",
        StationError,
        "no-esptool",
        "esptool is not installed.",
        "pip install 'esptool>=5.2,<6'",
    ),
    EsptoolError(
        r"No such file or directory: '(?P<file>[^']+\.bin)'",
        FileMissing,
        "file-missing",
        "The file {file} went away before it was written.",
        "Run the command again.",
    ),
)

_LAST = re.compile(r"(?:fatal error occurred: |[Ee]rror: )(?P<text>[^\n]+)")


def explain(output: str, port: str, baud: int, log: str) -> tuple[TwinrootError, str]:
    """The error for a failed run with this output, and what a retry needs: SLOWER, or "" for no use."""
    tail = output[max(output.rfind("fatal error"), 0) :] if "fatal error" in output else output[-4000:]
    for text in dict.fromkeys((tail, output[-4000:])):
        for saying in ESPTOOL_ERRORS:
            found = re.search(saying.pattern, text)
            if found:
                sentence = saying.sentence.format(port=port, baud=baud, **found.groupdict())
                return saying.error(saying.code, sentence, saying.hint), saying.retry
    last = _LAST.search(output)
    said = last["text"].strip().rstrip(".") if last else (output.strip().splitlines() or ["nothing"])[-1][:120]
    return StationError("esptool-failed", f"esptool failed on {port}: {said}.", f"Its whole output is in {log}."), ""
