"""Rows are appended, chained and anchored; whatever is changed afterwards shows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from provisioning.errors import InputError, StationError
from provisioning.ledger import anchor
from provisioning.ledger.chain_check import ChainCheck, verify
from provisioning.ledger.entry import GENESIS, INTENT, OUTCOME
from provisioning.ledger.store import Ledger
from tests.support.ledger_rows import MACS, run, tamper


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "ledger.sqlite"
    with Ledger.open(file) as ledger:
        for n in range(4):
            run(ledger, f"attempt{n}", MACS[n], [f"ws-{n}"])
    return file


def check(path: Path, *, anchored: bool = True) -> ChainCheck:
    with Ledger.open(path, create=False) as ledger:
        assert ledger.anchor_file is not None
        return verify(ledger.rows(), anchor.read(ledger.anchor_file) if anchored else {})


def codes(verdict: ChainCheck) -> set[str]:
    return {fault.code for fault in verdict.faults}


def test_whole_ledger_is_ok_and_fully_anchored(path: Path) -> None:
    verdict = check(path)
    assert verdict.ok and verdict.rows == verdict.anchored == 12 and verdict.head[0] == 12


def test_each_row_names_the_one_before(path: Path) -> None:
    with Ledger.open(path) as ledger:
        entries = list(ledger.entries())
    assert entries[0].previous == GENESIS
    assert [e.previous for e in entries[1:]] == [e.hash for e in entries[:-1]]
    assert [e.seq for e in entries] == list(range(1, 13))


@pytest.mark.parametrize("statement", ["UPDATE entries SET device='x' WHERE seq=3", "DELETE FROM entries WHERE seq=3"])
def test_the_database_refuses_changes(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


TAMPERING = {
    "a field": (["UPDATE entries SET body=replace(body,'ws-1','ws-9') WHERE seq=4"], "row-edited"),
    "the mac column": (["UPDATE entries SET mac='24:0a:c4:ff:ff:ff' WHERE seq=4"], "column-edited"),
    "the device column": (["UPDATE entries SET device=NULL WHERE seq=4"], "column-edited"),
    "the certificate column": (["UPDATE entries SET certificate=NULL WHERE seq=5"], "column-edited"),
    "the hash": (["UPDATE entries SET hash='" + "a" * 64 + "' WHERE seq=4"], "row-edited"),
    "a removed row": (["DELETE FROM entries WHERE seq=5"], "row-missing"),
    "a removed first row": (["DELETE FROM entries WHERE seq=1"], "row-missing"),
    "removed and renumbered": (["DELETE FROM entries WHERE seq=5", "UPDATE entries SET seq=seq-1 WHERE seq>5"], "row-moved"),
    "two swapped": (
        ["UPDATE entries SET seq=99 WHERE seq=4", "UPDATE entries SET seq=4 WHERE seq=5", "UPDATE entries SET seq=5 WHERE seq=99"],
        "row-moved",
    ),
    "the tail cut off": (["DELETE FROM entries WHERE seq>9"], "tail-missing"),
    "the last row cut off": (["DELETE FROM entries WHERE seq>11"], "tail-missing"),
    "everything cut off": (["DELETE FROM entries"], "tail-missing"),
    "noise in a row": (["UPDATE entries SET body='{' WHERE seq=2"], "row-edited"),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_shows(path: Path, what: str) -> None:
    statements, code = TAMPERING[what]
    tamper(path, *statements)
    assert code in codes(check(path))


def test_a_row_edited_with_its_hash_breaks_the_chain(path: Path) -> None:
    """Whoever edits a row and computes its new hash must also rewrite every later row; then the anchors differ."""
    with Ledger.open(path) as ledger:
        entries = list(ledger.entries())
    body = entries[3].canonical().replace("ws-1", "ws-9")
    from provisioning.ledger.entry import sha256

    tamper(path, f"UPDATE entries SET body='{body}', hash='{sha256(body)}', device='ws-9' WHERE seq=4")
    assert "chain-broken" in codes(check(path, anchored=False))
    assert "row-replaced" in codes(check(path))


def test_the_chain_alone_does_not_show_a_missing_tail(path: Path) -> None:
    """Why there are anchors; said in the documentation, so it is a test."""
    tamper(path, "DELETE FROM entries WHERE seq>9")
    assert check(path, anchored=False).ok
    assert not check(path).ok


def test_a_head_noted_elsewhere_shows_a_tail_cut_off_both_files(path: Path) -> None:
    verdict = check(path)
    noted = dict([anchor.parse_head(f"{verdict.head[0]}:{verdict.head[1]}")])
    tamper(path, "DELETE FROM entries WHERE seq>9")
    file = path.with_name(path.name + ".anchor")
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:9]))
    assert check(path).ok
    with Ledger.open(path) as ledger:
        assert codes(verify(ledger.rows(), noted)) == {"tail-missing"}


def test_a_torn_anchor_line_is_no_fault_and_a_wrong_one_is(path: Path) -> None:
    file = path.with_name(path.name + ".anchor")
    whole = file.read_text()
    file.write_text(whole + "13 abc")
    assert check(path).ok
    file.write_text("rubbish\n" + whole)
    with pytest.raises(InputError, match=":1: "):
        check(path)


def test_unknown_fields_and_key_material_are_refused(path: Path) -> None:
    with Ledger.open(path) as ledger:
        with pytest.raises(StationError, match="no field 'key'"):
            ledger.append(INTENT, "a", {"key": "x"})
        with pytest.raises(StationError, match="private key"):
            ledger.append(OUTCOME, "a", {"message": "-----BEGIN EC PRIVATE KEY-----"})
    assert check(path).rows == 12


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    file.write_bytes(b"no database at all, " * 100)
    with pytest.raises(StationError, match=r"x\.sqlite"), Ledger.open(file):
        pass
    with pytest.raises(InputError, match="no ledger"):
        Ledger.open(tmp_path / "none.sqlite", create=False)


def test_a_url_opens_the_same_ledger(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}") as ledger:
        assert len(list(ledger.entries())) == 12
    with pytest.raises(InputError):
        Ledger.open("nosuchdb://host/x")
