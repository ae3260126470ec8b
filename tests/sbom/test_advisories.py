"""Advisories of a file against what is on a board: the algorithm of OSV, exit codes, and one sentence for a list that is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning import __version__
from provisioning.sbom.advisories import match
from provisioning.sbom.parts import LIBRARY, TOOL, Part
from provisioning.sbom.versions import key
from tests.support.command import InProcess
from tests.support.product_files import PRODUCT, write_product


def advisory(*affected: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "CVE-2099-0001", "affected": list(affected), **more}


def span(*events: dict[str, str], name: str = "mbedtls", kind: str = "SEMVER", **more: Any) -> dict[str, Any]:
    return {"package": {"name": name, **more}, "ranges": [{"type": kind, "events": list(events)}]}


def mbedtls(version: str | None) -> Part:
    return Part("firmware/mbedtls", LIBRARY, "Mbed TLS", version)


def hits(version: str | None, *affected: dict[str, Any]) -> list[str]:
    return ["undecided" if found.undecided else "known" for found in match([advisory(*affected)], [mbedtls(version)])]


FIXED = span({"introduced": "3.0.0"}, {"fixed": "3.6.1"}, {"introduced": "3.6.3-alpha"}, {"last_affected": "3.6.3"})


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        *[(version, ["known"]) for version in ("3.0.0", "3.6.0", "3.6.1-rc1", "3.6.3-beta", "3.6.3")],
        *[(version, []) for version in ("2.28.9", "3.0.0-rc1", "3.6.1", "3.6.2", "3.6.4", "4.0")],
        ("a-branch", ["undecided"]),
        (None, ["undecided"]),
    ],
)
def test_ranges(version: str | None, expected: list[str]) -> None:
    assert hits(version, FIXED) == expected
    # The order of events does not matter.
    assert hits(version, {**FIXED, "ranges": [{"type": "SEMVER", "events": FIXED["ranges"][0]["events"][::-1]}]}) == expected


def test_lists_of_versions_limits_commits_and_zero() -> None:
    assert hits("3.6.0", {"package": {"name": "mbedtls"}, "versions": ["v3.6.0"]}) == ["known"]
    assert hits("3.6.0", {"package": {"name": "mbedtls"}, "versions": ["3.6.1"]}) == []
    assert hits("0.0.1-a", span({"introduced": "0"}, {"fixed": "1"})) == ["known"]
    assert hits("3.7", span({"introduced": "0"}, {"limit": "3.7"})) == []
    assert hits("3.7", span({"introduced": "0"}, {"limit": "*"})) == ["known"]
    commits = {"type": "GIT", "repo": "https://github.com/Mbed-TLS/mbedtls.git", "events": [{"introduced": "0"}, {"fixed": "0123"}]}
    assert hits("3.6.0", {"ranges": [commits]}) == ["undecided"]
    assert hits("3.6.0", {"ranges": [commits], "versions": ["mbedtls-3.5.0"]}) == []
    assert hits("3.6.0", span({"introduced": "a"})) == ["undecided"]


@pytest.mark.parametrize("name", ["mbedtls", "Mbed TLS", "mbed_tls", "Mbed-TLS/mbedtls", "github.com/espressif/mbedtls"])
def test_names_of_a_package(name: str) -> None:
    assert hits("3.6.0", span({"introduced": "0"}, name=name)) == ["known"]
    assert hits("3.6.0", span({"introduced": "0"}, name="other", purl="pkg:github/espressif/mbedtls@v1")) == ["known"]


def test_versions_of_others_are_not_compared() -> None:
    for ecosystem in ("Debian:12", "crates.io", "npm", "PyPI"):
        assert hits("3.6.0", span({"introduced": "0"}, ecosystem=ecosystem)) == []
    tool = Part("toolkit", TOOL, "twinroot", "0.1.0")
    assert match([advisory(span({"introduced": "0"}, name="twinroot", ecosystem="PyPI"))], [tool])
    assert not match([advisory(span({"introduced": "0"}), withdrawn="2026-01-01T00:00:00Z")], [mbedtls("3.6.0")])


@given(st.lists(st.integers(0, 30), min_size=1, max_size=4), st.lists(st.integers(0, 30), min_size=1, max_size=4))
def test_versions_are_ordered_by_their_numbers(a: list[int], b: list[int]) -> None:
    one, other = (key(".".join(map(str, numbers))) for numbers in (a, b))
    assert one is not None and other is not None
    padded = [numbers + [0] * (4 - len(numbers)) for numbers in (a, b)]
    assert (one < other) == (padded[0] < padded[1])


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    (tmp_path / "board.yaml").write_text('extends: esp32-generic\nfirmware: {version: "1.24.0", offset: 0x1000}\n')
    product = write_product(tmp_path, PRODUCT.replace("esp32-generic", "./board.yaml"))
    command = InProcess(capsys)

    def ask(content: str) -> tuple[int, dict[str, Any], str]:
        file = tmp_path / "advisories.json"
        file.write_text(content)
        return command("sbom", str(product), "--known-vulnerabilities", str(file))

    return ask


def test_a_match_is_exit_code_1_with_the_document(run: Any) -> None:
    listed = [advisory(FIXED, summary="a\x1b[31m hole", aliases=["GHSA-x"]), advisory(span({"introduced": "9"}))]
    code, result, said = run(json.dumps(listed))
    assert code == 1 and result["code"] == "known-vulnerability" and result["sbom"]["bomFormat"] == "CycloneDX"
    assert "Mbed TLS 3.6.0" in result["message"] and result["hint"]
    assert result["known"][0]["fixed"] == ["3.6.1"]
    assert "\x1b" not in said and "CVE-2099-0001" in said
    code, result, _ = run(json.dumps({"vulns": listed[1:]}))
    assert code == 0 and result["outcome"] == "pass" and not result["known"]


def test_an_advisory_that_names_no_package_is_not_cleared(run: Any) -> None:
    listed = [
        {"id": "CVE-2099-0002", "summary": "TLS 1.2"},
        {"id": "CVE-2099-0003", "affected": []},
        {"id": "CVE-2099-0004", "affected": [{"versions": ["3.6.0"]}, {"package": {"name": "zlib"}, "versions": ["1"]}]},
        {"id": "CVE-2099-0005", "withdrawn": "2099-01-01T00:00:00Z"},
        {"id": "CVE-2099-0006", "affected": [{"package": {"ecosystem": "Debian:12"}}]},
    ]
    code, result, said = run(json.dumps(listed))
    assert code == 0 and [each["id"] for each in result["undecided"]] == [f"CVE-2099-000{number}" for number in (2, 3, 4)]
    assert "undecided: CVE-2099-0002: TLS 1.2; undecided: it names no package" in said
    # One that matches is one finding, whatever else it leaves open.
    code, result, _ = run(json.dumps(advisory(FIXED, {"versions": ["1"]})))
    assert code == 1 and not result["undecided"]


def test_the_next_step_is_that_of_the_part(run: Any) -> None:
    own = advisory({"package": {"name": "twinroot", "ecosystem": "PyPI"}, "versions": [__version__]}, id="CVE-2099-0002")
    code, result, _ = run(json.dumps([own]))
    assert code == 1 and result["hint"] == "Install a corrected twinroot on this computer; what does not apply leaves the list."
    assert "about the twinroot of this computer" in result["message"]
    _, result, _ = run(json.dumps([advisory({"package": {"name": "twinroot"}, "versions": [__version__]})]))
    assert "twinroot update" in result["hint"] and "flash" not in result["hint"]
    _, result, _ = run(json.dumps([own, advisory(FIXED)]))
    assert result["hint"].startswith("Install a corrected twinroot on this computer. Name a corrected firmware")
    _, result, _ = run(json.dumps([advisory(FIXED)]))
    assert result["hint"].startswith("Name a corrected firmware") and "Install" not in result["hint"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{", "JSON"),
        ("[" * 100_000, "JSON"),
        ("3", "a list"),
        ('{"vulns": 3}', "a list"),
        ("[[]]", "advisory 1"),
        ("[{}]", "'id'"),
        (json.dumps([advisory(FIXED), advisory({"ranges": [{"type": "SEMVER", "events": 3}]})]), "affected[0].ranges[0].events"),
        (json.dumps(advisory({"ranges": [{"type": "SEMVER", "events": [{"fixed": "1"}]}]})), "introduced"),
        (json.dumps(advisory({"ranges": [{"type": "SEMVER", "events": [{"introduced": 0}]}]})), "events"),
        (json.dumps(advisory({"ranges": [{"type": "OTHER", "events": []}]})), "SEMVER"),
        (json.dumps(advisory({"package": {"name": 3}})), "package.name"),
        (json.dumps(advisory({"versions": [3]})), "versions"),
        (json.dumps(advisory(3)), "affected[0]"),  # type: ignore[arg-type]
    ],
)
def test_a_malformed_list_is_one_sentence(run: Any, content: str, word: str) -> None:
    code, result, said = run(content)
    assert code == 2 and result["code"] == "bad-advisories", result
    assert word in result["message"] and "advisories.json" in result["message"] and len(said.strip().splitlines()) == 2


def test_a_list_that_is_not_there(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, result, _ = InProcess(capsys)("sbom", str(write_product(tmp_path)), "--known-vulnerabilities", str(tmp_path / "none.json"))
    assert code == 2 and result["code"] == "file-missing"
