"""`twinroot init`, from a checkout and as a wheel has it; what `demo` ends with; `rehearse`."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning import starter
from provisioning.cli import demo
from provisioning.cli._invoked import name
from provisioning.cli.main import run
from provisioning.link.rehearsed import REHEARSED
from provisioning.migration import yaml_edit
from provisioning.resources import folder
from provisioning.virtual import VirtualBoard
from tests.flash import images

ROOT = folder("firmware").parent
FOLDERS = ("certs", "boards", "firmware", "examples")  # as provisioning/_wheel.py packs them


def test_a_product_that_passes_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "my station", "--tests", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["devices"] == ["ws-0001", "ws-0002"]
    for more in ([], ["--device", "ws-0001"], ["--devices", "my station/devices.csv"]):
        assert run(["check", "my station/product.yaml", *more]) == 0
    assert {"tests", "secrets.yaml.example", ".gitignore", "factory", "devices"} <= {f.name for f in Path("my station").iterdir()}
    assert {"app/station.py", "tests/test_station.py", ".github/workflows/tests.yml", ".gitlab-ci.yml", "requirements.txt"} <= {
        path.relative_to("my station").as_posix() for path in Path("my station").rglob("*")
    }
    if os.name == "posix":
        assert all(file.stat().st_mode & 0o777 == 0o600 for file in Path("my station").rglob("*.key.pem"))
    assert run(["init", "my station"]) == 2, "nothing is overwritten"
    Path("file").touch()
    assert run(["init", "file"]) == 2
    assert run(["init", "file/x"]) == 3


def test_its_tests_pass(tmp_path: Path) -> None:
    starter.make(tmp_path / "p", tests=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", str(tmp_path / "p" / "tests")]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=100, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == 0 and "10 passed" in done.stdout, done.stdout[-2000:]


def test_as_a_wheel_has_it(tmp_path: Path) -> None:
    """The package with its data inside and nothing beside it, as the build hook lays it out."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "provisioning", site / "provisioning", ignore=shutil.ignore_patterns("__pycache__"))
    for each in FOLDERS:
        shutil.copytree(ROOT / each, site / "provisioning" / "_data" / each, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(site)}
    for arguments in (["init", "x"], ["check", "x/product.yaml", "--device", "ws-0002"]):
        command = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", "-m", "provisioning", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env=environment, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "x" / "devices" / "ws-0002.key.pem").is_file()


def test_what_demo_ends_with_works_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWINROOT_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.setenv("TWINROOT_CACHE", str(tmp_path / "cache"))
    commands = [words for words, _ in demo._real_board()]
    assert all(words.startswith(name()) for words in commands) and len(commands) >= 5
    with VirtualBoard(blank=True, paced=False) as board:
        monkeypatch.setenv(REHEARSED, board.port)
        for words in commands:
            code = run(shlex.split(words.removeprefix(name())))
            said = "".join(capsys.readouterr())
            assert code == (1 if words.endswith("--connect") else 0), f"{words}\n{said}"  # the example's endpoint is nobody's
            if " init " in words:  # a blank board needs an image, which is its owner's to choose
                images.board_file(Path("my-station"), images.firmware(size=20_000, seed=1), extends="virtual-esp32")
                yaml_edit.change_file(Path("my-station/product.yaml"), {("board",): "board.yaml"})


def test_a_rehearsal_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWINROOT_LEDGER", str(tmp_path / "ledger.sqlite"))
    starter.make(tmp_path / "p")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert run(["rehearse", "station", "p/product.yaml", "--devices", "p/devices.csv", "--ports", "auto", "--count", "2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["passed"], said["boards"], {row["device"] for row in said["rows"]}) == (2, 2, {"ws-0001", "ws-0002"})
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    assert REHEARSED not in os.environ and os.environ["TWINROOT_LEDGER"] == str(tmp_path / "ledger.sqlite")
    for wrong in (["rehearse", "aws", "x"], ["rehearse", "flash"], ["rehearse", "flash", "--port"], ["rehearse", "flash", "none.yaml"]):
        assert run(wrong) == 2


def test_a_pseudo_terminal_is_named_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TWINROOT_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.setenv("TWINROOT_CACHE", str(tmp_path / "cache"))
    made = starter.make(tmp_path / "p")
    images.board_file(tmp_path / "p", images.firmware(size=20_000, seed=1), extends="virtual-esp32")
    yaml_edit.change_file(made.product, {("board",): "board.yaml"})
    with VirtualBoard(blank=True, paced=False) as board:
        for command in (
            ["flash", str(made.product), "--device", "ws-0001", "--port", board.pty],
            ["station", str(made.product), "--ports", board.pty],
        ):
            assert run([*command, "--json"]) == 3
            said = json.loads(capsys.readouterr().out)
            assert "is a pseudo-terminal, which has no reset lines" in said["message"] and said["code"] == "no-reset-lines"
