"""One board through its life with the product as it is shipped: the line, the field, a repair bench; each a computer of its own."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provisioning.config.load import load_board
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.resources import folder
from provisioning.virtual import VirtualBoard
from tests.flash import images
from tests.support.littlefs_files import read_back
from tests.support.overheard import Tap

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")

EXAMPLE = folder("boards").parent / "examples" / "weather-station"


@dataclass
class Computer:
    """A home that is empty at first, and a folder with what somebody gave this person."""

    place: Path

    def __post_init__(self) -> None:
        self.home, self.folder = self.place / "home", self.place / "product"
        for path in (self.home, self.folder):
            path.mkdir(parents=True)

    @property
    def product(self) -> Path:
        return self.folder / "product.yaml"

    @property
    def ledger(self) -> Path:
        return self.home / ".local" / "share" / "twinroot" / "ledger.sqlite"

    def run(self, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
        """A command as a process of its own; its JSON."""
        environment = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-m", "provisioning", *map(str, arguments), "--json"]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        assert "PRIVATE KEY" not in done.stdout + done.stderr
        made: dict[str, Any] = json.loads(done.stdout)
        return made

    def stories(self, mac: str) -> list[dict[str, Any]]:
        """What this computer's ledger has of the board."""
        assert self.run("ledger", "verify")["ok"]
        rows: list[dict[str, Any]] = self.run("ledger", "show", "--last", "1000")["entries"]
        assert {row["mac"] for row in rows if "mac" in row} == {mac}
        return rows


def release(text: str, version: int, **changed: str) -> str:
    """The product file of a version, with lines changed."""
    for old, new in {"version: 1": f"version: {version}", **changed}.items():
        assert old in text
        text = text.replace(old, new)
    return text


def files_on(board: VirtualBoard) -> dict[str, bytes]:
    """Path -> content of what is in the board's file system, from the flash itself."""
    place = load_board("virtual-esp32")
    # A MicroPython of today raises the version on the disk with its first write.
    place = place.model_copy(update={"littlefs": place.littlefs.model_copy(update={"version": "2.1"})})
    data = b"".join(board.read_flash(place.partition.offset + at, 0x10000) for at in range(0, place.partition.size, 0x10000))
    return read_back(data, place)


def held(board: VirtualBoard) -> tuple[bytes, bytes, dict[str, Any]]:
    """Certificate, key and set.json of the active set."""
    files = files_on(board)
    home = f"/trust/{files['/trust/active'].decode()}"
    return files[f"{home}/device.crt.pem"], files[f"{home}/device.key.pem"], json.loads(files[f"{home}/set.json"])


def forms(pem: bytes) -> tuple[bytes, bytes]:
    """A key as it may cross a wire: a line of its PEM text, and its DER."""
    lines = pem.splitlines()[1:-1]
    return lines[0], base64.b64decode(b"".join(lines))


