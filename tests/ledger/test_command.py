"""The command: show, verify, export, release, and what it says when there is nothing or something is wrong."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from provisioning.cli.main import run as twinroot
from provisioning.ledger.store import Ledger
from tests.support.ledger_rows import MACS, run, tamper


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "ledger.sqlite"
    with Ledger.open(file) as ledger:
        for n in range(2):
            run(ledger, f"attempt{n}", MACS[n], [f"ws-{n}"])
    return file


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = twinroot(["ledger", *arguments])
    return code, capsys.readouterr().out


def test_show(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = call(capsys, "show", "--ledger", str(path), "--json")
    assert code == 0 and len(json.loads(out)["entries"]) == 6
    code, out = call(capsys, "show", "--ledger", str(path), "--mac", MACS[1].upper(), "--last", "2")
    assert code == 0 and "PASS" in out and "ws-1" in out and "ws-0" not in out


def test_verify_says_the_head_and_finds_an_edit(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = call(capsys, "verify", "--ledger", str(path), "--json")
    verdict = json.loads(out)
    assert code == 0 and verdict["ok"] and verdict["head"].startswith("6:")
    assert call(capsys, "verify", "--ledger", str(path), "--head", verdict["head"])[0] == 0
    tamper(path, "UPDATE entries SET device='ws-7' WHERE seq=2")
    code, out = call(capsys, "verify", "--ledger", str(path))
    assert code == 1 and "column-edited" in out


def test_export_both_forms(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = call(capsys, "export", "--ledger", str(path), "--format", "jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [row["seq"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["previous"] for row in rows[1:]] == [row["hash"] for row in rows[:-1]]
    target = tmp_path / "out.csv"
    assert call(capsys, "export", "--ledger", str(path), "--out", str(target))[0] == 0
    table = list(csv.DictReader(io.StringIO(target.read_text())))
    assert [row["mac"] for row in table] == [MACS[0]] * 3 + [MACS[1]] * 3


def test_a_cell_is_never_a_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.append("release", "a", {"mac": MACS[0], "reason": "=cmd|' /C calc'!A0"})
    _, out = call(capsys, "export", "--ledger", str(tmp_path / "l.sqlite"))
    assert next(csv.DictReader(io.StringIO(out)))["reason"].startswith("'=")


def test_release(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = call(capsys, "release", "--ledger", str(path), "--device", "ws-0", "--reason", "dropped", "--json")
    assert code == 0 and json.loads(out)["mac"] == MACS[0]
    assert call(capsys, "release", "--ledger", str(path), "--device", "ws-0", "--reason", "again")[0] == 2
    assert call(capsys, "release", "--ledger", str(path), "--reason", "neither")[0] == 2


@pytest.mark.parametrize("arguments", [["show"], ["verify"], ["export"]])
def test_no_ledger_is_one_sentence(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = call(capsys, *arguments, "--ledger", str(tmp_path / "none"), "--json")
    assert code == 2 and json.loads(out)["code"] == "no-ledger"
    assert not (tmp_path / "none").exists()
