"""Every command that writes a file which the user names: again over its own result, and never over another file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning import output_file
from provisioning.aws import fleet_index
from provisioning.aws.journal import Journal
from provisioning.cli.main import run as twinroot
from provisioning.errors import InputError
from provisioning.hil.page import Page
from provisioning.ledger.store import Ledger
from provisioning.link.recording import Recorder
from provisioning.link.tap import RX
from tests.device.jail import ROOT
from tests.support.ledger_rows import MACS, run
from tests.support.product_files import write_identity

LABEL = "^XA^FO20,20^A0N,30^FD{device}^FS^XZ"
KEY = ("--key", "vendor.key.pem")
# The commands, with the option that names the file last.
WRITERS: dict[str, tuple[str, ...]] = {
    "sign set": ("sign", "set", "rendered", *KEY, "--out"),
    "sbom": ("sbom", "product.yaml", "--out"),
    "sbom spdx": ("sbom", "product.yaml", "--format", "spdx", "--out"),
    "trust calendar": ("trust", "calendar", "product.yaml", "--ics"),
    "label preview": ("label", "preview", "product.yaml", "--out"),
    "label preview qr": ("label", "preview", "code.yaml", "--out"),
    "ledger export": ("ledger", "export", "--out"),
    "ledger export jsonl": ("ledger", "export", "--format", "jsonl", "--out"),
    "ledger record": ("ledger", "record", "--mac", MACS[0], "--out"),
    "ledger record signed": ("ledger", "record", "--mac", MACS[0], *KEY, "--out"),
    "migrate plan": ("migrate", "plan", "product.yaml", "--back", "--out"),
    "jdk-policy": ("jdk-policy", "--no-check", "--out"),
}
# Those whose result needs something else than files: what they refuse, they refuse before they ask for it.
ASKERS: dict[str, tuple[str, ...]] = {
    "aws index reports": ("aws", "index", "reports", "--region", "us-east-1", "--out"),
    "support-bundle": ("support-bundle",),
    "record": ("record", "--port", "socket://127.0.0.1:9"),
    "ledger seal": ("ledger", "seal", *KEY, "--out"),
    "sign new-key": ("sign", "new-key"),
    "render": ("render", "product.yaml", "--device", "ws-0001", "--out"),
    "identity ca": ("identity", "ca", "--out"),
}
VICTIMS = ("vendor.key.pem", "product.yaml", "label.zpl", "ledger.sqlite", "word")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as people have it, all in one: product, list, label, the vendor's key, a rendered set, a ledger."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        at(folder, patch)
        shutil.copyfile(ROOT / "examples" / "weather-station" / "devices.csv", "devices.csv")
        Path("label.zpl").write_text(LABEL)
        Path("word").write_text("correct horse, without an end of line")
        write_identity(folder, "ws-0001")
        assert twinroot(["sign", "new-key", "vendor.key.pem"]) == 0
        text = (
            "product: weather-station\nboard: esp32-generic\ndevices: devices.csv\nupdates: {key: vendor.pub.pem}\n"
            "cloud: {region: us-east-1, endpoint: a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com}\n"
            'identity: {certificate: "devices/{device}.crt.pem", key: "devices/{device}.key.pem"}\n'
        )
        Path("product.yaml").write_text(text + "label: {template: label.zpl}\n")
        Path("code.yaml").write_text(text.replace("weather-station", "code") + 'label: {qr: "{device}", format: svg}\n')
        assert twinroot(["render", "product.yaml", "--device", "ws-0001", "--out", "rendered"]) == 0
        with Ledger.open() as ledger:
            run(ledger, "0" * 32, MACS[0], ["ws-0001"])
    return folder


def at(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(folder)
    patch.setenv("TWINROOT_LEDGER", str(folder / "ledger.sqlite"))
    patch.setenv("TWINROOT_SIGNING_PASSPHRASE", "correct horse")
    patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # whatever credentials this computer has: no test asks AWS


@pytest.fixture
def station(first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "station"
    shutil.copytree(first, folder)
    at(folder, monkeypatch)
    return folder


@pytest.mark.parametrize("name", WRITERS)
def test_a_result_takes_the_place_of_its_own_kind_alone(station: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # the second time over its own result
        assert twinroot([*WRITERS[name], "result"]) == 0, capsys.readouterr().err
    assert Path("result").stat().st_size > 0
    refused(WRITERS[name], capsys)


@pytest.mark.parametrize("name", ASKERS)
def test_what_would_be_lost_is_seen_before_anything_is_asked(station: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(ASKERS[name], capsys)


def refused(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    before = {name: Path(name).read_bytes() for name in VICTIMS}
    for name in VICTIMS:
        if command[:2] == ("migrate", "plan") and name == "product.yaml":
            continue  # its own product is what it changes
        capsys.readouterr()
        code = twinroot([*command, name])
        said = capsys.readouterr().err
        assert {name: Path(name).read_bytes() for name in VICTIMS} == before, f"{command} has overwritten {name}"
        assert code in (2, 3) and name in said, (command, name, said)


def test_an_empty_file_and_a_new_name_are_free(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    output_file.check(tmp_path / "empty", output_file.BILL)
    output_file.check(tmp_path / "new", output_file.BILL)
    for other in (tmp_path, Path("/dev/null")):
        with pytest.raises(InputError, match="is there already and is not a bill of materials"):
            output_file.check(other, output_file.BILL)


def test_the_public_half_of_another_key_stays(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("old.pub.pem").write_text("what devices trust")
    assert twinroot(["sign", "new-key", "old.key.pem"]) == 2 and "old.pub.pem exists" in capsys.readouterr().err
    assert Path("old.pub.pem").read_text() == "what devices trust" and not Path("old.key.pem").exists()


def test_an_application_is_not_taken_for_a_render(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("app").mkdir()
    Path("app/main.py").write_text("print('mine')")
    assert twinroot(["render", "product.yaml", "--device", "ws-0001", "--out", "app"]) == 2
    assert "app: holds main.py" in capsys.readouterr().err and Path("app/main.py").read_text() == "print('mine')"


def test_a_label_in_a_file_replaces_labels_alone(station: Path) -> None:
    from provisioning.config.load import load_product
    from provisioning.labels import make

    loaded = load_product(Path("product.yaml"))
    assert loaded.label is not None
    for _ in range(2):
        make.printer(loaded.label, loaded.folder, "file:labels/{device}.zpl").send(b"^XA^FDws-0001^FS^XZ", {"device": "ws-0001"})
    for name in VICTIMS:
        before = Path(name).read_bytes()
        with pytest.raises(InputError, match="it stays as it is"):
            make.printer(loaded.label, loaded.folder, f"file:{name}").send(b"^XA^XZ", {})
        assert Path(name).read_bytes() == before


def own(kind: output_file.Kind, write: Callable[[Path], Any], file: Path) -> None:
    write(file)
    assert file.stat().st_size
    output_file.check(file, kind)


def test_results_of_boards_and_of_the_index_are_known_as_well(tmp_path: Path) -> None:
    row = fleet_index._report({"thingName": "ws-0001", "connectivity": {"connected": True, "timestamp": 1767225600000}})
    own(output_file.INDEX_REPORTS, lambda file: file.write_text(json.dumps(row) + "\n"), tmp_path / "index.jsonl")
    own(output_file.BOARD_REPORT, lambda file: file.write_text(Page(file)._html()), tmp_path / "page.html")

    def record(file: Path) -> None:
        with Recorder(file) as recorder:
            recorder("/dev/ttyUSB0", RX, b"MicroPython", 0.1)

    own(output_file.RECORDING, record, tmp_path / "session")
    record(tmp_path / "session")


def test_a_journal_cuts_off_its_own_half_line_alone(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    row = b'{"device":"ws-0001","step":"thing"}\n'
    for half in (b'{"dev', b'{"device":"ws-0002","st'):
        file.write_bytes(row + half)
        with Journal(file):
            pass
        assert file.read_bytes() == row
    file.write_bytes(b"a word without an end of line")
    with pytest.raises(InputError, match="not written by a registration"):
        Journal(file)
    assert file.read_bytes() == b"a word without an end of line"
