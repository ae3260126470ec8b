"""What jobs ask of a board before they touch it, and how they hear its own report."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from provisioning.config.product import Product
from provisioning.errors import BoardError
from provisioning.job.report import Report
from provisioning.link import agent, firmware_kind
from provisioning.link.answer_check import checked
from provisioning.link.question import REPORT
from provisioning.link.repl import DeviceException, RawRepl
from provisioning.link.transport.base import LITTLEFS, Hello, Session

T = TypeVar("T")

_BYTECODE = "incompatible .mpy"  # what MicroPython says of a .mpy file of another version (py/persistentcode.c)
_SELFTEST = "__import__('twinroot').selftest(%s)"
CONNECT_SECONDS = 180.0  # of silence: Wi-Fi, time, and a handshake with every route, each with its own limit on the device


def chip_of(machine: str) -> str | None:
    """esp32, esp32s3, …: the last word of `sys.implementation._machine` ("Generic ESP32S3 module with ESP32S3"); None if it has none."""
    found = re.findall(r"esp32(?:[-_ ]?[a-z]\d+)?", machine.lower())
    return re.sub("[-_ ]", "", found[-1]) if found else None


def mac_text(uid: str) -> str | None:
    return ":".join(uid[at : at + 2] for at in range(0, 12, 2)) if len(uid) >= 12 else None


def check(hello: Hello, product: Product, name: str, report: Report) -> None:
    """Refuse a board that is not the product's, before the first write."""
    report.chip = chip_of(hello.machine)
    report.mac = mac_text(hello.uid)
    firmware_kind.refuse("micropython", hello.mp, name)  # before the chip, which an old one does not tell
    wanted = product.board.chip.replace("-", "").lower()
    if report.chip != wanted:
        raise BoardError(
            "wrong-chip",
            f"The board on {name} is {report.chip or 'no ESP32'} ({hello.machine}), the product is for {wanted}.",
            "Connect the board that the product file names, or correct `board:` in the product file.",
        )


_FAT = re.compile(r"VfsFat\b[^']*'/'\)")  # the root's entry in the list of mounts


def check_file_system(session: Session, name: str) -> None:
    """Refuse, before the first write, a board whose files lie on FAT: no order of writes makes its rename atomic."""
    mounts = session.hello().fs
    if _FAT.search(mounts) or (not mounts and LITTLEFS not in session.head()):
        raise BoardError(
            "fat-file-system",
            f"The board on {name} keeps its files on FAT, where a power cut during a rename can lose the file, so no set would be safe.",
            "Write firmware with littlefs, as stock ESP32 firmware has it: `twinroot flash PRODUCT.yaml`.",
        )


def selftest(repl: RawRepl, connect: bool = False) -> dict[str, Any]:
    """The device's own report. Raises BoardError("no-package") when the connection package is missing there."""
    try:
        found = repl.value(_SELFTEST % connect, CONNECT_SECONDS if connect else 0.0, first=agent.small("beats"))
    except DeviceException as error:
        if _BYTECODE in error.raised:
            raise _other_bytecode(repl.wire.name) from error
        raise BoardError(
            "no-package",
            f"The board on {repl.wire.name} cannot report about itself: {error.raised}.",
            "Write a product to it: `twinroot update PRODUCT.yaml`.",
        ) from error
    wanted = {**REPORT, "connect": {"ok": bool, "error": object, "kind": object, "route": object}} if connect else REPORT
    report: dict[str, Any] = checked(found, wanted, repl.wire.name)
    return report


def _other_bytecode(name: str) -> BoardError:
    return BoardError(
        "other-bytecode",
        f"The MicroPython of the board on {name} does not take the bytecode of its set, which was made for another version of it.",
        "Write the product to it again: `twinroot update PRODUCT.yaml`. What the board is, it stays.",
    )


_NO_RUNNER = (
    "There is no /main.py on the board, so the application of set {} does not run: `twinroot update` of a product with an application "
    "puts back what runs it."
)
_OTHER_MAIN = (
    "/main.py is a program that no set has brought, and runs instead of the application of set {}: `twinroot update` of a product with an "
    "application puts back what runs that."
)


def note_application(repl: RawRepl, report: Report, number: int) -> None:
    """A note in the report where the application of the set `number` does not run: after a `rescue`, or a /main.py written by hand."""
    found = checked(repl.value(f"runs({number})", first=agent.small("runs")), int, repl.wire.name)
    if found:
        report.note((_NO_RUNNER if found == 1 else _OTHER_MAIN).format(number))


def with_repeats(repl: RawRepl, question: Callable[[], T], again: type[BoardError] = BoardError) -> T:
    """The answer to a question that writes nothing, asked again when the line swallows or changes it or the answer.

    `again`: errors after which it is asked again; LinkBroken for questions that a board may be refused by.
    """
    for _ in range(2):
        try:
            return question()
        except again:
            repl.enter()
    return question()


def take_selftest(report: Report, found: dict[str, Any]) -> None:
    """Take over from the device's report what the report says about the board."""
    report.selftest = found
    report.generation, report.previous = found["set"], found["previous"]
    report.mac = report.mac or mac_text(found["uid"] or "")
    for name in ("product", "device", "board"):
        setattr(report, name, found[name] or getattr(report, name))


class OtherSet(BoardError):
    """The board is whole, and its set is not the one that was asked for."""


def check_selftest(found: dict[str, Any], set_sha256: str | None, number: int | None, name: str) -> None:
    """Raise BoardError unless the device's report is good and speaks of the set that it should."""
    if found["bad"]:
        raise BoardError(
            "bad-files",
            f"The board on {name} reports files that are not what its set says: {', '.join(found['bad'])}.",
            "Write the product again: `twinroot update PRODUCT.yaml`.",
        )
    connect = found.get("connect")
    if connect and not connect["ok"] and not found["error"]:
        why = str(connect["error"]).removeprefix("-: ").rstrip(".")  # "-" where a route would stand: it came to none
        raise BoardError(
            "no-connection",
            f"The board on {name} holds its set whole, and cannot connect ({connect['kind']}): {why}.",
            "Check the network and the endpoints that the product names: `twinroot trust probe HOST` asks one from here.",
        )
    if _BYTECODE in str(found["error"]):
        raise _other_bytecode(name)
    if not found["ok"]:
        raise BoardError(
            "bad-selftest", f"The board on {name} reports: {found['error']}.", "Write the product again: `twinroot update PRODUCT.yaml`."
        )
    if (set_sha256 and found["set_sha256"] != set_sha256) or (number and found["set"] != number):
        raise OtherSet(
            "other-set",
            f"The board on {name} reports set {found['set']} of {found['product']} for {found['device']}, not the one that was asked for.",
            "Write the product to it: `twinroot update PRODUCT.yaml`.",
        )
