"""The policy file for Java clients, checked with a real JVM where there is one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from provisioning.cli.main import run
from provisioning.errors import InputError, StationError
from provisioning.migration import jdk

needs_java = pytest.mark.skipif(jdk.find_java() is None, reason="no JVM on this machine")


def test_the_file_sets_the_property_and_is_written_once(tmp_path: Path) -> None:
    out = tmp_path / "symantec.policy"
    assert jdk.write(out) is True
    settings = [line for line in out.read_text().splitlines() if line and not line.startswith("#")]
    assert settings == ["jdk.security.caDistrustPolicies=null"]
    before = out.stat().st_mtime_ns
    assert jdk.write(out) is False
    assert out.stat().st_mtime_ns == before
    assert [p.name for p in tmp_path.iterdir()] == ["symantec.policy"]


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "java.security"
    out.write_text("mine\n")
    with pytest.raises(InputError) as error:
        jdk.write(out)
    assert error.value.code == "file-there" and out.read_text() == "mine\n"
    assert jdk.write(out, force=True) and "caDistrustPolicies" in out.read_text()
    with pytest.raises(InputError):
        jdk.write(tmp_path / "none" / "x.policy")
    with pytest.raises(InputError):
        jdk.write(tmp_path, force=True)


@needs_java
def test_a_jvm_sees_no_policy_with_the_file_and_some_without(tmp_path: Path) -> None:
    out = tmp_path / "symantec.policy"
    jdk.write(out)
    checked = jdk.check(str(jdk.find_java()), out)
    assert checked.works and checked.with_file == ()
    assert checked.was_needed == ("SYMANTEC_TLS" in checked.without)
    assert set(checked.also_off) == set(checked.without) - {"SYMANTEC_TLS"}
    # A file that sets nothing proves nothing: the check can tell.
    other = tmp_path / "empty.policy"
    other.write_text("# nothing\n")
    assert jdk.check(str(jdk.find_java()), other).with_file == checked.without


@needs_java
def test_the_command_says_what_else_is_off_and_what_is_better(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "symantec.policy"
    assert run(["jdk-policy", "--out", str(out), "--json"]) == 0
    shown = capsys.readouterr()
    data = json.loads(shown.out)
    assert data["checked"]["works"] is True and "ATS endpoint" in shown.err
    for policy in data["checked"]["also_off"]:
        assert policy in shown.err


def test_without_a_jvm_it_is_written_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert run(["jdk-policy", "--out", str(tmp_path / "s.policy")]) == 0
    assert "not checked with a JVM" in capsys.readouterr().err


def test_a_jvm_that_fails_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        jdk.find_java(str(tmp_path / "java"))
    with pytest.raises(StationError) as error:
        jdk.check(sys.executable, tmp_path / "s.policy")  # a program that is not a JVM
    assert "\n" not in error.value.message and error.value.hint
