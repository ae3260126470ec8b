"""The bill of materials: by the official schema and validator, the same each time, and nothing secret in it."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from provisioning.bundle.bundle import build
from provisioning.config.device import single_device
from provisioning.config.load import load_product
from provisioning.flash import app_description
from provisioning.sbom.libraries import IDF_OF_RELEASE, LIBRARIES_OF_IDF
from tests.flash import images
from tests.support.command import InProcess
from tests.support.product_files import PRODUCT, write_identity, write_product

DEVICE = "ws-0001"


def described(idf: bytes) -> bytes:
    """A firmware whose application says what it is."""
    text = struct.pack("<II8s32s32s16s16s32s32s80x", 0xABCD5432, 0, b"", b"v1.27.0", b"micropython", b"", b"", idf, bytes(32))
    return images.firmware(size=20_000) + images.image("esp32", text + images.half_random(9_000, 3))


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A product with an application, a device, a password, and a board whose firmware says another ESP-IDF than the table."""
    images.board_file(tmp_path, described(b"v5.4.2"))
    write_identity(tmp_path, DEVICE)
    (tmp_path / "main.py").write_text("import twinroot\n")
    more = 'wifi: {ssid: home, password: "a-password-of-wifi"}\napp: {main: main.py}\n'
    return write_product(tmp_path, PRODUCT.replace("esp32-generic", "./board.yaml"), more)


