"""`twinroot station` on a real terminal, with real virtual boards that are plugged in and taken out."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provisioning.ledger.store import Ledger
from provisioning.link.rehearsed import REHEARSED
from provisioning.virtual import VirtualBoard
from tests.flash import products
from tests.support.terminal import Terminal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")

_STEPS = ("identify", "write", "boot", "selftest")


class Hub:
    """A hub of virtual boards; a board is in socket 1-2.N, N from 1."""

    def __init__(self, folder: Path, boards: list[VirtualBoard]) -> None:
        self.boards = boards
        self.file = folder / "ports"

    def plug(self, *sockets: int) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text("".join(f"{self.boards[n - 1].port} 1-2.{n} {n:04d}\n" for n in sockets))
        fresh.replace(self.file)


@pytest.fixture(scope="module")
def boards() -> Iterator[list[VirtualBoard]]:
    with ThreadPoolExecutor(3) as pool:
        started = list(pool.map(lambda chip: VirtualBoard(paced=False, blank=True, chip=chip).start(), ("esp32", "esp32c3", "esp32")))
    for board in started:
        board.snapshot()
    yield started
    for board in started:
        board.close()


@pytest.fixture
def hub(boards: list[VirtualBoard], tmp_path: Path) -> Hub:
    """All boards blank again."""
    for board in boards:
        board.heal()
        board.power_off()
        board.restore()
        board.power_on()
    return Hub(tmp_path, boards)


def station(made: products.Made, hub: Hub, *arguments: str, **environment: str) -> Terminal:
    hub.plug()
    file = made.folder / "line1.yaml"
    file.write_text("slots:\n" + "".join(f"  - {{name: {n}, port: 'usbpath:1-2.{n}'}}\n" for n in range(1, 9)))
    command = [sys.executable, "-m", "provisioning", "station", str(made.product), "--devices", str(made.devices), "--slots", str(file)]
    terminal = Terminal([*command, *arguments], {**made.environment(), REHEARSED: f"@{hub.file}", **environment})
    terminal.until(lambda text: "plug a board in" in text.lower())
    return terminal


def test_a_row_of_boards_one_of_them_bad(tmp_path: Path, hub: Hub) -> None:
    made = products.make(tmp_path / "p")
    with station(made, hub, NO_COLOR="1") as terminal:
        hub.plug(1, 2, 3)
        terminal.until("PASS 2  FAIL 1  ERROR 0   yield 67 %")
        seen = terminal.lines
        assert re.match(r"1 +ws-0001 +2 +3 +ws-0002 +4", seen[1]), "devices in the order of the slots, none for the bad board"
        assert "wrong-chip" in terminal.text and hub.boards[0].mac in terminal.text
        assert seen[-2].startswith("Slot 2: box for the supplier.")
        terminal.type("d")
        terminal.until(lambda text: "has an esp32c3" in text and "Next: Take a board of the right type" in text)
        terminal.type("\x1b")
        terminal.until(lambda text: "Next:" not in text)
        hub.plug(1)
        terminal.until(lambda text: "Take out and label slot 1: ws-0001." in text)
        hub.plug()
        terminal.until("Plug a board in: it starts by itself.")
        terminal.type("q")
        assert terminal.wait() == 1 and terminal.restored
        colours = {tuple(each) for each in re.findall(rb"\x1b\[[\d;]*[34]8;2;(\d+);(\d+);(\d+)", terminal.raw)}
        assert all(red == green == blue for red, green, blue in colours), "NO_COLOR"
        said = terminal.after
    assert "slot 2: " in said and "FAIL The board on" in said and "2 of 3 boards passed" in said and "Traceback" not in terminal.scrolled


def test_a_scanned_board_and_a_control_c_in_the_middle(tmp_path: Path, hub: Hub) -> None:
    made = products.make(tmp_path / "p")
    made.product.write_text(made.product.read_text() + 'scan: {field: device, pattern: "ws-[0-9]{4}"}\n')
    with station(made, hub) as terminal:
        hub.plug(3)
        terminal.until("Scan the label of the board at slot 3.")
        with Ledger.open(made.ledger) as ledger:
            assert not list(ledger.entries()), "nothing before the scan"
        terminal.type("ws-0005\r")
        terminal.until(lambda text: re.search(r"3 +ws-0005", text) is not None and hub.boards[2].mac in text)
        terminal.type("ws-0005\r")
        terminal.until("ws-0005 is the board at slot 3 already.")
        terminal.until(lambda text: "write" in text)
        terminal.type("\x03")
        assert terminal.wait() == 130 and terminal.restored and "Traceback" not in terminal.scrolled
        assert "slot 3: ws-0005: ERROR Interrupted in write. Its flash is half written" in terminal.after
    with Ledger.open(made.ledger) as ledger:
        rows = list(ledger.entries())
    assert [row.kind for row in rows] == ["claim", "intent", "outcome"] and rows[-1].fields["code"] == "interrupted"
    assert {row.fields["device"] for row in rows} == {"ws-0005"}


@pytest.mark.long
@pytest.mark.parametrize("step", _STEPS)
@pytest.mark.parametrize("how", ["\x03", "qq", "term", "hangup"])
def test_an_end_in_any_phase(tmp_path: Path, hub: Hub, step: str, how: str) -> None:
    made = products.make(tmp_path / "p")
    with station(made, hub) as terminal:
        hub.plug(1, 3)
        terminal.until(step)
        if how in ("term", "hangup"):
            os.kill(terminal.process.pid, signal.SIGTERM if how == "term" else signal.SIGHUP)
        else:
            terminal.type(how)
        code = terminal.wait()
        assert terminal.restored and "Traceback" not in terminal.scrolled
        ended = [line for line in terminal.after.splitlines() if line.startswith("slot ")]
        assert len(ended) == 2 and code == (130 if "interrupted" in terminal.after.lower() else 0), terminal.after
    with station(made, hub) as terminal:
        hub.plug(1, 3)
        terminal.until("PASS 2  FAIL 0  ERROR 0")
        terminal.type("q")
        assert terminal.wait() == 0
