"""Operators' names: pseudonyms in the chain, names beside it, erased by rule, gone from the file, and everything still verifies."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from provisioning.cli.main import run as twinroot
from provisioning.ledger import names
from provisioning.ledger.chain_check import verify
from provisioning.ledger.entry import OUTCOME, Entry
from provisioning.ledger.move import move
from provisioning.ledger.store import Ledger, insert
from tests.support.ledger_rows import MACS

KIM, ZOE = "Kim Zaunkoenig", "Zoe Rotkehlchen"


def row(ledger: Ledger, number: int, operator: str, month: str | None = None) -> str:
    """A row of `operator`; `month`: when its name was first used."""
    attempt = f"{number:032x}"
    entry = ledger.append(OUTCOME, attempt, {"mac": MACS[number], "outcome": "pass", "operator": operator})
    if month is not None:
        change = names.OPERATORS.update().where(names.OPERATORS.c.pseudonym == entry.fields["operator"]).values(month=month)
        ledger._do(lambda connection: connection.execute(change), reading=False)
    return str(entry.fields["operator"])


def everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = twinroot(["ledger", *arguments])
    return code, capsys.readouterr().out


def test_names_are_erased_by_rule_and_the_chain_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "l" / "ledger.sqlite"
    place = ("--ledger", str(file))
    with Ledger.open(file) as ledger:
        # Many, so that pages of the table were split, and cells moved between them.
        for number in range(60):
            row(ledger, number, f"{KIM} {number}", "2020-01")
        old = row(ledger, 60, KIM, "2020-02")
        new = row(ledger, 61, KIM)
        assert old != new and row(ledger, 62, KIM) == new, "one for a month"
        assert KIM not in "".join(entry.canonical() for entry in ledger.entries())
        _, head = verify(ledger.rows(), {}).head
    assert KIM.encode() in everything(file.parent)
    code, out = run(capsys, "retain", "--months", "24", *place, "--json")
    assert (code, json.loads(out)["erased"]) == (0, 61)
    assert KIM.encode() in everything(file.parent), "this month's is there"
    assert f"{KIM} ".encode() not in everything(file.parent)
    assert json.loads(run(capsys, "retain", "--months", "24", *place, "--json")[1])["erased"] == 0
    with Ledger.open(file) as ledger:
        verdict = verify(ledger.rows(), {63: head})
        assert verdict.ok and verdict.rows == 64, "one row says so, and a rule with nothing to do adds none"
        assert ledger.operators()[new] == KIM and len(ledger.operators()) == 2, "and who ran the rule"
    assert json.loads(run(capsys, "retain", "--operator", KIM, *place, "--json")[1])["erased"] == 1
    assert KIM.encode() not in everything(file.parent), "neither in the table nor in free space, log or anchor"
    assert run(capsys, "verify", *place)[0] == 0
    assert run(capsys, "retain", "--operator", KIM, "--months", "2", *place)[0] == 2


def test_export_and_record_have_names_only_where_they_are_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ledger.sqlite"
    with Ledger.open(file) as ledger:
        op = row(ledger, 1, ZOE)
    place = ("--ledger", str(file))
    for form in ("csv", "jsonl"):
        assert ZOE not in run(capsys, "export", "--format", form, *place)[1]
        out = run(capsys, "export", "--format", form, "--names", *place)[1]
        found = json.loads(out) if form == "jsonl" else next(csv.DictReader(io.StringIO(out)))
        assert (found["operator"], found["operator_name"]) == (op, ZOE)
    page = tmp_path / "page.html"
    for options, shown in (((), True), (("--no-names",), False)):
        assert run(capsys, "record", "--mac", MACS[1], "--out", str(page), *options, *place)[0] == 0
        assert (ZOE in page.read_text(), op in page.read_text()) == (shown, True)
    run(capsys, "retain", "--operator", ZOE, *place)
    run(capsys, "record", "--mac", MACS[1], "--out", str(page), *place)
    assert ZOE not in page.read_text() and op in page.read_text()


def test_rows_of_older_toolkits_are_counted_and_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ledger.sqlite"
    with Ledger.open(file) as ledger:
        row(ledger, 1, KIM)
        head = verify(ledger.rows(), {}).head
        entry = Entry(2, "2024-01-01T00:00:00.000Z", OUTCOME, "f" * 32, {"operator": ZOE, "outcome": "pass"}, head[1])
        ledger._do(lambda connection: insert(connection, entry), reading=False)
    code, out = run(capsys, "retain", "--ledger", str(file), "--json")
    assert (code, json.loads(out)["names"], json.loads(out)["rows_with_names"]) == (0, 1, 1)
    assert twinroot(["ledger", "retain", "--operator", KIM, "--ledger", str(file)]) == 0
    assert "1 rows of older toolkits" in capsys.readouterr().err


def test_a_home_folder_is_no_name_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "zaunkoenig"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        fields = {"log": f"{home}/logs/a.log", "message": f"{home} and {home}x", "files": {"a": f"{home}/b"}, "outcome": "error"}
        entry = ledger.append(OUTCOME, "a" * 32, fields)
    assert entry.fields == {"log": "~/logs/a.log", "message": f"~ and {home}x", "files": {"a": "~/b"}, "outcome": "error"}


def test_a_move_takes_the_names_along(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "a.sqlite") as old, Ledger.open(tmp_path / "b.sqlite") as new:
        op = row(old, 1, KIM)
        assert move(old, new, "m" * 32, {"operator": ZOE}) == 1
        assert new.operators() == {op: KIM}
