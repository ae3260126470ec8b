"""`twinroot sign renewal`: from a renewed certificate to a container that the device's board takes; its key is on the board alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from provisioning.config.load import load_product
from provisioning.config.unit import choose
from provisioning.identity import factory, renewal
from provisioning.identity.files import discard_key
from provisioning.identity.issue import issue
from provisioning.identity.renewal import issued_by
from provisioning.job import renewed_certificates as work
from tests.device.jail import ROOT, Board
from tests.device.test_sign import FEED, at, station

__all__ = ["station"]  # a fixture


class Line:
    """The station's product with a CA of its own; `devices` have certificates that end in a month."""

    def __init__(self, station: Path, *devices: str) -> None:
        self.station = station
        assert at(station, "sign", "new-key", "vendor.key.pem").returncode == 0
        factory.make_ca("Test Factory", station / "factory")
        (station / "devices.csv").write_text("device,site\n" + "".join(f"{device},north\n" for device in devices))
        self.version(1)
        for device in devices:
            crt, key = self.file(device, "crt"), self.file(device, "key")
            for path in (crt, key):
                path.unlink(missing_ok=True)
            issue(device, crt, key, factory.authority(self.product), days=30)

    @property
    def product(self) -> Any:
        return load_product(self.station / "product.yaml")

    def file(self, device: str, what: str) -> Path:
        return self.station / "devices" / f"{device}.{what}.pem"

    def version(self, number: int) -> None:
        product = self.station / "product.yaml"
        lines = (ROOT / "examples" / "weather-station" / "product.yaml").read_text().splitlines()
        text = "\n".join(line for line in lines if not line.startswith("version:"))
        product.write_text(f"{text}\nversion: {number}\nupdates: {{key: vendor.pub.pem}}\n")

    def renew(self) -> None:
        product = self.product
        now = work.now()
        make = issued_by(factory.authority(product), 400, now, chain=False)
        for device in choose(product):
            certificate, key = self.file(device.id, "crt"), self.file(device.id, "key")
            discard_key(key)
            renewal.put(certificate, renewal.prepare(certificate, key, renewal.current(certificate), make))

    def sign(self, *arguments: str) -> Any:
        return at(self.station, "sign", "renewal", "product.yaml", "--key", "vendor.key.pem", "--out", "out", *arguments)


def test_a_board_takes_its_own_and_no_other(station: Path, tmp_path: Path) -> None:
    line = Line(station, "ws-0001", "ws-0002")
    done = at(station, "render", "product.yaml", "--device", "ws-0001", "--out", "out1")
    assert done.returncode == 0, done.stderr
    done = line.sign()
    assert (done.returncode, "twinroot identity renew" in done.stderr) == (2, True), done.stderr
    line.renew()
    line.version(2)
    done = line.sign("--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert [row["device"] for row in made["renewals"]] == ["ws-0001", "ws-0002"] and made["version"] == 2
    assert sorted(path.name for path in (station / "out").iterdir()) == [f"ws-000{n}.{e}" for n in (1, 2) for e in ("bin", "job.json")]
    job = json.loads((station / "out" / "ws-0001.job.json").read_text())
    assert job["twinroot"]["version"] == 2 and len(job["twinroot"]["parts"]) <= 3
    tree = {f"/{p.relative_to(station / 'out1')}": p.read_bytes() for p in (station / "out1").rglob("*") if p.is_file()}
    board = Board(tmp_path / "board", tree | {"/update": (station / "out" / "ws-0002.bin").read_bytes()})
    assert "another product or device" in board.run(FEED).out
    board.put({"/update": (station / "out" / "ws-0001.bin").read_bytes()})
    assert board.run(FEED).json == [True, 2, 2]
    assert board.tree()["/trust/2/device.crt.pem"].split() == line.file("ws-0001", "crt").read_bytes().split()
    assert line.sign().returncode == 2, "the folder is there"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_thousand_devices(station: Path) -> None:
    line = Line(station, *(f"ws-{n:04}" for n in range(1000)))
    line.renew()
    line.version(2)
    at_first = time.monotonic()
    done = line.sign("--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["renewals"]) == 1000
    assert time.monotonic() - at_first < 60
    print(f"{time.monotonic() - at_first:.1f} s")
