"""`python -m tests.docs.pictures`: the pictures of docs/technician.md, drawn by the station's own screen.

Four virtual boards are written, one of them with a worn flash and one without power, and what their workers say is noted in
station-events.json; then the screen is drawn from these notes, each time at the same moment. `--again` draws from the notes that are there.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event as Flag
from typing import Any

from textual.message import Message

from provisioning.config.device import load_devices, single_device
from provisioning.config.load import load_product
from provisioning.config.product import ScanRule
from provisioning.config.station import SlotPlace
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.job.station import FlashJob
from provisioning.job.worker import End
from provisioning.ledger.store import Ledger
from provisioning.link.events import Event
from provisioning.rehearsal import environment
from provisioning.station.engine import Engine, Settings
from provisioning.station.hub import Flashing, Hub, WorkerEvent
from provisioning.station.labels import Labels
from provisioning.station.screen.app import StationApp
from provisioning.station.sockets import Bound, Plugged
from provisioning.virtual import VirtualBoard
from tests.flash import products

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
NOTES = Path(__file__).with_name("station-events.json")
SLOTS = 4
_WORN = 0x20000  # address of the sector of board 2 that cannot be erased
_FIELDS = ("outcome", "code", "message", "hint", "mac", "chip", "device", "active")  # of a report, that the screen shows

Note = tuple[float, str, str, dict[str, Any]]  # seconds since the boards were plugged in, slot, kind ("end" for a report), data


# --- real boards ------------------------------------------------------------------------------------------------------


def noted() -> list[Note]:
    """What the workers of four real virtual boards say."""
    with tempfile.TemporaryDirectory() as folder, environment({"TWINROOT_CACHE": f"{folder}/cache"}):
        made = products.make(Path(folder) / "p", size=120_000).at_most(115_200)
        product = load_product(made.product)
        with ThreadPoolExecutor(SLOTS) as pool:
            boards = list(pool.map(lambda seed: VirtualBoard(blank=True, seed=seed).start(), range(1, SLOTS + 1)))
        try:
            boards[1].load_flash(_WORN, b"\0" * 4096)
            boards[1].inject(f"worn={_WORN // 4096}")
            boards[3].power_off()
            Ledger.open(made.ledger).close()
            job = FlashJob(made.product, made.devices, str(made.ledger), FlashOptions())
            notes: list[Note] = []
            ended = {str(n): Flag() for n in range(1, SLOTS + 1)}
            with Hub(Flashing(job, (FlashPlan.of(product), load_devices(made.devices)))) as hub:
                began = time.monotonic()

                def note(said: WorkerEvent) -> None:
                    at = round(time.monotonic() - began, 1)
                    if isinstance(said.what, End):
                        report = {name: said.what.report[name] for name in _FIELDS}
                        notes.append((at, said.slot, "end", {"report": report, "exit_code": said.what.exit_code}))
                        ended[said.slot].set()
                    else:
                        notes.append((at, said.slot, said.what.kind, said.what.data))

                hub.listen(note, lambda: None)
                for number, board in enumerate(boards, 1):
                    hub.start(str(number), number, board.port, None, None)
                for flag in ended.values():
                    if not flag.wait(120.0):
                        raise SystemExit("a board does not end")
        finally:
            for board in boards:
                board.close()
        text = json.dumps(notes)
        for number, board in enumerate(boards):
            text = text.replace(board.port, f"/dev/ttyUSB{number}").replace(board.mac, f"24:0a:c4:5e:11:{8 + 4 * number:02x}")
        text = re.sub(re.escape(folder) + r"[^\" ]*\.log", "20261130-120000-0a1b2c3d.log", text)
        return [(at, slot, kind, data) for at, slot, kind, data in json.loads(text)]


# --- the screen, from the notes ---------------------------------------------------------------------------------------


class _Nobody:
    """No worker and no port: the notes say all."""

    def start(self, *_: object) -> None:
        return

    def leave(self) -> None:
        return

    def bound(self, device: str) -> str | None:
        return None


class _Silent(_Nobody):
    def start(self, post: Callable[[Message], object]) -> None:  # type: ignore[override]
        return


class Bench:
    """The engine with its clock at the moment that is drawn."""

    def __init__(self, scan: bool = False) -> None:
        self.now = 0.0
        places = Bound([SlotPlace(str(n), "socket", f"1-2.{n}") for n in range(1, SLOTS + 1)])
        labels = Labels(ScanRule("device", r"ws-\d{4}"), [single_device(f"ws-{n:04d}") for n in range(1, 9)]) if scan else None
        self.engine = Engine(places, _Nobody(), Settings(retries=0), labels, lambda: self.now)

    def plug(self, *sockets: int) -> None:
        self.engine.plugged([Plugged(f"/dev/ttyUSB{n - 1}", f"1-2.{n}", f"{n:04d}") for n in sockets])

    def play(self, notes: list[Note], until: Callable[[Note], bool] = lambda _note: False) -> None:
        """What the boards said, up to and with the first note that fits."""
        for note in notes:
            self.now, slot, kind, data = note
            report = {"attempts": 1, **data["report"]} if kind == "end" else {}
            self.engine.said(slot, End(report, data["exit_code"]) if kind == "end" else Event(kind, data))
            if until(note):
                return


def _free(_notes: list[Note]) -> Bench:
    return Bench()


def _busy(notes: list[Note]) -> Bench:
    bench = Bench()
    bench.plug(1, 2, 3)
    bench.play([note for note in notes if note[1] != "4"], lambda note: note[2] == "bytes" and 2 * note[3]["done"] > note[3]["total"])
    return bench


def _ended(notes: list[Note]) -> Bench:
    bench = Bench()
    bench.plug(1, 2, 3, 4)
    bench.play(notes)
    return bench


def _scan(_notes: list[Note]) -> Bench:
    bench = Bench(scan=True)
    bench.plug(2)
    return bench


# Picture -> who makes the bench, and the keys that are pressed then.
PICTURES: dict[str, tuple[Callable[[list[Note]], Bench], tuple[str, ...]]] = {
    "station-free": (_free, ()),
    "station-busy": (_busy, ()),
    "station-ended": (_ended, ()),
    "station-why": (_ended, ("d",)),
    "station-scan": (_scan, ()),
}


def draw(name: str, notes: list[Note]) -> str:
    """The picture as SVG, as the application draws it now; nothing in it is fetched from elsewhere."""
    make, keys = PICTURES[name]

    async def main() -> str:
        bench = make(notes)
        app = StationApp(bench.engine, _Silent(), "weather-station", lambda: bench.now)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press(*keys)
            await pilot.pause()
            return app.export_screenshot(title="twinroot station")

    return re.sub(r"@font-face \{.*?\}\s*", "", asyncio.run(main()), flags=re.DOTALL)


def read_notes() -> list[Note]:
    return [(at, slot, kind, data) for at, slot, kind, data in json.loads(NOTES.read_text("utf-8"))]


def main() -> int:
    if "--again" not in sys.argv[1:]:
        lines = ",\n".join(json.dumps(note, ensure_ascii=False) for note in noted())
        NOTES.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    FOLDER.mkdir(exist_ok=True)
    for name in PICTURES:
        (FOLDER / f"{name}.svg").write_text(draw(name, read_notes()), encoding="utf-8")
        sys.stdout.write(f"{FOLDER / name}.svg\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
