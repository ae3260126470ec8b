"""`twinroot migrate collect`, `status` and `retire`, as they are typed; on both databases."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning.cli.main import run
from provisioning.config.load import load_product
from provisioning.errors import InputError
from provisioning.fleet.collect import Collector
from provisioning.fleet.store import FleetStore
from provisioning.ledger.store import Ledger
from tests.support import fleet_lines
from tests.support.fleet_lines import A1, ATS, DAY, G5, LEGACY

NOW = int(time.time())
Twinroot = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def product(tmp_path: Path) -> Path:
    file = tmp_path / "product.yaml"
    file.write_text(fleet_lines.PRODUCT)
    (tmp_path / "devices.csv").write_text("device,site,wifi_password\nws-1,north,secret-word\nws-2,south,secret-word\n")
    return file


@pytest.fixture
def twinroot(url: str, capsys: pytest.CaptureFixture[str]) -> Twinroot:
    def call(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = run(["migrate", *map(str, arguments), "--ledger", url, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


def health(folder: Path, *reports: dict[str, Any]) -> Path:
    file = folder / "health.jsonl"
    file.write_text("".join(json.dumps(report) + "\n" for report in reports))
    return file


def report(device: str, version: int, last: str, at: int = NOW - DAY, **good: int) -> dict[str, Any]:
    """What telemetry.text() says."""
    roots = {{"legacy": G5, "ats": A1}[route]: count for route, count in good.items()}
    told = {"t": at, "s": 1, "p": 1, "v": version, "m": "1.26.1", "o": ",".join(fleet_lines.ROUTES[version]), "l": last}
    return {"device": device, "health": {**told, "r": {route: [count, 0] for route, count in good.items()}, "a": roots}}


def fates(data: dict[str, Any], kind: str, name: str) -> dict[str, list[str]]:
    return {word: group["first"] for word, group in data["fleet"]["breaks"][kind][name].items()}


def test_from_the_first_report_to_the_last_root(product: Path, twinroot: Twinroot, tmp_path: Path) -> None:
    file = health(tmp_path, report("ws-1", 3, "ats", legacy=5, ats=2))
    code, data = twinroot("collect", product, "--health", file)
    assert (code, data["devices"], data["reports"], data["changed"]) == (0, 2, {"list": 2, "ledger": 0, "file": 1}, 3)
    assert twinroot("collect", product, "--health", file)[1]["changed"] == 0, "once more changes nothing"

    code, data = twinroot("status", product)
    assert (code, data["code"]) == (1, "devices-behind") and "ws-2" in data["message"] and G5 in data["message"]
    assert fates(data, "root", G5) == {"safe": ["ws-1"], "unknown": ["ws-2"]}
    assert fates(data, "endpoint", ATS) == {"lost": ["ws-1"], "unknown": ["ws-2"]}
    assert fates(data, "phase", "ats-only") == {"safe": ["ws-1"], "unknown": ["ws-2"]}
    assert data["fleet"]["phases"] == {"ats-first": 1, "unknown": 1} and data["fleet"]["roots"] == {A1: 1}

    before = product.read_text()
    code, data = twinroot("retire", G5, product)
    assert (code, data["code"], data["outcome"]) == (1, "still-needed", "fail") and "ws-2" in data["message"]
    assert product.read_text() == before

    # It reports, by the legacy route alone: it would have another, and has never used it.
    twinroot("collect", product, "--health", health(tmp_path, report("ws-2", 3, "legacy", legacy=7)))
    code, data = twinroot("retire", G5, product)
    assert code == 1 and "1 have another route and never connected by it (ws-2)" in data["message"]
    code, data = twinroot("plan", product, "--next")
    assert (code, data["code"]) == (2, "no-evidence") and "ws-2" in data["message"]

    twinroot("collect", product, "--health", health(tmp_path, report("ws-2", 3, "ats", NOW, legacy=7, ats=1)))
    version = load_product(product).version
    code, data = twinroot("retire", G5, product)
    assert (code, data["written"], data["phase"]) == (0, True, "ats-only")
    made = load_product(product)
    assert [route.name for route in made.routes] == ["ats"] and list(made.retired) == [G5] and made.version == version + 1
    assert twinroot("retire", G5, product)[1]["written"] is False and load_product(product).version == version + 1


def test_who_was_silent_is_named(product: Path, twinroot: Twinroot, tmp_path: Path) -> None:
    both = (report(name, 3, "ats", NOW - days * DAY, legacy=7, ats=1) for name, days in (("ws-1", 1), ("ws-2", 90)))
    twinroot("collect", product, "--health", health(tmp_path, *both))
    code, data = twinroot("retire", G5, product, "--dry-run")
    assert code == 0 and data["fates"] == {"safe": {"count": 1, "first": ["ws-1"]}, "silent": {"count": 1, "first": ["ws-2"]}}
    assert twinroot("retire", G5, product, "--dry-run", "--silent-days", "100")[1]["fates"]["safe"]["count"] == 2
    assert twinroot("status", product)[1]["fleet"]["silent"] == {"count": 1, "first": ["ws-2"]}


def test_the_better_root_is_not_the_one_that_goes(product: Path, twinroot: Twinroot, tmp_path: Path) -> None:
    both = (report(name, 3, "legacy", NOW, legacy=7, ats=1) for name in ("ws-1", "ws-2"))
    twinroot("collect", product, "--health", health(tmp_path, *both))
    before = product.read_text()
    code, data = twinroot("retire", A1, product)
    assert (code, data["code"]) == (2, "better-root") and G5 in data["message"] and product.read_text() == before


def test_out_of_service_is_not_who_was_seen(product: Path, twinroot: Twinroot, tmp_path: Path) -> None:
    twinroot("collect", product, "--health", health(tmp_path, *(report(name, 3, "legacy", NOW, legacy=7) for name in ("ws-1", "ws-2"))))
    listed = tmp_path / "gone.txt"
    listed.write_bytes(b"\xef\xbb\xbfws-1\r\nws-2\r\n")
    before = product.read_text()
    code, data = twinroot("retire", G5, product, "--gone", listed)
    assert (code, data["code"]) == (2, "gone-was-seen") and f"{listed.name}:1: ws-1 was seen" in data["message"]
    assert "and 1 more" in data["message"] and product.read_text() == before
    assert twinroot("retire", G5, product, "--gone", listed, "--dry-run", "--yes")[0] == 0
    listed.write_text("ws-1\n\nWS-2\n")
    code, data = twinroot("retire", G5, product, "--gone", listed)
    assert (code, data["code"]) == (2, "not-in-fleet") and f"{listed.name}:3: nothing is known of a device 'WS-2'" in data["message"]
    listed.write_bytes("ws-1\n".encode("utf-16"))
    assert twinroot("retire", G5, product, "--gone", listed)[1]["code"] == "not-utf-8"


def test_status_is_not_green_where_the_set_would_lose_somebody(product: Path, twinroot: Twinroot, tmp_path: Path) -> None:
    told = report("ws-1", 3, "ats", NOW, ats=2), report("ws-2", 3, "legacy", NOW, legacy=2)
    twinroot("collect", product, "--health", health(tmp_path, *told))
    later = product.read_text().replace("version: 3", "version: 4").replace("phase: ats-first", "phase: ats-only")
    product.write_text(later)
    code, data = twinroot("status", product)
    assert (code, data["code"]) == (1, "devices-behind") and "ws-2" in data["message"]
    twinroot("collect", product, "--health", health(tmp_path, report("ws-2", 3, "ats", NOW, legacy=2, ats=1)))
    assert twinroot("status", product)[0] == 0


def test_status_is_not_green_where_nothing_is_known(
    product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWINROOT_LEDGER", str(tmp_path / "none.sqlite"))
    assert run(["migrate", "status", str(product), "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["code"] == "devices-behind" and "Nothing is known of the devices" in data["message"]


def test_what_is_out_of_service_needs_nothing(product: Path, twinroot: Twinroot, tmp_path: Path) -> None:
    twinroot("collect", product, "--health", health(tmp_path, report("ws-1", 3, "ats", ats=2)))
    scrapped = tmp_path / "scrapped.txt"
    scrapped.write_text("ws-2\n")
    assert twinroot("retire", G5, product, "--dry-run")[0] == 1
    assert twinroot("retire", G5, product, "--dry-run", "--gone", scrapped)[0] == 0


def test_a_device(product: Path, twinroot: Twinroot, tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    twinroot("collect", product, "--health", health(tmp_path, report("ws-1", 3, "ats", ats=2)))
    code, data = twinroot("status", product, "--device", "ws-1")
    assert (code, data["phase"], data["root"], data["attributes"]) == (0, "ats-first", A1, {"site": "north"})
    assert data["breaks"][f"endpoint {LEGACY} goes"] == {"word": "safe", "route": "ats", "after": 0}
    assert twinroot("status", product, "--device", "ws-9")[1]["code"] == "not-in-fleet"
    assert run(["migrate", "status", str(product), "--ledger", url, "--devices", "--json"]) == 0
    assert [json.loads(line)["device"] for line in capsys.readouterr().out.splitlines()] == ["ws-1", "ws-2"]


def test_a_line_that_is_no_report(product: Path, twinroot: Twinroot, tmp_path: Path) -> None:
    """What stands before it is collected, and once it is repaired the file is collected again."""
    file = health(tmp_path, report("ws-1", 3, "ats", ats=2), {"device": "ws-2", "health": []}, report("ws-3", 3, "ats", ats=2))
    code, data = twinroot("collect", product, "--health", file)
    assert (code, data["code"]) == (2, "bad-health") and f"{file}:2: the report has a 'health'" in data["message"]
    assert "before it is collected" in data["hint"]
    file.write_text(file.read_text().replace('"health": []', '"health": {"r": {}, "l": null}'))
    code, data = twinroot("collect", product, "--health", file)
    assert (code, data["devices"]) == (0, 3)
    for text in ("{", "\udcff", "x" * 70_000):
        file.write_bytes(text.encode("utf-8", "surrogateescape") + b"\n")
        code, data = twinroot("collect", product, "--health", file)
        assert code == 2 and f"{file}:1: " in data["message"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_what_windows_writes(product: Path, tmp_path: Path, encoding: str, capsys: pytest.CaptureFixture[str]) -> None:
    """UTF-16 is named; the mark of UTF-8 in front of the first line is no part of it."""
    text = json.dumps(report("ws-1", 3, "ats", ats=2)) + "\r\n"
    file, ledger = tmp_path / "health.jsonl", str(tmp_path / "windows.sqlite")
    for encoded, code in ((text.encode(encoding), 2), (text.encode("utf-8-sig"), 0)):
        file.write_bytes(encoded)
        capsys.readouterr()
        assert run(["migrate", "collect", str(product), "--health", str(file), "--ledger", ledger, "--json"]) == code
        said = json.loads(capsys.readouterr().out)
    assert said["reports"]["file"] == 1
    file.write_bytes(text.encode(encoding))
    assert run(["migrate", "collect", str(product), "--health", str(file), "--ledger", ledger, "--json"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert "UTF-16" in said["message"] and "UTF-8" in said["hint"]


def test_a_ledger_that_was_not_there_is_named(product: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    for said in (True, False):
        assert run(["migrate", "collect", str(product), "--ledger", url, "--json"]) == 0
        assert ("there was no ledger at" in capsys.readouterr().err) is said


def test_options_that_say_nothing(product: Path, twinroot: Twinroot) -> None:
    code, data = twinroot("collect", product, "--mqtt", "")
    assert (code, data["code"]) == (2, "bad-arguments") and "--mqtt" in data["message"]
    other = product.with_name("other.yaml")
    other.write_text(
        "product: other\nboard: esp32-generic\ncloud: {endpoint: hub1.azure-devices.net}\nidentity: {certificate: c, key: k}\n"
    )
    assert twinroot("collect", other, "--index", "thingName:*")[1]["code"] == "other-provider"


def test_ids_that_are_paths(product: Path, tmp_path: Path) -> None:
    """From a file it is bad input; from a broker or the index it is left out, and the others count."""
    with Ledger.open(tmp_path / "paths.sqlite") as ledger:
        store = FleetStore(ledger)
        collector = Collector(store, load_product(product))
        with pytest.raises(InputError, match="which is a path and not a name"):
            collector.file(health(tmp_path, report("../../x", 3, "ats", ats=2)))
        rows = [{"device": name, "connected": True, "health": 7} for name in ("", "../../x", "ws-1")]
        collector.index(rows)
        told = json.dumps({**report("x", 3, "ats", ats=2)["health"]}).encode()
        collector.messages([("a/b", told, None), ("ws-2", told, None), None])
        assert [device.device for device in store.devices(load_product(product).name)] == ["ws-1", "ws-2"]
        assert len(collector.done.bad) == 4 and not collector.done.notes
        collector.index([])
        assert "fits no thing" in collector.done.notes[0]


def test_without_any_evidence_no_root_is_retired(product: Path, twinroot: Twinroot) -> None:
    code, data = twinroot("retire", G5, product)
    assert code == 2 and data["code"] in ("no-fleet", "no-ledger")
    twinroot("collect", product)
    code, data = twinroot("retire", G5, product)
    assert (code, data["code"]) == (1, "still-needed") and "2 have left no evidence (ws-1, ws-2)" in data["message"]
    assert twinroot("retire", "AmazonRootCA9", product)[1]["code"] == "not-in-fleet"


def test_reports_in_files_alone_go_on_as_before(product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = health(tmp_path, {"device": "ws-1", "last": "ats", "routes": {"ats": {"good": 1}}, "roots": {A1: {"good": 1}}})
    assert run(["migrate", "status", str(product), "--health", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fleet"]["by_root"] == {A1: 1}
