"""Rows of jobs that ask nothing of the ledger: the same rows, without the database layer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.errors import StationError
from provisioning.job import fingerprints as record
from provisioning.job.evidence import Evidence
from provisioning.job.report import Report
from provisioning.ledger import anchor
from provisioning.ledger.chain_check import verify
from provisioning.ledger.entry import CLAIM, INTENT, MOVED, OUTCOME
from provisioning.ledger.plain import NotPlain, Plain
from provisioning.ledger.store import Ledger
from tests.support.ledger_rows import MACS, run, tamper

_JOB = """
import sys
from provisioning.job.evidence import Evidence
from provisioning.job import fingerprints as record
from provisioning.job.report import Report
with Evidence("update", sys.argv[1]) as evidence:
    evidence.soon()
    report = Report(mac=sys.argv[2])
    evidence.before(report)
    report.passed("done")
    report.selftest = {"ok": True}
sys.exit(report.outcome != "pass" or "sqlalchemy" in sys.modules)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A ledger with one board's rows."""
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        run(ledger, "a" * 32, MACS[0], ["ws-1"])
    return tmp_path / "ledger.sqlite"


def test_a_job_has_its_rows_without_the_database_layer(file: Path) -> None:
    subprocess.run([sys.executable, "-c", _JOB, str(file), MACS[0]], check=True, timeout=60)
    with Ledger.open(file) as ledger:
        verdict = verify(ledger.rows(), anchor.read(ledger.anchor_file or file))
        assert verdict.ok and verdict.rows == 5 and verdict.anchored == 5, "columns are those of the body, and each row has its anchor"
        assert [(row.kind, row.fields.get("outcome")) for row in ledger.entries()][3:] == [(INTENT, None), (OUTCOME, "pass")]
        assert run(ledger, "b" * 32, MACS[1], ["ws-1", "ws-2"]) == "ws-2"
        names = {row.fields.get("operator") for row in list(ledger.entries())[3:5]}
        assert len(names) == 1 and ledger.operators() == {names.pop(): record.operator()}, "a pseudonym, as in every row"


def test_an_attempt_that_was_interrupted_is_found(file: Path) -> None:
    with Ledger.open(file) as ledger:
        run(ledger, "b" * 32, MACS[0], ["ws-1"], outcome=None)
    plain = Plain.open(str(file))
    assert plain is not None
    assert plain.has_open(MACS[0], "c" * 32) and not plain.has_open(MACS[0], "b" * 32) and not plain.has_open(MACS[1], "c" * 32)
    plain.close()


def test_what_is_not_plain_is_left_to_the_whole_ledger(file: Path, tmp_path: Path) -> None:
    assert Plain.open(str(tmp_path / "none.sqlite")) is None and not (tmp_path / "none.sqlite").exists()
    assert Plain.open("postgresql://u@127.0.0.1/x") is None and Plain.open(str(tmp_path)) is None
    (tmp_path / "text.sqlite").write_text("no database at all, " * 100)
    assert Plain.open(str(tmp_path / "text.sqlite")) is None
    tamper(file, "UPDATE alembic_version SET version_num = '0001'")
    assert Plain.open(str(file)) is None
    tamper(file, "UPDATE alembic_version SET version_num = '0005'")
    plain = Plain.open(str(file))
    assert plain is not None
    with Ledger.open(file) as ledger:
        ledger.append(MOVED, "d" * 32, {"reason": "elsewhere"})
    with pytest.raises(NotPlain):
        plain.append(CLAIM, "e" * 32, {"mac": MACS[2]})
    plain.close()
    with pytest.raises(Exception, match="goes on elsewhere"), Evidence("update", str(file)) as evidence:
        evidence.before(Report(mac=MACS[0]))


def test_a_row_with_a_key_is_refused(file: Path) -> None:
    plain = Plain.open(str(file))
    assert plain is not None
    with pytest.raises(StationError, match="private key"):
        plain.append(INTENT, "a" * 32, {"reason": "-----BEGIN PRIVATE KEY-----"})
    plain.close()
