"""Boards an hour, and what limits them: the figures by hand for lines that are easy to reckon, and the command on a ledger's rows."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from provisioning.cli.main import run
from provisioning.job.throughput import Costs, Measured, Wiring, from_rows, reckon
from provisioning.ledger.entry import OUTCOME, Entry
from provisioning.ledger.store import Ledger
from tests.flash import products

STEPS = {"identify": 1.0, "write": 9.0, "boot": 2.0}
COSTS = Costs(wire=8.0, flash=5.0)


def measured(attempts: float = 1.0, change: float | None = None) -> Measured:
    return Measured("ledger", 10, STEPS, attempts, change)


@pytest.mark.parametrize(
    ("wiring", "rate", "limit"),
    [
        (Wiring(1, 921600, change=8.0), 3600 / 20, "people"),  # 12 s on the slot, 8 s without a board
        (Wiring(8, 921600, change=8.0), 3600 / 8, "people"),  # one person changes no more
        (Wiring(8, 921600, people=8, change=2.0), 8 * 3600 / 14, "wire"),  # 3 s of 12 are the line's alone, 2 s a person's
        (Wiring(8, 921600, people=8, change=0.0, hub_ma=500), 3 * 3600 / 12, "hub power"),
        (Wiring(8, 921600, people=8, change=0.0, hub_ma=500, hubs=4), 8 * 3600 / 12, "wire"),
    ],
)
def test_what_limits_a_line(wiring: Wiring, rate: float, limit: str) -> None:
    made = reckon(measured(), COSTS, wiring)
    assert made.boards_per_hour == pytest.approx(rate) and made.limit == limit, made
    assert all(more >= made.boards_per_hour - 1e-9 for more in made.without.values())


def test_attempts_that_fail_cost_their_time() -> None:
    assert reckon(measured(1.5), COSTS, Wiring(1, 921600, change=2.0)).boards_per_hour == pytest.approx(3600 / (12 * 1.5 + 2))


def test_a_hub_shares_its_rate() -> None:
    content = bytes(range(256)) * 4096
    alone, eight = (Costs.of(content, Wiring(slots, 2_000_000)) for slots in (1, 8))
    assert eight.wire == pytest.approx(alone.wire * 2_000_000 / (7.2e6 / 8)) and eight.flash == alone.flash
    assert Costs.of(content, Wiring(8, 2_000_000, hubs=8)).wire == pytest.approx(alone.wire)


def rows(count: int, product: str = "weather-station", board: str = "virtual-esp32") -> list[Entry]:
    """On two ports in turn, 15 s after each other on each: 12 s on the slot, 3 s between. Every fifth fails after 6 s."""
    began = datetime.datetime(2026, 11, 30, 8, tzinfo=datetime.timezone.utc)
    made = []
    for number in range(count):
        at = began + datetime.timedelta(seconds=12 + 15 * (number // 2))
        failed = number % 5 == 4
        steps = [{"name": "write", "seconds": 6.0}] if failed else [{"name": name, "seconds": value} for name, value in STEPS.items()]
        fields = {
            "job": "flash",
            "product": product,
            "board": board,
            "mac": f"24:0a:c4:00:00:{number:02x}",
            "port": f"/dev/ttyUSB{number % 2}",
            "station": "s",
            "outcome": "fail" if failed else "pass",
            "steps": steps,
        }
        made.append(Entry(number + 1, at.isoformat(), OUTCOME, f"{number:032x}", fields, "0" * 64))
    return made


def test_what_boards_took_is_read_from_the_ledger() -> None:
    found = from_rows(rows(20), "weather-station", "virtual-esp32")
    assert found is not None and found.boards == 16
    assert (
        found.seconds == pytest.approx(12.0) and found.attempts == pytest.approx(1 + 4 * 6 / 16 / 12) and found.change == pytest.approx(3.0)
    )
    assert from_rows(rows(20), "another", "virtual-esp32") is None and from_rows(rows(2), "weather-station", "virtual-esp32") is None


def test_the_command_reads_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made = products.at_home(products.make(tmp_path / "p"), monkeypatch)
    with Ledger.open(made.ledger) as ledger:
        for row in rows(20, board="board"):
            ledger.append(OUTCOME, row.attempt, row.fields)
    arguments = ["station", str(made.product), "--plan", "--count", "8", "--people", "2", "--change", "3", "--hub-ma", "900"]
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["slots"], found["at_once"], found["boards"], found["source"], found["limit"]) == (8, 6, 16, "ledger", "hub power")
    assert found["boards_per_hour"] == pytest.approx(6 * 3600 / (12 * found["attempts"] + 3), abs=1)
    assert run(arguments) == 0
    text = capsys.readouterr().out
    assert "limited by hub power" in text and "assumed:" in text and "a board takes 150 mA" in text
    assert run([*arguments[:-1], "100"]) == 2
