"""Secrets stay where they belong, whatever the command: not in what is printed, not in an argument, a log, a cache, a ledger, a report."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from provisioning.virtual import VirtualBoard
from tests.acceptance.place import Place, Run
from tests.flash import products

PASSWORD, PASSPHRASE, AWS_KEY = "canary-of-the-wifi", "canary-of-the-signing-key", "canary-of-aws"
NOBODY = "http://127.0.0.1:1"  # where AWS would be
# Notes each process that is started, in every Python process of the command, esptool's (provisioning.flash.tool) among them.
SITECUSTOMIZE = """
import os, sys
def note(event, args):
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        with open(os.environ["AUDIT"], "a") as file:
            file.write(repr(args[:2]) + "\\n")
sys.addaudithook(note)
"""


@pytest.fixture
def line(place: Place) -> products.Made:
    """A product with every kind of secret."""
    made = products.make(place.root / "line", devices=2)
    with made.product.open("a") as file:
        file.write("wifi: {ssid: lab, password: !secret wifi}\ndevices: devices.csv\n")
    (made.folder / "secrets.yaml").write_text(f"wifi: {PASSWORD}\n")
    (place.temporary / "sitecustomize.py").write_text(SITECUSTOMIZE)
    place.environment |= {name: made.environment()[name] for name in ("TWINROOT_CACHE", "TWINROOT_LEDGER")}
    place.environment |= {"PYTHONPATH": str(place.temporary), "AUDIT": str(place.root / "started.txt")}
    place.environment |= {"TWINROOT_SIGNING_PASSPHRASE": PASSPHRASE, "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": AWS_KEY}
    place.environment |= {"AWS_ENDPOINT_URL": NOBODY, "AWS_EC2_METADATA_DISABLED": "true"}
    return made


@pytest.fixture
def blank() -> Iterator[VirtualBoard]:
    with VirtualBoard(paced=False, blank=True) as board:
        yield board


def forms(file: Path) -> list[bytes]:
    """A private key as it would be found: a line of its PEM, its DER, its number as bytes and in hexadecimal digits."""
    text = file.read_bytes()
    found = [text.splitlines()[1], base64.b64decode(b"".join(text.splitlines()[1:-1]))]
    if b"ENCRYPTED" not in text:
        key = load_pem_private_key(text, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        number = key.private_numbers().private_value.to_bytes(32, "big")
        found += [number, number.hex().encode(), number.hex().upper().encode()]
    return found


def test_no_secret_leaves_its_file(place: Place, line: products.Made, blank: VirtualBoard) -> None:
    product, port, out = line.product, blank.port, place.work / "out"
    runs: list[Run] = []

    def twinroot(*arguments: str | Path, code: int = 0) -> None:
        run = place.run(*arguments, "--json", "--debug")
        assert run.exit_code == code, f"{arguments}: {run.err}"
        assert json.loads(run.out)
        runs.append(run)

    twinroot("sign", "new-key", place.work / "vendor.key.pem")
    shutil.copy(place.work / "vendor.pub.pem", product.parent)
    with product.open("a") as file:
        file.write("updates: {key: vendor.pub.pem}\n")
    twinroot("identity", "make", product)
    twinroot("check", product, "--devices", line.devices)
    twinroot("render", product, "--device", "ws-0001", "--out", out)
    twinroot("flash", product, "--devices", line.devices, "--port", port)
    for transport in ("stream", "paste"):
        line.product.write_text(line.product.read_text().replace("product: weather-station", f"product: weather-{transport}"))
        twinroot("update", product, "--device", "ws-0001", "--port", port, "--transport", transport)
    twinroot("verify", product, "--device", "ws-0001", "--port", port)
    twinroot("verify", product, "--device", "ws-0001", "--port", port, "--connect", code=1)  # there is no network
    twinroot("rollback", "--port", port)
    twinroot("station", product, "--devices", line.devices, "--ports", port)
    twinroot("ledger", "show")
    twinroot("ledger", "export", "--format", "jsonl", "--out", place.work / "ledger.jsonl")
    twinroot("migrate", "plan", product, "--device", "ws-0001")
    twinroot("trust", "probe", product, "--device", "ws-0001", code=1)
    twinroot("trust", "check", line.folder / "devices" / "ws-0001.key.pem", code=2)
    twinroot("sign", "set", out, "--key", place.work / "vendor.key.pem", "--out", place.work / "update.bin")
    twinroot("aws", "register", product, "--device", "ws-0001", code=3)
    # What is wrong with a secret, or beside it, is said without it.
    with product.open("a") as file:
        file.write(f"wify: {PASSWORD}\n")
    twinroot("check", product, code=2)
    (line.folder / "secrets.yaml").write_text(f"wifi: '{PASSWORD}\n")
    twinroot("check", product, code=2)

    keys = [*line.folder.rglob("*.key.pem"), place.work / "vendor.key.pem"]
    assert len(keys) >= 4, keys
    secrets = [text.encode() for text in (PASSWORD, PASSPHRASE, AWS_KEY)] + [form for key in keys for form in forms(key)]
    said = "".join(run.out + run.err for run in runs).encode()
    assert [secret for secret in secrets if secret in said] == []
    started = (place.root / "started.txt").read_bytes()
    assert b"provisioning.flash.tool" in started, "no process was noted: the test cannot see arguments"

    # Where they belong, and nobody else may read there.
    homes = {*keys, line.folder / "secrets.yaml", product, *out.rglob("*.key.pem"), *out.rglob("set.json")}
    for file in [path for path in place.root.rglob("*") if path.is_file() and path not in homes]:
        content = file.read_bytes()
        assert [secret for secret in secrets if secret in content] == [], file
    held = [path for path in homes if any(secret in path.read_bytes() for secret in secrets)]
    assert {path.name for path in held} >= {"ws-0001.key.pem", "vendor.key.pem", "ca.key.pem", "device.key.pem", "set.json"}, held
    for path in held:
        if path.name not in ("secrets.yaml", "product.yaml"):
            assert os.stat(path).st_mode & 0o077 == 0, path
