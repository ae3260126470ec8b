"""A root of one's own is left by evidence, too: a broker of one's own, routes that are written by hand."""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from provisioning.cli._fleet import _record
from provisioning.cli.main import run
from provisioning.config.load import load_product
from provisioning.errors import InputError
from provisioning.fleet.device import Anchor
from tests.support import pki

HOST = "broker.lan"
AT = 1767225600  # 2026-01-01
ROUTES = "\n    - {name: main, endpoint: broker.lan, roots: [home-2036, home-2026]}   # the next one first\n"


@pytest.fixture
def product(tmp_path: Path) -> Path:
    pins = ""
    for name in ("home-2026", "home-2036"):
        pem = pki.root(name).pem
        (tmp_path / f"{name}.pem").write_bytes(pem)
        pins += f'  {name}: {{file: {name}.pem, sha256: "{hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()}"}}\n'
    file = tmp_path / "product.yaml"
    file.write_text(
        f"product: home\nversion: 4\nboard: esp32-generic\ncloud:\n  provider: mosquitto\n  routes:{ROUTES}roots:\n{pins}"
        'identity: {certificate: "devices/{device}.crt.pem", key: "devices/{device}.key.pem"}\ndevices: devices.csv\n'
    )
    (tmp_path / "devices.csv").write_text("device\nlamp-1\n")
    return file


def report(folder: Path, **roots: int) -> Path:
    file = folder / "health.jsonl"
    named = {name.replace("_", "-"): good for name, good in roots.items()}
    said = {"t": int(time.time()), "s": 1, "p": 1, "v": 4, "m": "1.26.1", "o": "main", "l": "main", "r": {"main": [9, 0]}, "a": named}
    file.write_text(json.dumps({"device": "lamp-1", "health": said}) + "\n")
    return file


def test_routes_by_hand(product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def migrate(*words: str | Path) -> tuple[int, dict[str, Any]]:
        code = run(["migrate", *map(str, words), "--ledger", str(tmp_path / "ledger.sqlite"), "--json"])
        return code, json.loads(capsys.readouterr().out)

    migrate("collect", product, "--health", report(tmp_path, home_2026=9))
    before = product.read_bytes()
    code, data = migrate("retire", "home-2026", product)
    assert (code, data["code"]) == (1, "still-needed") and "lamp-1" in data["message"]

    migrate("collect", product, "--health", report(tmp_path, home_2026=9, home_2036=1))
    code, data = migrate("retire", "home-2026", product)
    assert (code, data["code"]) == (2, "routes-by-hand") and "main" in data["message"] and "home-2026" in data["hint"]
    assert product.read_bytes() == before and sorted(tmp_path.glob(".*")) == [], "nothing is written, nothing is left"

    # As the hint says; its own list is written by the command.
    product.write_text(before.decode().replace("[home-2036, home-2026]", "[home-2036]").replace("version: 4", "version: 5"))
    code, data = migrate("retire", "home-2026", product)
    assert (code, data["written"], data["phase"]) == (0, True, None)
    made = load_product(product)
    assert list(made.retired) == ["home-2026"] and made.routes[0].roots == ("home-2036",)
    assert "# the next one first" in product.read_text()
    assert migrate("retire", "home-2026", product)[1]["written"] is False


def test_a_derived_route_leaves_a_retired_root_out(product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/providers.md, "A broker of your own", as it is written there: no `routes:`, two pins."""
    text = product.read_text().replace(f"  routes:{ROUTES}", "  endpoint: broker.lan\n")
    product.write_text(text)
    assert load_product(product).routes[0].roots == ("home-2026", "home-2036")
    words = ["--ledger", str(tmp_path / "ledger.sqlite"), "--json"]
    assert run(["migrate", "collect", str(product), "--health", str(report(tmp_path, home_2026=9, home_2036=1)), *words]) == 0
    capsys.readouterr()
    assert run(["migrate", "retire", "home-2026", str(product), *words]) == 0, capsys.readouterr().out
    made = load_product(product)
    assert made.routes[0].roots == ("home-2036",) and made.version == 5 and list(made.retired) == ["home-2026"]
    for written, hint in (("[home-2026, home-2036]", "Pin its successor"), ("[home-2016]", "stays under `roots:`")):
        product.write_text(text.replace("  endpoint:", f"  retired: {written}\n  endpoint:"))
        with pytest.raises(InputError, match=r"product\.yaml:6: .*retired") as refused:
            load_product(product)
        assert hint in refused.value.hint
    # What is wrong with the file that retiring makes has the name of the file that is there.
    product.write_text(text.replace("  endpoint:", "  retired: [home-2026]\n  endpoint:"))
    assert run(["migrate", "retire", "home-2036", str(product), *words]) in (1, 2)
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert ".trial" not in said["message"] and list(tmp_path.glob(".*")) == []


def test_a_broker_of_ones_own_has_no_phases_and_is_told_what_it_has(
    product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether its one route is derived or written by hand: no sentence sends it to a phase, or to AWS."""
    by_hand = product.read_text()
    derived = by_hand.replace(f"  routes:{ROUTES}", "  endpoint: broker.lan\n")

    def said(*words: str) -> tuple[int, dict[str, Any]]:
        code = run([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    for text in (derived, by_hand):
        product.write_text(text)
        for step in ([], ["--next"], ["--back"]):
            code, data = said("migrate", "plan", str(product), *step)
            assert (code, data["code"]) == (2, "no-phases") and "broker.lan has no phases" in data["message"]
            assert "migrate retire ROOT" in data["hint"]
        code, data = said("trust", "list", "--product", str(product), "--fail-within", "100y")
        assert (code, data["code"]) == (1, "date-within") and "migrate retire ROOT" in data["hint"]
        assert run(["migrate", "status", str(product)]) == 0
        assert "phase none: broker.lan has none" in capsys.readouterr().out
        assert product.read_text() == text
    product.write_text(derived.replace("  endpoint:", "  phase: ats-first\n  endpoint:"))
    code, data = said("check", str(product))
    assert (code, data["code"]) == (2, "bad-phase") and "has no phases" in data["message"] and "product.yaml:6" in data["message"]
    product.write_text(derived.replace("broker.lan", "192.168.1.7"))
    code, data = said("check", str(product))
    assert (code, data["code"]) == (2, "bad-endpoint") and "host name" in data["hint"] and "aws" not in data["hint"]


def test_a_record_of_connections_is_said_in_words(product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--ledger", str(tmp_path / "ledger.sqlite")]
    assert run(["migrate", "collect", str(product), "--health", str(report(tmp_path, home_2036=1, home_2026=0)), *words]) == 0
    capsys.readouterr()
    assert run(["migrate", "status", str(product), "--device", "lamp-1", *words]) in (0, 1)
    shown = capsys.readouterr().out
    assert "  root home-2036: 1 connection, at a time that is not known\n" in shown
    assert "  route main: 9 connections, the last at a time that is not known\n" in shown
    said = [_record(anchor) for anchor in (Anchor(0), Anchor(1, AT), Anchor(2, AT))]
    assert said == ["no connection", "1 connection, 2026-01-01", "2 connections, the last 2026-01-01"]
