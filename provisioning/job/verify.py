"""Is what the board holds what it should hold? Hashes read back by code of ours, then the board's own report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from provisioning.bundle.bundle import CERTIFICATE_FILE, Interpreter, Kept, build
from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.errors import BoardError
from provisioning.identity import renewal
from provisioning.identity.on_board import OnBoard
from provisioning.job import board_identity, certificate_there
from provisioning.job.assign import NotThatDevice
from provisioning.job.prompt_session import board, reported, wiring_of
from provisioning.job.report import Report
from provisioning.job.selftest import (
    OtherSet,
    check,
    check_selftest,
    chip_of,
    mac_text,
    note_application,
    selftest,
    take_selftest,
    with_repeats,
)
from provisioning.link import question
from provisioning.link.events import Listener, silent
from provisioning.link.payload import Payload
from provisioning.link.repl import LinkBroken, RawRepl
from provisioning.link.transport.base import Hello
from provisioning.link.transport.choose import choose
from provisioning.trust import der


def verify(
    port: str | None,
    product: Product | None = None,
    device: Device | board_identity.Choice | None = None,
    connect: bool = False,
    *,
    transport: str = "auto",
    events: Listener = silent,
) -> Report:
    """Read back, hash, self-report; with `connect` a real handshake by the device. Writes nothing.

    With `product` the board must hold exactly that, as `device`: a Device, a Choice, or None for the one that it is. What this computer
    does not have of certificate and key is taken from the board. Without a product, it must hold what its own set.json says.
    """
    choice = device if isinstance(device, board_identity.Choice) else board_identity.Choice(device)
    report = Report(listener=events)
    with reported(report), board(port, report, wiring_of(product)) as repl:
        with report.step("restart"):
            repl.soft_reset()
        with report.step("read-back"):
            hello = with_repeats(repl, lambda: _read_back(repl, report, product, transport, events), LinkBroken)
        with report.step("selftest"):
            found = with_repeats(repl, lambda: selftest(repl, connect), LinkBroken)
        take_selftest(report, found)
        if product is None or product.vendor is not None:  # others' applications are files in the root folder
            with_repeats(repl, lambda: note_application(repl, report, found["set"]), LinkBroken)
        if product is None:
            check_selftest(found, None, None, repl.wire.name)
            held = _held(repl, report, None)
            leaf = held.leaf() if held is not None else None
        else:
            leaf = _is_the_product(repl, report, product, choice, hello, found)
        how = f", connected over {found['connect']['route']}" if connect else ""
        dated = ""
        if leaf is not None:
            report.certificate, dated = certificate_there.facts(leaf), f"; {certificate_there.clause(leaf)}"
        report.passed(f"Set {found['set']} of {found['product']} for {found['device']} is whole{how}{dated}.")
    return report


def _held(repl: RawRepl, report: Report, product: Product | None) -> OnBoard | None:
    with report.step("who"):
        return with_repeats(
            repl, lambda: board_identity.who(repl, product)[1] if product is not None else question.who(repl)[1], LinkBroken
        )


def _is_the_product(
    repl: RawRepl, report: Report, product: Product, choice: board_identity.Choice, hello: Hello, found: dict[str, Any]
) -> der.Certificate:
    """Raises BoardError where the board, whose own report is `found`, holds anything else than `product`. Returns its certificate."""
    name, held = repl.wire.name, None
    if choice.device is not None and board_identity.has_files(product, choice.device):
        # Nothing has to be learned from the board, and each look costs it flash reads.
        target = board_identity.Target(choice.device)
    else:
        held = _held(repl, report, product)
        target = _meant(product, choice, held, name)
    bundle = target.bundle(product, _interpreter(hello))
    payload = Payload(bundle.trust, bundle.lib)
    _compare(report.files, payload.hashes(found["set"]), payload.set_sha256, name)
    try:
        check_selftest(found, payload.set_sha256, None, name)
    except OtherSet:
        if found["device"] == target.device.id:
            held = held or _held(repl, report, product)
            behind = _meant(product, board_identity.Choice(target.device), held, name).renewal
            if held is not None and behind is not None and _is_that_with(held, target.device, product, hello, found, name):
                if behind.goes_on:
                    raise certificate_there.is_behind(behind, name) from None
                report.note(behind.note())
                return behind.held
        raise
    return renewal.leaf(bundle.trust[CERTIFICATE_FILE], Path(CERTIFICATE_FILE))


def _is_that_with(held: OnBoard, device: Device, product: Product, hello: Hello, found: dict[str, Any], name: str) -> bool:
    """Whether the board holds the product in everything but its own certificate, and not merely something else as well."""
    own = build(product, device, _interpreter(hello), Kept(held.pair(name), held.texts))
    return bool(own.set_sha256 == found["set_sha256"])


def _interpreter(hello: Hello) -> Interpreter:
    return Interpreter(hello.mp, hello.mpy or None, hello.platform)


def _meant(product: Product, choice: board_identity.Choice, held: OnBoard | None, name: str) -> board_identity.Target:
    """What the board should be. Another device than that is not a mistake of the input here: it is what was asked."""
    try:
        return board_identity.target(product, choice, held, name)
    except NotThatDevice as error:
        raise BoardError(error.code, error.message, error.hint) from None


def _read_back(repl: RawRepl, report: Report, product: Product | None, transport: str, events: Listener) -> Hello:
    """What the board is; the hashes of its files go into the report."""
    session, _ = choose(repl, transport, events=events)
    report.transport = session.name
    hello = session.hello()
    report.mac, report.chip = mac_text(hello.uid), chip_of(hello.machine)
    if product is not None:
        check(hello, product, repl.wire.name, report)
    report.files = session.audit()
    session.close()
    return hello


def _compare(found: dict[str, str], wanted: dict[str, str], set_sha256: str, name: str) -> None:
    if set_sha256 not in found.values():
        return  # another set altogether: judge() says so better
    # An app's files are hashed by no audit: they are the user's to change.
    wrong = sorted(path for path, sha in wanted.items() if path in found and found[path] != sha)
    if wrong:
        raise BoardError(
            "bad-files",
            f"Files on the board on {name} are not the product's: {', '.join(wrong)}.",
            "Write the product again: `twinroot update PRODUCT.yaml`.",
        )
