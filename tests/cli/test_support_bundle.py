"""`support-bundle`: what helps is in it, and no secret that this station has anywhere."""

from __future__ import annotations

import base64
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from provisioning import logs
from provisioning.cli.main import run
from provisioning.identity.factory import make_ca
from provisioning.job.journal import Journal
from provisioning.ledger.store import Ledger
from provisioning.link.events import Event
from provisioning.scrub import HIDDEN, Scrubber
from provisioning.virtual import VirtualBoard
from tests.flash import products

WIFI, PIN, URL, SAS = "kanary wifi: p@ss/w%rd'1", "739154", "kanary+Url/2:%", "kanarySig3%2Babc%3D"
YAML, COMMENT, CSV, ENV, LOOSE = (
    "kanary-mistyped-4",
    "kanary-in-a-comment-5",
    "kanary-in-the-list-6",
    "kanary-in-the-environment-7",
    "kanary-log-8",
)
TOKEN = f"SharedAccessSignature sr=hub.example&sig={SAS}&se=1700000000"
LEDGER = f"postgresql://station1:{quote(URL, safe='')}@127.0.0.1:9/ledger"
PRODUCT = f"""\
product: weather-station
board: ./board.yaml
cloud: {{region: us-east-1, endpoint: a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com}}
wifi: {{ssid: !env WIFI_SSID, password: "{WIFI}"}}  # {COMMENT}
identity:
  certificate: "devices/{{device}}.crt.pem"
  key: "devices/{{device}}.key.pem"
  issue:
    ca: ca/ca.crt.pem
    pkcs11: {{module: /usr/lib/softhsm/libsofthsm2.so, token: plant, pin: "{PIN}"}}
    env: {{HSM_TOKEN: "{TOKEN}"}}
wify: {{pasword: {YAML}}}
devices: devices.csv
"""


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A product folder with every kind of secret, in the environment and in logs as well."""
    home = tmp_path / "p"
    home.mkdir()
    (home / "product.yaml").write_text(PRODUCT)
    (home / "board.yaml").write_text("extends: virtual-esp32\n")
    (home / "devices.csv").write_text(f"device,sas_token\nws-0001,{CSV}\n")
    (home / "secrets.yaml").write_text("other: kanary-of-secrets-9\n")
    make_ca("Test Factory", home / "ca")
    for name, value in {
        "TWINROOT_CACHE": str(tmp_path / "cache"),
        "TWINROOT_LEDGER": LEDGER,
        "WIFI_SSID": "kanary-ssid-10",
        "TWINROOT_SIGNING_PASSPHRASE": ENV,
        "IOTHUB_CONNECTION_STRING": f"HostName=hub.example;SharedAccessKey={ENV}b",
        "HTTPS_PROXY": f"http://proxy:{LOOSE}@proxy.example:8080",
    }.items():
        monkeypatch.setenv(name, value)
    journal = Journal("flash", "rfc2217://127.0.0.1:9")
    for text in secrets(home):
        journal.take(Event("note", {"text": f"the board said {text} and restarted"}))
    journal.end({"mac": "24:0a:c4:00:00:07", "outcome": "fail", "code": "not-as-written", "message": f"{LEDGER} is away"})
    (logs.today() / "120000-abcdef01.log").write_text("\n".join(["esptool v5.2", *secrets(home), LEDGER, TOKEN, f"password={LOOSE}"]))
    return home


def secrets(home: Path) -> list[str]:
    """Each as it may stand in a text."""
    key = (home / "ca" / "ca.key.pem").read_text()
    return [WIFI, PIN, YAML, COMMENT, CSV, ENV, f"{ENV}b", "kanary-of-secrets-9", key, key.splitlines()[1], TOKEN, LEDGER]


def unpacked(file: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_no_secret_is_in_it(station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.zip"
    assert run(["support-bundle", str(out), "--product", str(station / "product.yaml"), "--json"]) == 0
    said = capsys.readouterr()
    found = unpacked(out)
    assert out.stat().st_mode & 0o077 == 0
    every = "\n".join([*found, *found.values(), said.out, said.err])
    key = (station / "ca" / "ca.key.pem").read_text()
    for secret in (WIFI, PIN, URL, SAS, YAML, CSV, ENV, "kanary-of-secrets-9", LOOSE, *key.splitlines()[1:-1]):
        for form in (
            secret,
            quote(secret, safe=""),
            quote_plus(secret),
            json.dumps(secret)[1:-1],
            base64.b64encode(secret.encode()).decode(),
        ):
            assert form not in every, (secret, [name for name, text in found.items() if form in text])
    # A comment is in no file but the log that was made to hold it, where nothing says that it is secret.
    assert all(COMMENT not in text for name, text in found.items() if not name.startswith("logs/"))
    assert "BEGIN PRIVATE" not in every and "kanary-ssid" not in every
    # What helps is there.
    assert "us-east-1" in found["product/product.yaml"] and "{device}" in found["product/product.yaml"]
    assert "virtual-esp32" in found["board/board.yaml"]
    assert json.loads(found["versions.json"])["installed"] and json.loads(found["doctor.json"])[0]["name"] == "python"
    assert json.loads(found["devices.json"]) == {"file": "devices.csv", "first line": "device,sas_token", "rows": 1}
    assert json.loads(found["environment.json"])["TWINROOT_LEDGER"] == "(set)"
    assert "127.0.0.1" in found["ledger.json.missing.txt"], "a ledger that is away is said, and keeps nothing else back"
    log = next(text for name, text in found.items() if name.endswith("/240ac4000007.jsonl"))
    rows = [json.loads(line) for line in log.splitlines()]
    assert rows[0]["event"] == "begin" and rows[-1]["code"] == "not-as-written" and HIDDEN in rows[-1]["message"]


def test_the_ledgers_last_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINROOT_CACHE", str(tmp_path / "cache"))
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        for number in range(5):
            ledger.append("outcome", f"{number:032x}", {"mac": f"24:0a:c4:00:00:{number:02x}", "outcome": "pass"})
    arguments = ["support-bundle", str(tmp_path / "out.zip"), "--ledger", str(tmp_path / "ledger.sqlite"), "--rows", "2"]
    assert run(arguments) == 0
    found = unpacked(tmp_path / "out.zip")
    assert [json.loads(line)["seq"] for line in found["ledger.jsonl"].splitlines()] == [4, 5]
    assert json.loads(found["ledger.json"])["ok"] is True
    assert run([*arguments[:1], str(tmp_path / "none" / "out.zip"), *arguments[2:]]) == 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("port rfc2217://127.0.0.1:4000 is busy", None),
        ("sha256 739154aa739154 of the set", None),
        ("24:0a:c4:00:00:07 is ws-0001: written", None),
        ("PIN 739154 is wrong", f"PIN {HIDDEN} is wrong"),
        ("postgresql://u:a@b/c@db.example/x", f"postgresql://u:{HIDDEN}@db.example/x"),
        ("https://x.example/?sig=abc%3D&se=1", f"https://x.example/?sig={HIDDEN}&se=1"),
        ('{"password": "a b", "x": 1}', f'{{"password": {HIDDEN}, "x": 1}}'),
    ],
)
def test_what_is_taken_out(text: str, shown: str | None) -> None:
    assert Scrubber([PIN]).text(text) == (text if shown is None else shown)


def test_a_product_that_is_not_yaml_is_not_shown(station: Path, tmp_path: Path) -> None:
    (station / "product.yaml").write_text(PRODUCT + f"\tx: {YAML}: [\n")
    assert run(["support-bundle", str(tmp_path / "out.zip"), "--product", str(station / "product.yaml")]) == 0
    assert YAML not in "".join(unpacked(tmp_path / "out.zip").values())


def test_logs_are_bounded(tmp_path: Path) -> None:
    """Old days go whole, then the oldest files of the newest day; what is not ours stays."""
    files: dict[str, Callable[[], Any]] = {}
    for day in ("2026-11-01", "2026-11-02", "2026-11-03"):
        (tmp_path / day).mkdir()
        for number in range(4):
            file = tmp_path / day / f"{number}.jsonl"
            file.write_bytes(b"x" * 1000)
            files[f"{day}/{number}"] = file.exists
    (tmp_path / "mine.txt").write_text("x" * 5000)
    logs.prune(tmp_path, 6000)
    assert [name for name, there in files.items() if there()] == [f"2026-11-0{day}/{number}" for day in (3,) for number in range(4)]
    logs.prune(tmp_path, 2500)
    assert sum(there() for there in files.values()) == 2 and (tmp_path / "mine.txt").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")
def test_each_run_on_a_board_leaves_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a single command and by a worker of a row, both on the same board: one file, found by day and MAC."""
    made = products.at_home(products.make(tmp_path / "p"), monkeypatch)
    with VirtualBoard(paced=False, blank=True) as board:
        assert run(["flash", str(made.product), "--device", "ws-0001", "--port", board.port]) == 0
        assert run(["station", str(made.product), "--devices", str(made.devices), "--port", board.port]) == 0
        assert run(["verify", "--port", "rfc2217://127.0.0.1:9"]) == 3
        file = logs.today() / f"{board.mac.replace(':', '')}.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["code"] for row in rows if row["event"] == "end"] == ["pass", "unchanged"]
    assert [row["job"] for row in rows if row["event"] == "begin"] == ["flash", "flash"]
    assert {"identify", "write", "selftest"} <= {row.get("name") for row in rows}
    others = [path.name for path in file.parent.glob("*.jsonl") if path != file]
    assert len(others) == 1 and others[0].startswith("unknown-"), others


def test_a_run_that_is_refused_for_what_was_typed_leaves_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no folder for one; any other end has its log, with and without a MAC."""
    monkeypatch.setenv("TWINROOT_LOGS", str(tmp_path / "logs"))
    Journal("update", None).end({"outcome": "error", "code": "bad-pem"})
    assert not (tmp_path / "logs").exists()
    Journal("update", "COM5").end({"outcome": "error", "code": "no-answer"})
    Journal("update", "COM5").end({"outcome": "pass", "code": "pass", "mac": "24:0a:c4:00:00:07"})
    [unknown, named] = sorted((path.name for path in logs.today().iterdir()), key=lambda name: name[0] == "2")
    assert unknown.startswith("unknown-") and named == "240ac4000007.jsonl"