@pytest.mark.timeout(300)  # a dozen commands, each a process
def test_a_board_from_the_factory_to_the_field_and_back(tmp_path: Path) -> None:
    shipped = (EXAMPLE / "product.yaml").read_text().replace("esp32-generic ", "virtual-esp32 ")
    line, field, bench = (Computer(tmp_path / name) for name in ("line", "field", "bench"))
    with VirtualBoard(paced=False, blank=True) as board, Tap(board.port) as tap:
        # The line: a blank board, the example as shipped, a CA, the firmware.
        shutil.copytree(EXAMPLE, line.folder, dirs_exist_ok=True)
        line.run("identity", "ca", "--out", line.folder / "factory")
        images.board_file(line.folder, images.firmware(size=60_000), extends="virtual-esp32").rename(line.folder / "virtual-esp32.yaml")
        line.product.write_text(shipped.replace("virtual-esp32 ", "./virtual-esp32.yaml "))
        row = line.run("station", line.product, "--port", tap.port)["rows"][0]
        assert (row["code"], row["device"], row["mac"]) == ("pass", "ws-0001", board.mac)
        assert line.run("station", line.product, "--port", tap.port)["rows"][0]["code"] == "unchanged"
        assert not list(line.folder.glob("devices/*.key.pem"))
        certificate, key, first = held(board)
        assert first["device"] == "ws-0001"
        assert tap.times(*forms(key)) == [1, 0], "once, in the image of the file system"

        # The field: another computer, an empty home, only product.yaml. Two versions, and back.
        port = ("--port", tap.port)
        versions = [
            release(shipped, 2, **{"port: 8883": "port: 8884"}),
            release(shipped, 3, **{"servers: [pool.ntp.org]": "servers: [time.example.org]"}),
        ]
        field.product.write_text(versions[0])
        assert [path.name for path in field.folder.iterdir()] == ["product.yaml"]
        assert field.run("check", field.product)["outcome"] == "pass"
        assert field.run("verify", field.product, *port, code=1)["code"] == "other-set"
        report = field.run("update", field.product, *port)
        assert (report["code"], report["device"], report["generation"]) == ("pass", "ws-0001", 2)
        field.product.write_text(versions[1])
        report = field.run("update", field.product, *port)
        assert (report["code"], report["device"], report["generation"]) == ("pass", "ws-0001", 3)
        assert field.run("update", field.product, *port)["code"] == "unchanged"
        assert field.run("verify", field.product, *port)["device"] == "ws-0001"
        assert field.run("rollback", *port)["generation"] == 2
        field.product.write_text(versions[0])
        assert field.run("verify", field.product, *port)["device"] == "ws-0001"

        # A root is exchanged.
        routes = "  routes:\n    - {name: ats, endpoint: a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com, roots: [AmazonRootCA3]}\n"
        fourth = release(shipped, 4, **{"  port: 8883\n": f"  port: 8883\n{routes}"})
        field.product.write_text(fourth)
        report = field.run("update", field.product, *port)
        assert (report["code"], report["device"]) == ("pass", "ws-0001")
        roots = {Path(path).name for path in report["files"] if path.endswith(".pem")}
        assert roots == {"AmazonRootCA3.pem", "device.crt.pem", "device.key.pem"}

        # What set.json says crossed the wire each time; the key, which travels in the same way where it does, did not.
        sets, *keys = tap.times(b'"device":"ws-0001"', *forms(key))
        assert sets >= 3 and keys == [0, 0]

        # A main.py that keeps the prompt: the board is got back, its file is not lost, and it is who it was.
        program = "import time\nwhile True:\n try:\n  time.sleep(1)\n except BaseException:\n  pass\n"
        with open_port(board.port) as wire:
            repl = RawRepl(wire)
            repl.enter()
            repl.run(f"f=open('main.py','w')\nf.write({program!r})\nf.close()")
            repl.leave()
        rescued = field.run("rescue", *port)
        assert (rescued["outcome"], rescued["mac"]) == ("pass", board.mac), rescued
        assert field.run("verify", field.product, *port)["device"] == "ws-0001"
        assert program.encode() in files_on(board).values()

        # The repair bench: product.yaml, board file and newer firmware; no ledger, no devices, no CA.
        images.board_file(bench.folder, images.firmware(size=60_000, seed=2), extends="virtual-esp32").rename(
            bench.folder / "virtual-esp32.yaml"
        )
        bench.product.write_text(fourth.replace("version: 4", "version: 5").replace("virtual-esp32 ", "./virtual-esp32.yaml "))
        report = bench.run("flash", bench.product, *port)
        assert (report["code"], report["device"], report["mac"]) == ("pass", "ws-0001", board.mac)
        assert board.read_flash(0x1000, 4096) == (bench.folder / "firmware.bin").read_bytes()[:4096]
        assert bench.run("flash", bench.product, *port)["code"] == "unchanged"

        # One identity all along, and its key crossed the wire once, at the line.
        now, still, last = held(board)
        assert (now, still) == (certificate, key) and last["device"] == "ws-0001" and last["version"] == 5
        assert sum(tap.times(*forms(key))) == 0
        assert not list(field.folder.rglob("*.pem")) and not list(bench.folder.rglob("*.pem"))
    told = line.stories(board.mac) + bench.stories(board.mac)
    written = field.stories(board.mac)
    noted = [(row["kind"], row["job"]) for row in written]
    assert set(noted) == {(kind, job) for kind in ("intent", "outcome") for job in ("update", "rollback", "rescue")}, (
        "what is written is noted"
    )
    assert {row["device"] for row in told if "device" in row} == {"ws-0001"}
    assert len({row["certificate_sha256"] for row in told if "certificate_sha256" in row}) == 1
    assert [row["outcome"] for row in told if row["kind"] == "outcome"] == ["pass"] * 4
