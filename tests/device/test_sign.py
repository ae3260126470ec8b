"""`twinroot sign`, from a rendered product to a container that a board takes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device.jail import ROOT, Board

FEED = """
import json, twinroot
from twinroot import ota
u = ota.Update()
with open("/update", "rb") as f:
    u.feed(f.read())
print(json.dumps([u.done, twinroot.slots.active(), twinroot.sets.read(2)["version"]]))
"""


def twinroot(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from provisioning.cli.entry import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={"TWINROOT_SIGNING_PASSPHRASE": "correct horse", "PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def station(tmp_path: Path) -> Path:
    from tests.device import pki

    folder = tmp_path / "station"
    shutil.copytree(ROOT / "examples" / "weather-station", folder)
    (folder / "devices").mkdir(exist_ok=True)
    ca = pki.root("CA")
    device = pki.client("ws-0001", ca)
    (folder / "devices" / "ws-0001.crt.pem").write_bytes(device.pem)
    (folder / "devices" / "ws-0001.key.pem").write_bytes(device.key_pem)
    return folder


def test_from_render_to_a_new_set(station: Path, tmp_path: Path) -> None:
    product = station / "product.yaml"
    text = product.read_text().replace("!secret wifi_password", "secret-word").replace("!env WIFI_SSID", "net")
    assert twinroot("sign", "new-key", "vendor.key.pem", folder=station).returncode == 0
    rendered = {}
    for version in (1, 2):
        lines = [line for line in text.splitlines() if not line.startswith("version:")]
        product.write_text("\n".join([*lines, f"version: {version}", "updates: {key: vendor.pub.pem}", ""]))
        done = twinroot("render", "product.yaml", "--device", "ws-0001", "--out", f"out{version}", folder=station)
        assert done.returncode == 0, done.stderr
        rendered[version] = station / f"out{version}"
    done = twinroot("sign", "set", "out2", "--key", "vendor.key.pem", "--out", "update.bin", "--json", folder=station)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == 2
    container = (station / "update.bin").read_bytes()
    assert (station / "devices" / "ws-0001.key.pem").read_bytes().splitlines()[1] not in container, "the device's key stays where it is"
    tree = {f"/{p.relative_to(rendered[1])}": p.read_bytes() for p in rendered[1].rglob("*") if p.is_file()}
    board = Board(tmp_path / "board", {p: d for p, d in tree.items() if not p.startswith("/main")} | {"/update": container})
    assert board.run(FEED).json == [True, 2, 2]


def test_mistakes_are_sentences(station: Path) -> None:
    for arguments in (
        ("sign", "set", "nowhere", "--key", "vendor.key.pem", "--out", "x"),
        ("sign", "set", ".", "--out", "x"),
        ("sign", "new-key", "product.yaml"),
    ):
        done = twinroot(*arguments, folder=station)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert not (station / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "says"),
    [
        (("new-key", "product.yaml/vendor.key.pem"), 3, "cannot be written"),
        (("set", "out", "--key", "vendor.key.pem", "--out", "none/update.bin"), 3, "none/update.bin cannot be written"),
        (("set", "out", "--key", "missing.pem", "--out", "update.bin"), 2, "missing.pem"),
        (("set", "out", "--key", "product.yaml", "--out", "update.bin"), 2, "no encrypted private key"),
        (("set", "out", "--command", "'openssl", "--out", "update.bin"), 2, "no command line"),
        (("set", "out", "--command", "", "--out", "update.bin"), 2, "empty"),
        (("set", "devices", "--key", "vendor.key.pem", "--out", "update.bin"), 2, "no rendered set"),
        (("set", "out", "--key", "vendor.key.pem", "--out", "update.bin", "--passphrase-env", "NOT_SET"), 2, "without a terminal"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_nothing_is_written(
    station: Path, arguments: tuple[str, ...], exit_code: int, says: str
) -> None:
    assert twinroot("render", "product.yaml", "--device", "ws-0001", "--out", "out", folder=station).returncode == 0
    if "vendor.key.pem" in arguments:
        assert twinroot("sign", "new-key", "vendor.key.pem", folder=station).returncode == 0
    before = {path for path in station.rglob("*") if path.is_file() and ".cache" not in path.parts}
    done = twinroot("sign", *arguments, folder=station)
    assert done.returncode == exit_code, done.stderr
    sentence, step = done.stderr.splitlines()
    assert says in sentence and step.startswith("  next: ")
    assert {path for path in station.rglob("*") if path.is_file() and ".cache" not in path.parts} == before
