"""Wrong input: one sentence with the next step, the right exit code, no traceback, nothing written, neither here nor on the board."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from provisioning.resources import folder
from provisioning.virtual import VirtualBoard
from tests.acceptance.place import DEVICE, ERROR_FIELDS, Place, flash_state

ATS_HOST = "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com"
LEGACY_HOST = "a1b2c3d4e5f6g7.iot.us-east-1.amazonaws.com"
VERISIGN = "VeriSign-Class3-Public-Primary-G5"


@dataclass(frozen=True)
class Wrong:
    """A mistake. `make` makes it; `code` and each of `says` is what the complaint must hold; `arguments` come after the product."""

    make: Callable[[Place], object]
    code: str
    says: tuple[str, ...]
    arguments: tuple[str, ...] = ("--device", DEVICE)


def _routes(host: str, root: str) -> Callable[[Place], object]:
    routes = f"  routes:\n    - {{name: only, endpoint: {host}, roots: [{root}]}}\n"
    return lambda place: place.change("identity:\n", routes + "identity:\n")


def _garbage(place: Place) -> None:
    file = place.folder / "devices" / f"{DEVICE}.crt.pem"
    lines = file.read_text().splitlines()
    lines[2:4] = ["%%%% this is not base64 %%%%", "\x00\x01"]
    file.write_text("\n".join(lines) + "\n")


def _pinned_garbage(place: Place) -> None:
    (place.folder / "lab.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\n" + bytes(range(256)) + b"\n-----END CERTIFICATE-----\n")
    place.add(f'roots: {{Lab: {{file: lab.pem, sha256: "{"0" * 64}"}}}}\n')
    _routes(LEGACY_HOST, "Lab")(place)


def _other_pin(place: Place) -> None:
    shutil.copyfile(next((folder("certs")).glob("AmazonRootCA1*.pem")), place.folder / "lab.pem")
    place.add(f'roots: {{Lab: {{file: lab.pem, sha256: "{"0" * 64}"}}}}\n')
    _routes(LEGACY_HOST, "Lab")(place)


def _ats_only(place: Place) -> None:
    place.change("us-east-1", "ap-south-1")
    _routes(LEGACY_HOST.replace("us-east-1", "ap-south-1"), VERISIGN)(place)


def _csv(text: str) -> Callable[[Place], object]:
    def make(place: Place) -> None:
        (place.folder / "devices.csv").write_text(text)
        place.add("devices: devices.csv\n")

    return make


WRONG = {
    "unknown key": Wrong(lambda p: p.change("  region:", "  regoin:"), "unknown-key", ("product.yaml:4", "regoin", "region")),
    "wrong type": Wrong(lambda p: p.add("version: many\n"), "bad-value", ("product.yaml:", "version")),
    "tab in YAML": Wrong(lambda p: p.change("  endpoint:", "\tendpoint:"), "yaml-tab", ("product.yaml:5", "tab")),
    "broken YAML": Wrong(lambda p: p.add("wifi: {ssid: 'open\n"), "yaml-syntax", ("product.yaml:",)),
    "YAML that is not UTF-8": Wrong(lambda p: p.product.write_bytes(b"product: caf\xe9\n"), "not-utf-8", ("product.yaml", "UTF-8")),
    "empty YAML": Wrong(lambda p: p.product.write_bytes(b""), "yaml-empty", ("product.yaml",)),
    "no product file": Wrong(lambda p: p.product.unlink(), "file-missing", ("product.yaml",)),
    "no certificate file": Wrong(lambda p: (p.folder / f"devices/{DEVICE}.crt.pem").unlink(), "file-missing", (f"{DEVICE}.crt.pem",)),
    "a key that is another's": Wrong(
        lambda p: shutil.copyfile(p.other_key(), p.folder / f"devices/{DEVICE}.key.pem"), "key-mismatch", (f"{DEVICE}.key.pem",)
    ),
    "PEM with garbage": Wrong(_garbage, "bad-pem", (f"{DEVICE}.crt.pem",)),
    "pinned PEM with garbage": Wrong(_pinned_garbage, "bad-certificate", ("lab.pem",)),
    "a pin that does not match": Wrong(_other_pin, "fingerprint-mismatch", ("product.yaml:", "lab.pem")),
    "a root that is not in the manifest": Wrong(
        _routes(ATS_HOST, "AmazonRootCA9"), "unknown-root", ("product.yaml:", "AmazonRootCA9", "certs/")
    ),
    "VeriSign root on an -ats endpoint": Wrong(_routes(ATS_HOST, VERISIGN), "root-cannot-anchor", ("product.yaml:", VERISIGN, ATS_HOST)),
    "ATS root on a legacy endpoint": Wrong(
        _routes(LEGACY_HOST, "AmazonRootCA1"), "root-cannot-anchor", ("product.yaml:", "AmazonRootCA1", LEGACY_HOST)
    ),
    "legacy route in an ATS-only region": Wrong(_ats_only, "ats-only-region", ("product.yaml:", "ap-south-1")),
    "unknown board": Wrong(lambda p: p.change("virtual-esp32", "esp32-genric"), "unknown-board", ("esp32-genric", "esp32-generic")),
    "empty CSV": Wrong(_csv(""), "csv-empty", ("devices.csv",)),
    "unknown device": Wrong(_csv("device\nws-0002\n"), "unknown-device", ("devices.csv", DEVICE, "ws-0002")),
    "no device named": Wrong(lambda _: None, "no-device", ("--device",), ()),
    "a device id that is a path": Wrong(lambda _: None, "bad-device-id", ("../../etc",), ("--device", "../../etc")),
    "a device without a certificate": Wrong(lambda _: None, "file-missing", ("ws-0404.crt.pem",), ("--device", "ws-0404")),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_input_is_refused_before_the_board_is_touched(place: Place, board: VirtualBoard, mistake: str) -> None:
    wrong = WRONG[mistake]
    wrong.make(place)
    there, here = flash_state(board), place.files()
    made = place.run("update", place.product, "--port", board.pty, "--json", *wrong.arguments)
    sentence, step = made.complaint()
    report = made.report
    assert made.exit_code == 2, made.err
    assert report.keys() >= ERROR_FIELDS
    assert (report["outcome"], report["code"]) == ("error", wrong.code), sentence
    assert (report["message"], report["hint"]) == (sentence, step)
    for word in wrong.says:
        assert word in f"{sentence} {step}", f"{word!r} is in neither {sentence!r} nor {step!r}"
    assert place.files() == here
    assert flash_state(board) == there


# What is wrong is found by the same code for all commands: here each kind of file once.
@pytest.mark.parametrize("mistake", ["tab in YAML", "PEM with garbage", "VeriSign root on an -ats endpoint", "empty CSV"])
def test_wrong_input_renders_nothing(place: Place, mistake: str) -> None:
    wrong = WRONG[mistake]
    wrong.make(place)
    here = place.files()
    made = place.run("render", place.product, *wrong.arguments, "--out", place.work / "out")
    made.complaint()
    assert (made.exit_code, made.out) == (2, "")
    assert place.files() == here
