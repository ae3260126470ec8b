"""A board that passed at the factory and a product file are enough: what the product does not know stays on the board."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from provisioning.config.device import Device, single_device
from provisioning.config.load import load_product
from provisioning.identity import factory
from provisioning.job.board_identity import Choice
from provisioning.job.rollback import rollback
from provisioning.job.update import update
from provisioning.job.verify import verify
from tests.job.conftest import Bench
from tests.support.product_files import write_identity, write_product

OTHER = {"a1b2c3d4e5f6g7": "z9y8x7w6v5u4t3"}
THIRD = {"a1b2c3d4e5f6g7": "t9t8t7t6t5t4t3"}


class Field:
    """Another computer: a folder that holds nothing but product.yaml."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.bench = bench
        self.folder = folder

    def product(self, more: str = "", **replaced: str) -> Any:
        text = self.bench.text
        for old, new in replaced.items():
            text = text.replace(old, new)
        return load_product(write_product(self.folder, text, more))

    def update(self, more: str = "", **replaced: str) -> Any:
        return update(self.product(more, **replaced), None, self.bench.port)


@pytest.fixture
def field(bench: Bench, tmp_path: Path) -> Field:
    """The bench's board has passed; its key is on it."""
    assert update(bench.product(), bench.device, bench.port).outcome == "pass"
    return Field(bench, tmp_path / "field")


def key_bytes(bench: Bench) -> bytes:
    return (bench.folder / "devices" / "ws-0001.key.pem").read_bytes()


@pytest.mark.parametrize("transport", ["stream", "paste", "ampy"])
def test_only_the_product_file(bench: Bench, field: Field, transport: str) -> None:
    first = verify(bench.port, field.product())
    assert (first.outcome, first.device) == ("pass", "ws-0001"), first.message
    report = update(field.product(**OTHER), None, bench.port, transport=transport)
    assert (report.outcome, report.code, report.device, report.generation) == ("pass", "pass", "ws-0001", 2), report.message
    key = "/trust/2/device.key.pem"
    assert key in report.written and report.files[key] == hashlib.sha256(key_bytes(bench)).hexdigest()
    assert bench.run(f"print(open({key!r}).read())").strip().encode() == key_bytes(bench).strip()
    assert verify(bench.port, field.product(**OTHER)).outcome == "pass"
    again = field.update(**OTHER)
    assert (again.code, again.written) == ("unchanged", [])
    assert not list(field.folder.rglob("*.pem"))


def test_a_set_that_was_rolled_back_is_no_source(bench: Bench, field: Field) -> None:
    """The next set replaces it, and its files go before the first copy is made."""
    assert field.update(**OTHER).generation == 2
    assert rollback(bench.port).generation == 1
    report = field.update(**THIRD)
    assert (report.outcome, report.previous) == ("pass", 1), report.message
    assert bench.run(f"print(open('/trust/{report.generation}/device.key.pem').read())").strip().encode() == key_bytes(bench).strip()


def test_columns_that_are_not_known_stay(bench: Bench, field: Field) -> None:
    more = 'client_id: "{site}-{device}"\nwifi: {ssid: "net {site}", password: "pass-{site}-word"}\n'
    row = Device("ws-0001", {"device": "ws-0001", "site": "north roof"})
    assert update(bench.product(more), row, bench.port).outcome == "pass"
    assert field.update(more).code == "unchanged"
    report = field.update(more, **OTHER)
    assert report.outcome == "pass", report.message
    said = bench.run(f"import json\nd=json.load(open('/trust/{report.generation}/set.json'))\nprint(d['client_id'],d['wifi'])")
    assert said.startswith("north roof-ws-0001") and "net north roof" in said and "pass-north roof-word" in said
    # Of another form: what stands there now cannot be what the product wants.
    writes = bench.flash_writes()
    refused = field.update(more.replace("{site}-{device}", "{site}/{device}"))
    assert (refused.outcome, refused.code, refused.exit_code) == ("error", "unknown-field", 2)
    assert bench.flash_writes() == writes


def test_a_row_of_the_csv_is_used_where_it_is_here(bench: Bench, field: Field) -> None:
    more = 'client_id: "{site}-{device}"\ndevices: devices.csv\n'
    (field.folder / "devices.csv").write_text("device,site\nws-0001,west\nws-0002,east\n")
    product = field.product(more)
    report = update(product, Choice.of(product, None, None), bench.port)
    assert (report.outcome, report.device) == ("pass", "ws-0001"), report.message
    assert "west-ws-0001" in bench.run(f"print(open('/trust/{report.generation}/set.json').read())")


def damage(path: str) -> str:
    return f"f=open({path!r},'r+b');f.seek(60);f.write(b'XXXX');f.close()"


