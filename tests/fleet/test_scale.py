"""Five times the devices need five times the work, not twenty-five times: by time of the processor, of which a busy computer takes nothing,
and by statements of the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from provisioning.cli.main import run
from tests.support import fleet_lines

FEW, SMALL, LARGE = 50, 1000, 5000
RATIO = 8  # 5 is linear; work of which a fifth is quadratic with 1,000 devices, and half with 5,000, has more
COMMANDS = {
    "collect": (("collect", "product.yaml", "--health", "health.jsonl"), 0),
    "status": (("status", "product.yaml"), 1),
    "retire": (("retire", fleet_lines.G5, "product.yaml", "--dry-run"), 1),
}


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What databases were asked."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, text: str, *_: object) -> None:
        asked.append(text)

    event.listen(Engine, "before_cursor_execute", note)
    yield asked
    event.remove(Engine, "before_cursor_execute", note)


def measured(folder: Path, count: int, statements: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[float, int]]:
    """Command -> seconds of the processor, statements."""
    folder.mkdir(parents=True)
    (folder / "product.yaml").write_text(fleet_lines.PRODUCT)
    (folder / "devices.csv").write_text(fleet_lines.csv(count))
    (folder / "health.jsonl").write_text(fleet_lines.lines(count, int(time.time())))
    found = {}
    for name, (words, code) in COMMANDS.items():
        argv = ["migrate", *(str(folder / word) if "." in word else word for word in words), "--ledger", str(folder / "l.sqlite"), "--json"]
        statements.clear()
        began = time.process_time()
        assert run(argv) == code
        found[name] = time.process_time() - began, len(statements)
        capsys.readouterr()
    return found


def test_work_grows_as_the_fleet_does(tmp_path: Path, statements: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    measured(tmp_path / "first", FEW, statements, capsys)  # what is loaded once is no work of the fleet's
    for again in (True, False):
        small, large = (measured(tmp_path / f"{again}{count}", count, statements, capsys) for count in (SMALL, LARGE))
        for name in COMMANDS:
            assert large[name][1] < small[name][1] + (LARGE - SMALL) / 100, (name, small, large)
        slow = [name for name in COMMANDS if large[name][0] > RATIO * small[name][0]]
        if not slow:
            return
        assert again, (slow, small, large)
