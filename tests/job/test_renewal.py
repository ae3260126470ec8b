"""A renewed certificate by cable: a set like any other, for the same key and device, and back again."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from provisioning.config.load import load_product
from provisioning.identity import factory, renewal
from provisioning.identity.files import discard_key
from provisioning.identity.issue import issue, sign
from provisioning.identity.keys import make_key
from provisioning.job import renewed_certificates as work
from provisioning.job.rollback import rollback
from provisioning.job.update import update
from provisioning.job.update_task import UpdateJob, UpdateTask
from provisioning.job.verify import verify
from provisioning.ledger.store import Ledger
from tests.job.conftest import Bench
from tests.support.product_files import write_identity, write_product

ISSUE = "  issue: {ca: factory/ca.crt.pem, ca_key: factory/ca.key.pem, days: 400, keep_key: true}\n"


class Line:
    """The bench's product, with a CA; its board holds a certificate that ends in a month."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        folder.mkdir()
        self.bench, self.folder, self.ledger = bench, folder, folder / "ledger.sqlite"
        factory.make_ca("Test Factory", folder / "factory")
        self.product: Any = load_product(write_product(folder, bench.text + ISSUE))
        self.certificate, self.key = (folder / "devices" / f"ws-0001.{end}.pem" for end in ("crt", "key"))
        issue("ws-0001", self.certificate, self.key, self.ca, days=30)
        assert update(self.product, bench.device, bench.port).generation == 1

    @property
    def ca(self) -> Any:
        return factory.authority(self.product)

    def renew(self) -> str:
        """The day on which the new one ends."""
        now = work.now()
        with Ledger.open(self.ledger) as ledger:
            [row] = work.renew(work.Order.of(self.product, self.ca, 400, now, now + timedelta(days=31)), [self.bench.device], ledger)
        assert row.result == "renewed", row.message
        return row.not_after

    def on_board(self) -> str:
        return self.bench.run("n=open('/trust/active').read()\nprint(open('/trust/'+n+'/device.crt.pem').read())").strip()


@pytest.fixture
def line(bench: Bench, tmp_path: Path) -> Line:
    return Line(bench, tmp_path / "line")


@pytest.mark.parametrize("key_is", ["on the board", "here as well"])
def test_the_same_key_for_longer_and_back(line: Line, key_is: str) -> None:
    if key_is == "on the board":
        discard_key(line.key)
    before = line.on_board()
    ends = line.renew()
    behind = verify(line.bench.port, line.product, line.bench.device)
    assert (behind.outcome, behind.code) == ("fail", "old-certificate") and ends in behind.message and "update" in behind.hint
    report = UpdateTask(UpdateJob(line.product.source, None, str(line.ledger)), line.bench.device).run(line.bench.port, lambda _event: None)
    assert (report.outcome, report.code, report.generation, report.previous) == ("pass", "pass", 2, 1), report.message
    assert any("renewed" in note and ends in note for note in report.notes)
    assert line.on_board().splitlines() == line.certificate.read_text().splitlines()
    with Ledger.open(line.ledger) as ledger:
        *_, intent, outcome = ledger.entries(device="ws-0001")
    old = renewal.leaf(before.encode(), Path("before"))
    assert (intent.fields["replaces"], outcome.fields["outcome"]) == (renewal.fingerprint(old), "pass")
    found = verify(line.bench.port, line.product, line.bench.device)
    assert found.outcome == "pass" and f"valid until {ends}" in found.message, found.message
    assert found.certificate["sha256"] == factory.fingerprint_here(line.product, line.bench.device)
    assert update(line.product, line.bench.device, line.bench.port).code == "unchanged"
    # The board is on trial with it, as with any set; by hand it goes back.
    assert rollback(line.bench.port).generation == 1
    assert line.on_board() == before
    back = verify(line.bench.port)
    assert back.outcome == "pass" and f"{old.not_after:%Y-%m-%d}" in back.message, back.message
    assert verify(line.bench.port, line.product, line.bench.device).code == "old-certificate"
    assert update(line.product, line.bench.device, line.bench.port).code == "pass"
    assert line.on_board().splitlines() == line.certificate.read_text().splitlines()


def test_another_key_stays_refused(line: Line) -> None:
    discard_key(line.key)
    writes = line.bench.flash_writes()
    for name, key in (("another key", make_key("p256")), ("another device", None)):
        if key is not None:
            write_identity(line.folder, "ws-0001", key)
        else:
            issue("ws-0007", line.folder / "c.pem", line.folder / "k.pem", line.ca)
            line.certificate.write_bytes((line.folder / "c.pem").read_bytes())
        line.key.unlink(missing_ok=True)
        report = update(line.product, line.bench.device, line.bench.port)
        assert (report.code, report.exit_code) == ("other-certificate", 2), (name, report.message)
        assert "which of the two" in report.hint
    # With a key of its own here it is no renewal either.
    write_identity(line.folder, "ws-0001")
    assert update(line.product, line.bench.device, line.bench.port).code == "other-certificate"
    assert line.bench.flash_writes() == writes


def test_the_board_keeps_the_later_one(line: Line, tmp_path: Path) -> None:
    """A folder from before the renewal takes nothing back, whether it has the key or not."""
    old = line.certificate.read_bytes()
    ends = line.renew()
    assert update(line.product, line.bench.device, line.bench.port).generation == 2
    line.certificate.write_bytes(old)
    for has_key in (True, False):
        if not has_key:
            discard_key(line.key)
        report = update(line.product, line.bench.device, line.bench.port)
        assert (report.code, report.generation) == ("unchanged", 2), report.message
        assert any("keeps it" in note and ends in note for note in report.notes)
        found = verify(line.bench.port, line.product, line.bench.device)
        assert found.outcome == "pass" and ends in found.message, found.message
    # And in the field, where nothing is but the product.
    field = tmp_path / "field"
    field.mkdir()
    product = load_product(write_product(field, line.bench.text))
    assert update(product, None, line.bench.port).code == "unchanged"


def test_a_certificate_that_is_not_valid_today_is_not_written(line: Line) -> None:
    discard_key(line.key)
    old = x509.load_pem_x509_certificate(line.certificate.read_bytes())
    made = sign(old.subject, old.public_key(), line.ca, 400, datetime.now().astimezone() + timedelta(days=3))
    line.certificate.write_bytes(made.public_bytes(Encoding.PEM))
    writes = line.bench.flash_writes()
    assert update(line.product, line.bench.device, line.bench.port).code == "certificate-not-yet-valid"
    assert line.bench.flash_writes() == writes
