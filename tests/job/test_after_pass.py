"""What follows a PASS: a label and a command, on a virtual board, with a printer and a program that work, fail and hang."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning.cli import main
from provisioning.ledger.chain_check import verify
from provisioning.ledger.store import Ledger
from provisioning.virtual import VirtualBoard
from tests.flash import products
from tests.support.zebra import NO_PAPER, READY, Zebra

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")

Twinroot = Callable[..., tuple[int, dict[str, Any], str]]
NOTES = "import sys; open('rows.jsonl', 'ab').write(sys.stdin.buffer.read())"


@pytest.fixture
def twinroot(capsys: pytest.CaptureFixture[str]) -> Twinroot:
    """The command, in this process."""

    def run(*arguments: str | Path) -> tuple[int, dict[str, Any], str]:
        capsys.readouterr()
        code = main.run([*map(str, arguments), "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out), said.err

    return run


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> products.Made:
    return products.at_home(products.make(tmp_path / "product"), monkeypatch)


@pytest.fixture
def board() -> Any:
    with VirtualBoard(paced=False, blank=True) as running:
        yield running


def with_tasks(made: products.Made, printer: str, script: str, seconds: float = 20.0) -> None:
    (made.folder / "label.zpl").write_text("^XA^FO20,20^A0N,30^FD{device} {MAC}^FS^XZ")
    plain = made.product.read_text().partition("label:")[0]
    command = json.dumps([sys.executable, "-c", script])
    more = f"label: {{template: label.zpl, printer: '{printer}', timeout: 5}}\non_pass: {{command: {command}, timeout: {seconds}}}\n"
    made.product.write_text(plain + more)


def kinds(made: products.Made) -> list[tuple[str, str | None, str | None]]:
    with Ledger.open(made.ledger) as ledger:
        assert verify(ledger.rows(), {}).ok
        return [(entry.kind, entry.fields.get("task"), entry.fields.get("result")) for entry in ledger.entries()]


def test_a_board_its_label_and_its_command(made: products.Made, board: VirtualBoard, twinroot: Twinroot) -> None:
    flash = ("flash", made.product, "--devices", made.devices, "--device", "ws-0001", "--port", board.port)
    received = made.folder / "rows.jsonl"
    with Zebra(NO_PAPER) as printer:
        # Neither the printer nor the program is well: the board has passed all the same, and both stay open.
        with_tasks(made, printer.where, "import time; time.sleep(600)", 0.5)
        began = time.monotonic()
        code, report, said = twinroot(*flash)
        assert (code, report["outcome"]) == (0, "pass"), said
        assert any("out of paper" in note for note in report["notes"]) and any("0.5 s" in note for note in report["notes"])
        assert time.monotonic() - began < 60
        written = [("claim", None, None), ("intent", None, None), ("outcome", None, None)]
        assert kinds(made) == [*written, ("task", "label", "failed"), ("task", "on_pass", "failed")]
        code, found, _ = twinroot("label", "status")
        assert (code, found["code"]) == (1, "tasks-open")
        assert [(one["task"], one["state"], one["device"], one["mac"]) for one in found["open"]] == [
            ("label", "failed", "ws-0001", board.mac),
            ("on_pass", "failed", "ws-0001", board.mac),
        ]
        code, found, said = twinroot("label", "retry", made.product)
        assert (code, found["code"]) == (3, "command-hangs") and "out of paper" in said
        printer.state = READY
        with_tasks(made, printer.where, NOTES)
        assert twinroot("label", "retry", made.product)[0] == 0
        assert twinroot("label", "status")[0] == 0
        label = f"{board.mac.replace(':', '').upper()}"
        assert printer.done.wait(10) and printer.said.count(b"^XA") == 1 and f"ws-0001 {label}".encode() in printer.said
        row = json.loads(received.read_text())
        assert (row["device"], row["mac"], row["outcome"], row["kind"]) == ("ws-0001", board.mac, "pass", "outcome")
        assert row["certificate_sha256"] and row["firmware_sha256"] and row["seq"] == 3

        # The board comes once more: nothing is written, no second label, and the command hears of it.
        code, report, said = twinroot(*flash)
        assert (code, report["code"]) == (0, "unchanged"), said
        assert printer.said.count(b"^XA") == 1 and len(received.read_text().splitlines()) == 2
        assert kinds(made)[-1] == ("task", "on_pass", "done") and kinds(made)[-2][0] == "outcome"

        # Printed again from the ledger, also elsewhere.
        assert twinroot("label", "reprint", made.product, "--mac", board.mac.upper())[0] == 0
        assert twinroot("label", "reprint", made.product, "--device", "ws-0001", "--printer", "file:out/{device}.zpl")[0] == 0
        assert (made.folder / "out" / "ws-0001.zpl").read_bytes() == printer.said[: len(printer.said) // 2]
        assert twinroot("label", "reprint", made.product, "--device", "ws-0002")[1]["code"] == "not-bound"


def test_what_a_killed_program_left_open_is_closed_by_a_word(tmp_path: Path, twinroot: Twinroot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome is there and nothing behind it: as after a kill."""
    monkeypatch.setenv("TWINROOT_LEDGER", str(tmp_path / "ledger.sqlite"))
    with Ledger.open() as ledger:
        for number in (1, 2):
            about = {"mac": f"24:0a:c4:00:00:0{number}", "device": f"ws-{number}", "product": "p"}
            ledger.append("outcome", f"{number:032x}", {**about, "outcome": "pass", "tasks": ["label"]})
    assert [one["state"] for one in twinroot("label", "status")[1]["open"]] == ["pending", "pending"]
    assert twinroot("label", "close", "--device", "ws-1", "--reason", "written by hand")[0] == 0
    assert [one["device"] for one in twinroot("label", "status")[1]["open"]] == ["ws-2"]
    assert twinroot("label", "close", "--device", "ws-1", "--reason", "again")[1]["code"] == "not-open"
    with Ledger.open() as ledger:
        ledger.append("release", "f" * 32, {"mac": "24:0a:c4:00:00:02", "device": "ws-2", "reason": "scrapped"})
    assert twinroot("label", "status")[0] == 0


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("label: {template: label.zpl}", "pass"),  # a station says where, by TWINROOT_PRINTER
        ("label: {template: label.zpl, printer: 'lp'}", "bad-printer"),
        ("label: {template: none.zpl, printer: 'tcp://h'}", "file-missing"),
        ("label: {template: bad.zpl, printer: 'tcp://h'}", "bad-label"),
        ("label: {qr: '{nothing}', printer: 'tcp://h'}", "bad-label"),
        ("label: {qr: 'x', printer: 'file:{nothing}.svg'}", "bad-label"),
        ("label: {qr: 'x', template: label.zpl}", "bad-value"),
        ("on_pass: {command: []}", "bad-value"),
        ("label: {qr: '{device}', printer: 'file:{device}.svg'}", "pass"),
    ],
)
def test_check_says_what_is_wrong(more: str, code: str, made: products.Made, twinroot: Twinroot) -> None:
    (made.folder / "label.zpl").write_text("^XA^FD{device}^FS^XZ")
    (made.folder / "bad.zpl").write_text("^XA^FD{nothing}^FS^XZ")
    made.product.write_text(made.product.read_text() + more + "\n")
    exit_code, said, _ = twinroot("check", made.product)
    assert (exit_code, said.get("code", "pass")) == (0 if code == "pass" else 2, code), said
    if code == "pass":
        assert twinroot("label", "preview", made.product, "--out", made.folder / "shown")[0] == 0
        assert (b"<svg" if "qr" in more else b"ws-0001^FS") in (made.folder / "shown").read_bytes()
        if "printer" not in more:
            assert twinroot("flash", made.product, "--port", "/dev/none")[1]["code"] == "no-printer"
