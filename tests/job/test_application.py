"""An application that is a file of the set (docs/device.md, "The application"), through everything that a cable does with its board."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from provisioning.bundle.bundle import runner
from provisioning.config.product import Product
from provisioning.job.report import Report
from provisioning.job.rescue import rescue
from provisioning.job.rollback import rollback
from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.link import repl as repl_module
from provisioning.link.port import open_port
from tests.job.conftest import Bench, put

APP = "import twinroot\nprint('application %s of set', twinroot.SET)\n"
HOLDS = {  # what holds a board two seconds after its start
    "watchdog": "import machine, time\ntime.sleep(1)\nw = machine.WDT(timeout=1000)\nwhile True:\n    w.feed()\n    time.sleep_ms(50)\n",
    "control-C": "import micropython, time\ntime.sleep(1)\nmicropython.kbd_intr(-1)\nwhile True:\n    time.sleep_ms(50)\n",
}


class Line:
    """A board and its product in versions, with an application or without."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        public = rsa.generate_private_key(65537, 2048).public_key()
        (bench.folder / "vendor.pub.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def product(self, version: int, app: str | None = None) -> Product:
        more = f"version: {version}\nupdates: {{key: vendor.pub.pem}}\n"
        if app is not None:
            Path(self.bench.folder, "app.py").write_text(app, encoding="utf-8")
            more += "app: {main: app.py}\n"
        product: Product = self.bench.product(more)
        return product

    def update(self, version: int, app: str | None = None, code: str = "pass") -> Report:
        report = update(self.product(version, app), self.bench.device, self.bench.port)
        assert (report.outcome, report.code) == ("pass", code), report.message
        return report

    def runs(self) -> str:
        """What the board says from power-on to its prompt of who runs: "two 2", or nothing."""
        board = self.bench.board
        with open_port(board.pty) as wire:
            board.power_off()
            wire.discard()
            board.power_on()
            said = wire.until(b">>> ", 10.0).decode(errors="replace")
        found = [line.split() for line in said.splitlines() if line.startswith("application ")]
        return " ".join(f"{words[1]} {words[4]}" for words in found)


@pytest.fixture
def line(bench: Bench) -> Line:
    return Line(bench)


def test_it_comes_changes_goes_back_and_stays(line: Line) -> None:
    line.update(1)
    assert line.runs() == ""
    assert "/main.py" in line.update(2, APP % "two").written
    assert line.runs() == "two 2"
    assert line.update(2, APP % "two", "unchanged").written == []
    assert verify(line.bench.port, line.product(2, APP % "two"), line.bench.device).notes == []
    assert "/main.py" not in line.update(3, APP % "three").written
    assert line.runs() == "three 3"
    back = rollback(line.bench.port)
    assert (back.outcome, back.notes, line.runs()) == ("pass", [], "two 2")
    assert line.update(4).notes == []
    assert line.runs() == "two 4", "a product that brings none leaves the one that is there"


def test_a_board_whose_main_py_was_an_application(line: Line) -> None:
    """As a release without applications in sets has left it: a rollback finds it again."""
    line.update(1)
    put(line.bench, "/main.py", APP % "old")
    line.update(2, APP % "two")
    assert line.runs() == "two 2"
    assert rollback(line.bench.port).notes == []
    assert line.runs() == "old 1"


@pytest.mark.parametrize("hand", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_board_that_does_not_run_it(line: Line, hand: bool) -> None:
    """Its /main.py is gone, or another one was written by hand: who asks hears so, and an update puts it right."""
    line.update(1, APP % "one")
    line.update(2, APP % "two")
    line.bench.run("import os\nos.remove('/main.py')")
    if hand:
        put(line.bench, "/main.py", APP % "hand")
    word = "no set has brought" if hand else "no /main.py"
    for report in (
        verify(line.bench.port),
        verify(line.bench.port, line.product(2, APP % "two"), line.bench.device),
        rollback(line.bench.port),
        line.update(3),
    ):
        assert report.outcome == "pass", report.message
        assert len(report.notes) == 1 and word in report.notes[0], (word, report.notes)
    assert line.runs() == ("hand 3" if hand else "")
    assert line.update(4, APP % "four").notes == []
    assert line.runs() == "four 4"
    assert verify(line.bench.port).notes == []


@pytest.mark.parametrize("way", ["watchdog", pytest.param("control-C", marks=pytest.mark.long)])
def test_rescue_of_a_board_that_it_holds(line: Line, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """The cause is found in the set's application; what goes out of the way is /main.py, so that the set stays whole."""
    monkeypatch.setattr(repl_module, "_SILENT_BOOT", 1.5)
    board = line.bench.board
    line.update(1, APP % "one")
    line.update(2, APP % "two" + HOLDS[way])
    board.power_off()
    board.power_on()
    time.sleep(2.5)  # it is not before then that the application holds the board
    report = rescue(board.rfc2217)
    assert (report.outcome, report.written) == ("pass", ["/main.py.rescued"]), report.message
    assert "/trust/2/main.py, line" in report.message and "/trust/2/main.py" in report.notes[-1], (report.message, report.notes)
    held = verify(line.bench.port)
    assert (held.outcome, held.generation) == ("pass", 2) and "no /main.py" in held.notes[0], held.message
    line.update(3, APP % "three")
    assert line.runs() == "three 3"
    assert bytes.fromhex(line.bench.run("print(open('/main.py.rescued','rb').read().hex())")) == runner()
