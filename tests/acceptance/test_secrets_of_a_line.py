"""A whole line with a canary for every secret it has: none is on a screen, in a log, the ledger, a page, an export, a label, in what a
command is given, or the list of processes. The ledger is on a server, whose password is one of them."""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from provisioning.resources import folder
from provisioning.virtual import VirtualBoard
from tests.acceptance.place import Place
from tests.acceptance.test_secrets import SITECUSTOMIZE, forms
from tests.dashboard.support import serving
from tests.flash import products
from tests.support import postgres
from tests.support.zebra import NO_PAPER, READY, Zebra

WIFI, PIN, API, PASSPHRASE, TOKEN = "canary-wifi-4711", "canary-pin-4711", "canary-api-4711", "canary-passphrase-4711", "canary-token-4711"
OPERATOR = "Kim Zaunkoenig"

# What the signer and the command see of the list of processes while they run, and what they were given.
_LOOK = """
import json, os, pathlib, subprocess, sys
def processes():
    found = []
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().decode(errors="replace").replace("\\0", " "))
        except OSError:
            continue
    return found
"""
_SIGNER = f"""{_LOOK}
assert os.environ["TOKEN_PIN"] == {PIN!r}
pathlib.Path("seen-by-signer.json").write_text(json.dumps(processes()))
sys.exit(subprocess.run(["openssl", "dgst", "-sha256", "-sign", "ca/ca.key.pem"], check=False).returncode)
"""
_HOOK = f"""{_LOOK}
assert os.environ.pop("API_TOKEN") == {API!r}
seen = dict(processes=processes(), environment=dict(os.environ), row=json.load(sys.stdin))
pathlib.Path("seen-by-command.json").write_text(json.dumps(seen))
"""


@pytest.fixture
def server() -> Iterator[postgres.Server]:
    binaries = postgres.binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here")
    made = postgres.Server(binaries)
    yield made
    made.remove()


@pytest.fixture
def blank() -> Iterator[VirtualBoard]:
    with VirtualBoard(paced=False, blank=True) as board:
        yield board


def line(place: Place, ledger: str, printer: str) -> products.Made:
    """A product with every kind of secret, its label and its command."""
    made = products.make(place.root / "line", devices=2)
    text = made.product.read_text().replace(
        "ca_key: ca/ca.key.pem", f"signer: [{sys.executable}, sign.py], env: {{TOKEN_PIN: !secret pin}}"
    )
    text += "wifi: {ssid: lab, password: !secret wifi}\ndevices: devices.csv\n"
    text += f"label: {{template: label.zpl, printer: '{printer}'}}\n"
    text += f"on_pass: {{command: [{sys.executable}, tell.py], env: {{API_TOKEN: !secret api}}}}\n"
    made.product.write_text(text)
    (made.folder / "secrets.yaml").write_text(f"wifi: {WIFI}\npin: {PIN}\napi: {API}\n")
    (made.folder / "sign.py").write_text(_SIGNER)
    (made.folder / "tell.py").write_text(_HOOK)
    (made.folder / "label.zpl").write_text("^XA^FD{device} {mac} {certificate_serial} {firmware_version}^FS^XZ")
    (place.temporary / "sitecustomize.py").write_text(SITECUSTOMIZE)
    place.environment |= {
        "TWINROOT_LEDGER": ledger,
        "TWINROOT_CACHE": str(made.folder / "cache"),
        "TWINROOT_OPERATOR": OPERATOR,
        "TWINROOT_SIGNING_PASSPHRASE": PASSPHRASE,
        "TWINROOT_DASHBOARD_TOKEN": TOKEN,
        "PYTHONPATH": os.pathsep.join([str(place.temporary), str(folder("firmware").parent)]),
        "AUDIT": str(place.root / "started.txt"),
    }
    return made


