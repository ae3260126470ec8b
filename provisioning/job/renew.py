"""`update --new-identity`: a board becomes a device by a certificate and a key that it did not hold. Deliberate, and in the ledger."""

from __future__ import annotations

from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.errors import TwinrootError
from provisioning.identity import factory
from provisioning.job import board_identity
from provisioning.job.prompt_session import board, reported, wiring_of
from provisioning.job.report import Report
from provisioning.job.selftest import mac_text
from provisioning.job.update_task import UpdateJob, UpdateTask
from provisioning.link import question
from provisioning.link.events import Listener
from provisioning.link.port_names import resolve


def renew(
    product: Product,
    device: Device,
    port: str | None,
    job: UpdateJob,
    events: Listener,
) -> Report:
    """Make the board on `port` `device` by the files that are here; where the product issues them, by new ones.

    What is replaced is laid aside, never deleted, and its fingerprint is in the ledger's rows. Returns a report; what goes wrong is in it.
    """
    report = Report(board=product.board.name, product=product.name, device=device.id, listener=events)
    with reported(report), board(port, report, wiring_of(product)) as repl:
        with report.step("who"):
            uid, held = question.who(repl)
        report.mac = mac_text(uid)
        report.passed("The board says who it is.")
    if report.outcome != "pass":
        return report
    replaces = held.fingerprint() if held else None
    try:
        if not job.dry_run and (replaces == factory.fingerprint_here(product, device) or not board_identity.has_files(product, device)):
            factory.retire(product, device, None)
            factory.ensure_identity(product, device)
    except TwinrootError as error:
        return report.failed(error)
    try:
        task = UpdateTask(job, device, report.mac or "", product, True, replaces, gives=True)
        return task.run(resolve(port, product.board.usb_ids), events)
    except TwinrootError as error:
        return report.failed(error)
