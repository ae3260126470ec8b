"""A wave by cable, on boards: its members and no others, here or at a station; and back."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.config.device import load_devices
from provisioning.config.load import load_product
from provisioning.fleet.device import Device
from provisioning.fleet.store import FleetStore
from provisioning.identity.factory import ensure_identity
from provisioning.ledger.store import Ledger
from provisioning.virtual import VirtualBoard
from tests.flash import products
from tests.support.command import InProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")
DEVICES = ("ws-0001", "ws-0002", "ws-0003")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> products.Made:
    found = products.at_home(products.make(tmp_path / "product", devices=3), monkeypatch)
    text = found.product.read_text()
    found.product.write_text("version: 1\n" + text.replace("  region:", "  phase: legacy-first\n  region:"))
    product = load_product(found.product)
    for device in load_devices(found.devices):
        ensure_identity(product, device)
    return found


@pytest.fixture
def boards() -> Iterator[list[VirtualBoard]]:
    running = [VirtualBoard(paced=False, link="pty").start() for _ in DEVICES]
    yield running
    for board in running:
        board.close()


def test_a_wave_by_cable(made: products.Made, boards: list[VirtualBoard], capsys: pytest.CaptureFixture[str]) -> None:
    command, plan = InProcess(capsys), made.folder / "move.yaml"

    def migrate(what: str, *more: str) -> tuple[int, dict[str, Any], str]:
        return command("migrate", what, str(plan), *more)

    def waves(said: dict[str, Any]) -> dict[str, tuple[str, dict[str, int]]]:
        return {wave["wave"]: (wave["state"], wave["counts"]) for wave in said["waves"]}

    ports = {device: board.port for device, board in zip(DEVICES, boards, strict=True)}
    for device, port in ports.items():
        assert command("update", str(made.product), "--device", device, "--port", port)[0] == 0
    with Ledger.open(made.ledger) as ledger:
        FleetStore(ledger).put(Device("weather-station", device, "ledger", int(time.time()), 1) for device in DEVICES)
    code, said, _ = command("migrate", "plan", str(made.product), "--to", "ats-first", "--waves", str(plan))
    assert code == 0 and {wave["by"] for wave in said["waves"]} == {"cable"}, "a product without a vendor key has no other way"
    text = plan.read_text()
    lists = "  - {name: bench, by: cable, devices: [ws-0001, ws-0002]}\n  - {name: field, by: cable, rest: true}\n"
    plan.write_text(text[: text.index("waves:\n")] + "waves:\n" + lists + text[text.index("planned:") :])
    assert migrate("plan")[0] == 0
    code, said, _ = migrate("run", "--wave", "field", *(f"--port={port}" for port in ports.values()))
    assert (code, said["code"]) == (2, "wave-not-running"), "it comes after the bench"

    # Two are in the wave, and the third is left as it is.
    code, said, _ = migrate("run", "--wave", "bench", *(f"--port={port}" for port in ports.values()))
    assert code == 2 and [(row["device"], row["code"]) for row in said["reports"]] == [
        ("ws-0001", "pass"),
        ("ws-0002", "pass"),
        ("ws-0003", "not-in-wave"),
    ]
    assert "which is not in the wave bench" in said["reports"][2]["message"]
    assert waves(said)["bench"] == ("done", {"done": 2})
    code, said, _ = migrate("run", "--once")
    assert code == 0 and waves(said)["field"] == ("running", {"offered": 1})

    # A station that knows nothing of plans: its row counts.
    wanted = made.folder / "product.ats-first.yaml"
    assert command("update", str(wanted), "--port", ports["ws-0003"])[0] == 0
    code, said, _ = migrate("run")
    assert code == 0 and said["state"] == "done" and waves(said)["field"] == ("done", {"done": 1})
    with Ledger.open(made.ledger) as ledger:
        rows = [entry for entry in ledger.entries(device="ws-0003") if entry.kind == "intent"]
        assert [entry.fields["version"] for entry in rows] == [1, 2]

    code, said, _ = migrate("back", "--wave", "bench", f"--port={ports['ws-0001']}", f"--port={ports['ws-0003']}")
    assert code == 2 and [row["code"] for row in said["reports"]] == ["pass", "not-in-wave"]
    assert waves(said)["bench"] == ("back-running", {"back-offered": 1, "taken-back": 1})
    code, said, _ = migrate("back", "--wave", "bench", f"--port={ports['ws-0002']}")
    assert code == 0 and waves(said)["bench"] == ("taken-back", {"taken-back": 2})
    code, said, _ = command("verify", str(made.folder / "product.back.yaml"), "--device", "ws-0001", "--port", ports["ws-0001"])
    assert code == 0, said
