"""Is what the board holds what it should hold? Hashes read back by code of ours, then the board's own report."""

from __future__ import annotations

from provisioning.bundle.bundle import Interpreter
from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.errors import BoardError
from provisioning.identity.on_board import OnBoard
from provisioning.job import board_identity
from provisioning.job.assign import NotThatDevice
from provisioning.job.prompt_session import board, reported, wiring_of
from provisioning.job.report import Report
from provisioning.job.selftest import check, check_selftest, chip_of, mac_text, selftest, take_selftest, with_repeats
from provisioning.link.events import Listener, silent
from provisioning.link.payload import Payload
from provisioning.link.repl import LinkBroken, RawRepl
from provisioning.link.transport.base import Hello
from provisioning.link.transport.choose import choose


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
        wanted = None
        if product is not None:
            if choice.device is not None and board_identity.has_files(product, choice.device):
                target = board_identity.Target(
                    choice.device
                )  # nothing has to be learned from the board, and each look costs it flash reads
            else:
                with report.step("who"):
                    held = with_repeats(repl, lambda: board_identity.who(repl, product)[1], LinkBroken)
                target = _meant(product, choice, held, repl.wire.name)
            bundle = target.bundle(product, _interpreter(hello))
            payload = Payload(bundle.trust, bundle.lib)
            wanted = payload.set_sha256
            _compare(report.files, payload.hashes(found["set"]), wanted, repl.wire.name)
        check_selftest(found, wanted, None, repl.wire.name)
        how = f", connected over {found['connect']['route']}" if connect else ""
        report.passed(f"Set {found['set']} of {found['product']} for {found['device']} is whole{how}.")
    return report


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
