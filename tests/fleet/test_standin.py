"""`twinroot migrate collect --index`, `status --probe` and `retire --probe` against the stand-in: its account, its endpoints."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.cli.main import run
from provisioning.standin import StandIn
from provisioning.standin.access import IN_THE_WAY
from tests.standin.account import client
from tests.standin.conftest import Client

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the stand-in runs on Linux")
Command = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("cloud")) as standin:
        yield standin


@pytest.fixture
def product(cloud: StandIn, tmp_path: Path) -> Path:
    """As `twinroot cloud` prints it: the two endpoints, each with a root of the stand-in's own."""
    rows = {row["name"]: row for row in cloud.routes}
    text = (
        f"product: weather-station\nversion: 3\nboard: esp32-generic\ncloud:\n  region: us-east-1\n  endpoint: {rows['ats']['endpoint']}\n"
    )
    text += "  phase: ats-first\nroots:\n"
    for name, row in rows.items():
        standing = ", status: distrusted" if name == "legacy" else ""
        text += f'  {row["root"]}: {{file: "{cloud.roots[row["root"]]}", sha256: "{cloud.info["pins"][row["root"]]}"{standing}}}\n'
    bench = ", ".join(f"{name}: [{row['root']}]" for name, row in rows.items())
    text += f"lab:\n  roots: {{{bench}}}\n  resolve:\n"
    text += "".join(f'    "{row["endpoint"]}:8883": "{row["host"]}:{row["port"]}"\n' for row in rows.values())
    certificate, key = cloud.issue("ws-1")
    text += f'identity: {{certificate: "{certificate}", key: "{key}"}}\ndevices: devices.csv\n'
    (tmp_path / "devices.csv").write_text("device\nws-1\n")
    file = tmp_path / "product.yaml"
    file.write_text(text)
    return file


@pytest.fixture
def migrate(cloud: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    for name in IN_THE_WAY:
        monkeypatch.delenv(name, raising=False)
    for name, value in cloud.account.variables.items():
        monkeypatch.setenv(name, value)

    def command(*words: str | Path) -> tuple[int, dict[str, Any], str]:
        capsys.readouterr()
        code = run(["migrate", *map(str, words), "--ledger", str(tmp_path / "ledger.sqlite"), "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out), err

    return command


def said_by_a_device(cloud: StandIn) -> dict[str, Any]:
    """What telemetry.text() says on a device that has connected by both routes, by the preferred one last."""
    good = {row["name"]: (5 if row["name"] == "legacy" else 2, row["root"]) for row in cloud.routes}
    roots = {root: count for count, root in good.values()}
    return {
        "s": 1,
        "p": 1,
        "v": 3,
        "m": "1.26.1",
        "o": "ats,legacy",
        "l": "ats",
        "r": {n: [c, 0] for n, (c, _) in good.items()},
        "a": roots,
    }


def test_the_index_of_the_account(cloud: StandIn, product: Path, migrate: Command) -> None:
    """Who is connected, with its shadow, and who is not and has none."""
    root = cloud.route("ats")["root"]
    cloud.issue("ws-2")
    code, data, _ = migrate("collect", product, "--index", "thingName:ws-*")
    assert (code, data["code"]) == (2, "no-index") and "twinroot aws index prepare" in data["hint"]
    assert run(["aws", "index", "prepare"]) == 0
    payload = json.dumps({"state": {"reported": said_by_a_device(cloud)}})
    client(cloud, "iot-data").update_thing_shadow(thingName="ws-1", shadowName="twinroot", payload=payload)
    stream, _ = Client(cloud, device="ws-1").mqtt()
    with stream:
        code, data, said = migrate("collect", product, "--index", "thingName:ws-*")
    assert (code, data["reports"]["index"], data["devices"]) == (0, 2, 2), said
    one = migrate("status", product, "--device", "ws-1")[1]
    assert (one["source"], one["version"], one["route"], one["root"]) == ("index", 3, "ats", root) and one["seen"]
    assert one["breaks"][f"root {cloud.route('legacy')['root']} goes"]["word"] == "safe"
    code, data, said = migrate("collect", product, "--index", "thingName:pump-*")
    assert (code, data["reports"]["index"]) == (0, 0) and "fits no thing" in said and data["notes"]
    assert run(["aws", "index", "reports", "--query", "thingName:pump-*"]) == 0
    code, data, said = migrate("collect", product, "--index", "thingName:(((")
    assert code in (2, 3) and data["message"] and data["hint"] and "Traceback" not in said


def test_what_the_endpoints_show_now(cloud: StandIn, product: Path, migrate: Command, tmp_path: Path) -> None:
    """An endpoint that ends in another root today saves nobody, whatever was proven before."""
    health = tmp_path / "health.jsonl"
    health.write_text(json.dumps({"device": "ws-1", "health": {**said_by_a_device(cloud), "t": int(time.time())}}) + "\n")
    assert migrate("collect", product, "--health", health)[0] == 0
    root, ats = cloud.route("legacy")["root"], cloud.route("ats")
    before = product.read_text()
    code, data, said = migrate("status", product, "--probe")
    assert code == 0 and f"ends in {ats['root']}" in said, data
    assert data["fleet"]["breaks"]["root"][root] == {"safe": {"count": 1, "first": ["ws-1"]}}
    try:
        cloud.scenario("ats", "wrong-root", drop=True)
        code, data, said = migrate("status", product, "--probe")
        assert (code, data["code"]) == (1, "devices-behind") and f"{ats['endpoint']}:8883: does not show a chain" in said
        code, data, _ = migrate("retire", root, product, "--probe")
        assert (code, data["code"], data["written"]) == (1, "still-needed", False) and "ws-1" in data["message"]
        assert product.read_text() == before
        assert migrate("retire", root, product, "--dry-run")[0] == 0, "who does not ask does not know"
    finally:
        cloud.scenario("ats", "ok", drop=True)
    code, data, _ = migrate("retire", root, product, "--probe")
    assert (code, data["written"], data["phase"]) == (0, True, "ats-only")