def fetched(url: str, *paths: str) -> str:
    """Everything that the page gives to somebody with its token."""
    said = ""
    for path in paths:
        line = http.client.HTTPConnection("127.0.0.1", int(url.rsplit(":", 1)[1].strip("/")), timeout=20)
        line.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = line.getresponse()
        assert answer.status == 200, path
        content = ""
        while path == "/events" and '"slots"' not in content:  # a stream has no end
            content += answer.readline().decode()
        said += str(answer.headers) + (content or answer.read().decode())
        line.close()
    return said


@pytest.mark.timeout(300)  # fourteen commands, each a process
def test_no_secret_of_a_line_shows_anywhere(place: Place, blank: VirtualBoard, server: postgres.Server) -> None:
    ledger = server.url(server.database())
    said = ""

    def twinroot(*arguments: str | Path, code: int = 0) -> None:
        nonlocal said
        run = place.run(*arguments, "--json", "--debug")
        said += run.out + run.err
        assert run.exit_code == code, f"{arguments}: {run.err}"

    with Zebra(NO_PAPER) as printer:
        made = line(place, ledger, printer.where)
        product = made.product
        twinroot("ledger", "migrate")
        twinroot("sign", "new-key", place.work / "day.key.pem")
        twinroot("station", product, "--devices", made.devices, "--ports", blank.port)
        twinroot("label", "status", code=1)
        printer.state = READY
        twinroot("label", "retry", product)
        twinroot("label", "reprint", product, "--device", "ws-0001")
        printed = printer.said
    assert printed.count(b"ws-0001") == 2
    twinroot("update", product, "--port", blank.port)
    twinroot("verify", product, "--port", blank.port)
    for form in ("csv", "jsonl"):
        twinroot("ledger", "export", "--format", form, "--names", "--out", place.work / f"ledger.{form}")
    twinroot("ledger", "seal", "--out", place.work / "seals", "--key", place.work / "day.key.pem")
    twinroot("ledger", "record", "--all", "--out", place.work / "records", "--key", place.work / "day.key.pem")
    with serving(ledger, environment=place.surroundings()) as running:
        page = fetched(running["url"], "/", "/dashboard.js", "/state", "/events", "/search?q=ws-0001")
        said += json.dumps({name: running[name] for name in ("url", "ledger")}) + page
        said += Path(f"/proc/{running['pid']}/cmdline").read_text()
    assert blank.mac in page

    keys = [*made.folder.rglob("*.key.pem"), place.work / "day.key.pem"]
    password = [postgres.PASSWORD, quote(postgres.PASSWORD, safe="")]
    secrets = [text.encode() for text in (WIFI, PIN, API, PASSPHRASE, TOKEN, *password)] + [form for key in keys for form in forms(key)]
    assert len(secrets) > 15

    def found(content: bytes) -> list[bytes]:
        return [secret for secret in secrets if secret in content]

    command = json.loads((made.folder / "seen-by-command.json").read_text())
    assert command["row"]["device"] == "ws-0001" and any("twinroot" in one for one in command["processes"])
    assert any("twinroot" in one for one in json.loads((made.folder / "seen-by-signer.json").read_text()))
    rows = "".join(str(row) for table in ("entries", "operators") for row in server.sql(ledger.rsplit("/", 1)[1], f"SELECT * FROM {table}"))
    assert "ws-0001" in rows and rows.count(OPERATOR) == 1, "the name is beside the chain, once"
    assert found(said.encode()) == found(printed) == found(rows.encode()) == []
    homes = {*keys, made.folder / "secrets.yaml", made.folder / "sign.py", made.folder / "tell.py"}
    looked_at = [path for path in place.root.rglob("*") if path.is_file() and path not in homes]
    assert {"ledger.csv", "ledger.jsonl", "seals", "started.txt", "seen-by-command.json"} <= {path.name for path in looked_at}
    assert [(path, found(path.read_bytes())) for path in looked_at if found(path.read_bytes())] == []
