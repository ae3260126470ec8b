"""Where the passphrase of a signing key comes from: a variable that says something, else a person at a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.cli.main import run


@pytest.mark.parametrize(("value", "why"), [("", "KEYPASS is empty"), (None, "KEYPASS is not set")])
@pytest.mark.parametrize("command", [("sign", "new-key", "new.key.pem"), ("ledger", "seal", "--key", "day.key.pem", "--out", "seals")])
def test_a_variable_without_a_passphrase_is_named(
    tmp_path: Path,
    value: str | None,
    why: str,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEYPASS", raising=False)
    if value is not None:
        monkeypatch.setenv("KEYPASS", value)
    assert run([*command, "--passphrase-env", "KEYPASS"]) == 2
    sentence, step = capsys.readouterr().err.splitlines()
    assert why in sentence and step == "  next: Set KEYPASS." and list(tmp_path.iterdir()) == []