# What is done to the board or asked of it -> code, exit code, and what the message names.
REFUSALS = {
    "another product": ("product: weather-station", "product: pump", {}, "other-product", 1, "weather-station"),
    "a key that is damaged": (damage("/trust/1/device.key.pem"), "", {}, "identity-damaged", 1, "key"),
    "a key that is not there": ("import os\nos.remove('/trust/1/device.key.pem')", "", {}, "identity-damaged", 1, "key"),
    "a certificate that is damaged": (damage("/trust/1/device.crt.pem"), "", {}, "identity-damaged", 1, "certificate"),
    "another device": ("", "", {"device": "ws-0002"}, "other-device", 2, "ws-0001"),
    "another certificate": ("", "certificate", {"device": "ws-0001"}, "other-certificate", 2, "devices/ws-0001.crt.pem"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_an_identity_that_would_be_lost_is_refused_before_the_first_write(bench: Bench, field: Field, case: str) -> None:
    done, change, named, code, exit_code, says = REFUSALS[case]
    replaced = dict(OTHER)
    if change.startswith("product"):
        replaced[done] = change
    elif done:
        bench.run(done)
    if change == "certificate":
        write_identity(field.folder, "ws-0001")[1].unlink()
    product = field.product(**replaced)
    device = single_device(named["device"]) if named else None
    writes = bench.flash_writes()
    report = update(product, device, bench.port)
    assert (report.code, report.exit_code) == (code, exit_code), report.message
    assert says in report.message and "identity" not in report.hint
    assert verify(bench.port, product, device).outcome == "fail"
    assert bench.flash_writes() == writes


def test_what_is_damaged_on_the_board_and_is_here_is_sent(bench: Bench, field: Field) -> None:
    bench.run(damage("/trust/1/device.key.pem"))
    report = update(bench.product(), bench.device, bench.port)
    assert report.outcome == "pass", report.message
    assert field.update(**OTHER).outcome == "pass"


def test_a_board_without_a_set_needs_a_device(bench: Bench, tmp_path: Path) -> None:
    field = Field(bench, tmp_path / "field")
    report = field.update()
    assert (report.code, report.exit_code) == ("no-device", 2) and "--device" in report.hint
    report = update(field.product(), single_device("ws-0001"), bench.port)
    assert (report.code, report.exit_code) == ("file-missing", 2), report.message
    assert "ws-0001.crt.pem" in report.message and "make" not in report.hint.split("line")[0]


def test_firmware_whose_bytecode_is_another(bench: Bench, field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """The set's package was compiled for a MicroPython that the board does not run any more: said by name, and an update mends it."""
    from provisioning.bundle import compile as compiler

    compiled = compiler._compiled
    monkeypatch.setattr(compiler, "_compiled", lambda modules: {name: _older(data) for name, data in compiled(modules).items()})
    compiler._package.cache_clear()
    try:
        old = update(bench.product(), bench.device, bench.port)
    finally:
        monkeypatch.undo()
        compiler._package.cache_clear()
    assert (old.outcome, old.code, old.exit_code) == ("fail", "other-bytecode", 1), old.message
    bench.run("import os\n[os.remove('/trust/1/'+n) for n in os.listdir('/trust/1')]\nos.rmdir('/trust/1')")  # no older set to fall back on
    seen = verify(bench.port)
    assert (seen.outcome, seen.code, seen.exit_code) == ("fail", "other-bytecode", 1), seen.message
    assert "update" in seen.hint
    report = field.update()
    assert (report.outcome, report.device) == ("pass", "ws-0001"), report.message
    assert verify(bench.port, field.product()).outcome == "pass"


def _older(module: bytes) -> bytes:
    """A .mpy file of the bytecode version before (byte 1 of its header; MicroPython, py/persistentcode.h)."""
    return module[:1] + bytes([module[1] - 1]) + module[2:] if module[:1] == b"M" else module


def test_a_new_identity_is_deliberate_and_noted(bench: Bench, field: Field, tmp_path: Path) -> None:
    from provisioning.job.renew import renew
    from provisioning.job.update_task import UpdateJob
    from provisioning.ledger.store import Ledger

    folder = tmp_path / "line"
    folder.mkdir()
    factory.make_ca("Test Factory", folder / "factory")
    issue = "  issue: {ca: factory/ca.crt.pem, ca_key: factory/ca.key.pem}\n"
    product = load_product(write_product(folder, bench.text + issue))
    before = bench.run("print(open('/trust/1/device.crt.pem').read())")
    location = str(tmp_path / "ledger.sqlite")
    job = UpdateJob(product.source, None, location)
    report = renew(product, single_device("ws-0001"), bench.port, job, lambda _event: None)
    assert (report.outcome, report.device) == ("pass", "ws-0001"), report.message
    assert bench.run(f"print(open('/trust/{report.generation}/device.crt.pem').read())") != before
    with Ledger.open(location) as ledger:
        rows = list(ledger.entries(device="ws-0001"))
    assert [row.kind for row in rows] == ["claim", "intent", "outcome"]
    fingerprint = rows[0].fields["replaces"]
    assert fingerprint == factory.fingerprint_here(bench.product(), bench.device) != rows[1].fields["certificate_sha256"]
    # Once more: what was made is laid aside, not lost.
    again = renew(product, single_device("ws-0001"), bench.port, job, lambda _event: None)
    assert again.outcome == "pass", again.message
    assert sorted(path.name.split(".")[-2][:8] for path in (folder / "devices").iterdir()) == ["crt", "key", "retired-", "retired-"]
    shutil.rmtree(folder / "devices")
    assert verify(bench.port, product).outcome == "pass"
