"""Every command that writes a board says so in the ledger: an intent before the first write, an outcome after."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.config.device import single_device
from provisioning.config.load import load_product
from provisioning.identity import factory
from provisioning.job.evidence import Evidence
from provisioning.job.report import Report
from provisioning.ledger import claims
from provisioning.ledger.chain_check import verify
from provisioning.ledger.store import Ledger
from provisioning.virtual import VirtualBoard
from tests.flash import products
from tests.support.command import InProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")
MAC = "24:0a:c4:00:00:07"


@pytest.fixture
def board() -> Iterator[VirtualBoard]:
    with VirtualBoard(paced=False) as running:
        yield running


@pytest.fixture
def twinroot(capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(capsys)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> products.Made:
    """A product, and the files of ws-0001."""
    made = products.at_home(products.make(tmp_path / "p"), monkeypatch)
    factory.ensure_identity(load_product(made.product), single_device("ws-0001"))
    return made


def rows(made: products.Made) -> list[tuple[str, str | None, str | None]]:
    """Kind, job and outcome of all rows; each has the board."""
    if not made.ledger.exists():
        return []
    with Ledger.open(made.ledger, create=False) as ledger:
        assert verify(ledger.rows(), {}).ok
        return [(entry.kind, entry.fields.get("job"), entry.fields.get("outcome")) for entry in ledger.entries()]


def pair(job: str, outcome: str = "pass") -> list[tuple[str, str | None, str | None]]:
    return [("intent", job, None), ("outcome", job, outcome)]


def test_a_board_in_the_field(tmp_path: Path, made: products.Made, board: VirtualBoard, twinroot: InProcess) -> None:
    """Updated twice, rolled back, its files put back, got back from its own program: all of it is known, and nothing that wrote nothing."""
    port = ("--port", board.port)
    factory.ensure_identity(load_product(made.product), single_device("ws-0001"))
    code, report, said = twinroot("update", str(made.product), "--device", "ws-0001", "--dry-run", *port)
    assert code == 0, said
    assert rows(made) == [], "a dry run writes nothing"
    code, report, said = twinroot("update", str(made.product), "--device", "ws-0001", *port)
    assert code == 0, said
    expected = pair("update")
    assert rows(made) == expected
    with Ledger.open(made.ledger) as ledger:
        intent, outcome = ledger.entries()
        assert intent.fields["mac"] == outcome.fields["mac"] == report["mac"] == board.mac
        assert intent.fields["set_sha256"] and intent.fields["certificate_sha256"] and intent.fields["roots"]
        assert outcome.fields["files"] == report["files"] and outcome.fields["wrote"] is True
    # Its bill of materials, by what anybody can type: the board has said which firmware it runs, and nobody has proven which image that is.
    version = report["firmware_version"]
    assert version == intent.fields["firmware_version"] and "firmware_sha256" not in intent.fields
    _, bill, said = twinroot("sbom", str(made.product), "--device", "ws-0001", "--firmware-version", version)
    assert bill["sha256"] == intent.fields["sbom_sha256"] == outcome.fields["sbom_sha256"], said
    assert twinroot("update", str(made.product), *port)[1]["code"] == "unchanged"
    assert rows(made) == expected, "nothing was written, and nothing is said"
    assert twinroot("update", str(made.changed().product), *port)[0] == 0
    assert twinroot("rollback", *port)[0] == 0
    expected += pair("update") + pair("rollback")
    assert rows(made) == expected
    kept = tmp_path / "kept"
    assert twinroot("rescue", "--backup", str(kept), *port)[0] == 0
    assert rows(made) == expected, "a backup only reads"
    assert twinroot("rescue", "--restore", str(kept), *port)[0] == 0
    expected += pair("restore")
    assert rows(made) == expected
    with Ledger.open(made.ledger) as ledger:
        assert ledger.read(lambda connection: claims.device_of(connection, board.mac)) is None, "what was done binds nobody"


def test_a_ledger_that_cannot_be_written_keeps_the_board_as_it_is(made: products.Made, board: VirtualBoard, twinroot: InProcess) -> None:
    made.ledger.write_bytes(b"no database at all, " * 100)
    code, report, said = twinroot("update", str(made.product), "--device", "ws-0001", "--port", board.port)
    assert (code, report["code"], report["written"]) == (3, "ledger-unusable", []), said
    made.ledger.unlink()
    code, report, said = twinroot("verify", "--port", board.port)
    assert report["code"] == "no-package", (report, said)


def test_a_run_that_is_stopped_has_an_outcome(tmp_path: Path) -> None:
    location = str(tmp_path / "ledger.sqlite")
    with pytest.raises(KeyboardInterrupt), Evidence("update", location) as evidence:
        evidence.before(Report(mac=MAC))
        raise KeyboardInterrupt
    with Ledger.open(location) as ledger:
        assert [entry.kind for entry in ledger.entries()] == ["intent", "outcome"]
        assert list(ledger.entries())[-1].fields["code"] == "interrupted"


def test_a_job_that_writes_nothing_makes_no_ledger(tmp_path: Path) -> None:
    with Evidence("update", str(tmp_path / "ledger.sqlite")):
        pass
    assert not (tmp_path / "ledger.sqlite").exists()