@pytest.fixture
def sbom(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> InProcess:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return InProcess(capsys)


def made(sbom: InProcess, product: Path, *more: str) -> dict[str, Any]:
    code, result, said = sbom("sbom", str(product), *more)
    assert code == 0, said
    return result


def by_ref(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    waiting = list(document["components"])
    while waiting:
        each = waiting.pop()
        assert each["bom-ref"] not in found
        found[each["bom-ref"]] = each
        waiting += each.get("components", [])
    return found


@pytest.mark.parametrize("more", [(), ("--device", DEVICE, "--timestamp", "2026-02-03T04:05:06+01:00")], ids=["product", "device"])
def test_cyclonedx_is_valid_by_its_schema(sbom: InProcess, product: Path, more: tuple[str, ...]) -> None:
    document = made(sbom, product, *more)["sbom"]
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(document)) is None
    assert document["metadata"].get("timestamp") == ("2026-02-03T03:05:06Z" if more else None)
    refs = {*by_ref(document), "product"}
    named = [ref for each in document["dependencies"] for ref in (each["ref"], *each["dependsOn"])]
    assert {*named, *(ref for each in document["compositions"] for ref in each["assemblies"])} <= refs
    document["components"][0]["type"] = "something"
    assert validator.validate_str(json.dumps(document)) is not None


@pytest.mark.parametrize("more", [(), ("--device", DEVICE)], ids=["product", "device"])
def test_spdx_is_valid_by_the_validator_of_its_project(sbom: InProcess, product: Path, more: tuple[str, ...]) -> None:
    document = made(sbom, product, "--format", "spdx", *more)["sbom"]
    assert validate_full_spdx_document(JsonLikeDictParser().parse(document)) == []
    document["files"][0]["checksums"].pop(0)
    assert validate_full_spdx_document(JsonLikeDictParser().parse(document)) != []


def test_hashes_are_those_of_the_files_on_the_device(sbom: InProcess, product: Path) -> None:
    bundle = build(load_product(product), single_device(DEVICE))
    on_device = {path: hashlib.sha256(content).hexdigest() for path, content in bundle.tree(1).items()}
    parts = by_ref(made(sbom, product, "--device", DEVICE)["sbom"]).values()
    listed = {}
    for part in parts:
        path = next((each["value"] for each in part.get("properties", ()) if each["name"] == "twinroot:path"), None)
        if path and not path.endswith(".mpy"):
            listed[path] = part["hashes"][0]["content"]
    # What is secret, or holds what is, has not even a hash: somebody could try passwords against it.
    left_out = {"/trust/1/device.key.pem", "/trust/1/set.json", "/trust/active"}
    assert listed == {path: digest for path, digest in on_device.items() if path not in left_out}
    modules = [part for part in parts if part["bom-ref"].startswith("package/")]
    assert len(modules) > 10 and all(part["hashes"] for part in modules)


def test_nothing_secret_is_in_it(sbom: InProcess, product: Path) -> None:
    key = (product.parent / "devices" / f"{DEVICE}.key.pem").read_bytes()
    bundle = build(load_product(product), single_device(DEVICE))
    secrets = ["PRIVATE KEY", "a-password-of-wifi", str(product.parent), bundle.set_sha256, hashlib.sha256(key).hexdigest()]
    secrets.append(hashlib.sha256(bundle.trust["device.key.pem"]).hexdigest())
    for form in ("cyclonedx", "spdx"):
        text = json.dumps(made(sbom, product, "--format", form, "--device", DEVICE)["sbom"])
        assert not [secret for secret in secrets if secret in text]


@pytest.mark.parametrize("form", ["cyclonedx", "spdx"])
def test_the_same_content_is_the_same_document(
    sbom: InProcess, product: Path, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "sbom.json"
    first = made(sbom, product, "--format", form, "--out", str(out))
    assert first["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    name = {"cyclonedx": "serialNumber", "spdx": "documentNamespace"}[form]
    before = json.loads(out.read_bytes())
    assert made(sbom, product, "--format", form)["sha256"] == first["sha256"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    timed = made(sbom, product, "--format", form)
    assert timed["sha256"] != first["sha256"] and "2026-01-01T00:00:00Z" in json.dumps(timed["sbom"])
    assert timed["sbom"][name] == before[name]
    (tmp_path / "main.py").write_text("import twinroot  # another\n")
    assert made(sbom, product, "--format", form)["sbom"][name] != before[name]


def test_the_image_is_believed_before_the_table(sbom: InProcess, product: Path) -> None:
    parts = by_ref(made(sbom, product)["sbom"])
    assert parts["firmware"]["version"] == "1.27.0"
    assert parts["firmware"]["hashes"][0]["content"] == hashlib.sha256((product.parent / "firmware.bin").read_bytes()).hexdigest()
    versions = {ref.removeprefix("firmware/"): part["version"] for ref, part in parts.items() if ref.startswith("firmware/")}
    assert versions == {"esp-idf": "5.4.2", "mbedtls": "3.6.3", "lwip": "2.2.0"}
    (product.parent / "firmware.bin").unlink()
    assert by_ref(made(sbom, product)["sbom"])["firmware/esp-idf"]["version"] == "5.5.1"


def test_what_a_board_says_it_runs_is_believed_before_the_board_file(sbom: InProcess, product: Path) -> None:
    said = by_ref(made(sbom, product, "--firmware-version", "v1.25.0")["sbom"])
    assert (said["firmware"]["version"], said["firmware/esp-idf"]["version"]) == ("1.25.0", "5.2.2")
    assert "hashes" not in said["firmware"], "which image it is nobody knows"
    assert {"name": "twinroot:known_by", "value": "the board"} in said["firmware"]["properties"]
    result = made(sbom, product, "--firmware-version", "1.28.0-preview")
    parts = by_ref(result["sbom"])
    assert parts["firmware"]["version"] == "1.28.0-preview" and "version" not in parts["firmware/esp-idf"]
    assert "unknown" in result["notes"][0]


def test_what_is_unknown_is_said(sbom: InProcess, product: Path, tmp_path: Path) -> None:
    images.board_file(tmp_path, described(b"v5.4.2-77-g0123456-dirty"))
    result = made(sbom, product)
    parts = by_ref(result["sbom"])
    assert parts["firmware/esp-idf"]["version"] == "5.4.2-77-g0123456-dirty"
    assert "version" not in parts["firmware/mbedtls"] and "purl" not in parts["firmware/mbedtls"]
    assert [note for note in result["notes"] if "unknown" in note]
    plain = made(sbom, write_product(tmp_path))
    assert "version" not in by_ref(plain["sbom"])["firmware"] and "esp32-generic" in plain["notes"][0]


def test_an_image_without_a_description_has_none() -> None:
    assert app_description.find(images.firmware(size=20_000)) is None
    found = app_description.find(described(b"v5.4.2"))
    assert found == app_description.AppDescription("v1.27.0", "micropython", "v5.4.2")


def test_every_release_of_the_table_has_its_libraries() -> None:
    assert set(IDF_OF_RELEASE.values()) <= set(LIBRARIES_OF_IDF)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--timestamp", "yesterday"), ("--device", "ws-0002"), ("--firmware-version", "1.27"), ("--firmware-version", "")],
)
def test_wrong_input_is_one_sentence(sbom: InProcess, product: Path, option: str, value: str) -> None:
    code, result, said = sbom("sbom", str(product), option, value)
    assert code == 2 and len(said.strip().splitlines()) == 2, said
    assert result["message"].count("\n") == 0
