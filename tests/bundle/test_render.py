"""Render: exactly the device's tree, all of it or nothing, and nobody else's files."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from provisioning.bundle import render as module
from provisioning.bundle.bundle import build
from provisioning.bundle.render import render
from provisioning.config.device import single_device
from provisioning.config.load import load_product
from provisioning.errors import InputError, StationError
from tests.support.command import twinroot
from tests.support.product_files import write_identity, write_product

DEVICE = "ws-0001"


def tree(folder: Path) -> dict[str, bytes]:
    return {entry.relative_to(folder).as_posix(): entry.read_bytes() for entry in folder.rglob("*") if entry.is_file()}


def test_exactly_the_tree_and_the_same_twice(tmp_path: Path) -> None:
    write_identity(tmp_path, DEVICE)
    path = write_product(tmp_path)
    made = build(load_product(path), single_device(DEVICE))
    out = tmp_path / "out"
    listed = render(made, out)
    first = tree(out)
    assert first == {name.lstrip("/"): content for name, content in made.tree(1).items()}
    assert listed == sorted(first)
    assert first["trust/active"] == b"1"
    render(made, out)
    assert tree(out) == first
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["devices", "out", "product.yaml"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    write_identity(tmp_path, DEVICE)
    old = os.umask(0)
    try:
        render(build(load_product(write_product(tmp_path)), single_device(DEVICE)), tmp_path / "out")
    finally:
        os.umask(old)
    modes = {
        name: (tmp_path / "out" / "trust" / "1" / name).stat().st_mode & 0o777 for name in ("device.key.pem", "set.json", "device.crt.pem")
    }
    assert modes == {"device.key.pem": 0o600, "set.json": 0o600, "device.crt.pem": 0o644}


@pytest.mark.parametrize("foreign", ["notes.txt", "lib/other.py", "trust/keys.zip", "lib/twinroot/mine.py"])
def test_foreign_files_stop_it(tmp_path: Path, foreign: str) -> None:
    write_identity(tmp_path, DEVICE)
    made = build(load_product(write_product(tmp_path)), single_device(DEVICE))
    out = tmp_path / "out"
    render(made, out)
    (out / foreign).parent.mkdir(parents=True, exist_ok=True)
    (out / foreign).write_text("mine")
    before = tree(out)
    with pytest.raises(InputError, match=f"holds {foreign}, which no render wrote"):
        render(made, out)
    assert tree(out) == before


def test_out_that_is_a_file(tmp_path: Path) -> None:
    write_identity(tmp_path, DEVICE)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file, expected a folder"):
        render(build(load_product(write_product(tmp_path)), single_device(DEVICE)), tmp_path / "out")


def test_what_a_former_render_left_is_replaced(tmp_path: Path) -> None:
    write_identity(tmp_path, DEVICE)
    (tmp_path / "app.py").write_text("x\n")
    out = tmp_path / "out"
    render(build(load_product(write_product(tmp_path, more="app: {main: app.py}\n")), single_device(DEVICE)), out)
    assert (out / "main.py").is_file()
    render(build(load_product(write_product(tmp_path)), single_device(DEVICE)), out)
    assert not (out / "main.py").exists()


def test_a_failing_write_leaves_the_old_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_identity(tmp_path, DEVICE)
    made = build(load_product(write_product(tmp_path)), single_device(DEVICE))
    out = tmp_path / "out"
    render(made, out)
    before = tree(out)
    real, calls = module._write, []

    def full(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) == 5:
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(StationError, match="No space left on device"):
        render(made, out)
    assert tree(out) == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["devices", "out", "product.yaml"]


def test_out_that_cannot_be(tmp_path: Path) -> None:
    write_identity(tmp_path, DEVICE)
    made = build(load_product(write_product(tmp_path)), single_device(DEVICE))
    for out in (tmp_path / ("x" * 300), tmp_path / "product.yaml" / "out"):
        with pytest.raises(StationError, match="cannot be written"):
            render(made, out)


def test_command(tmp_path: Path) -> None:
    for device in ("ws-1", "ws-2"):
        write_identity(tmp_path, device)
    (tmp_path / "devices.csv").write_text("device\nws-1\nws-2\n")
    path = write_product(tmp_path)
    one = twinroot("render", path, "--device", "ws-1", "--out", "one", "--json", cwd=tmp_path)
    assert one.returncode == 0, one.stderr
    assert json.loads(one.stdout)["rendered"][0]["device"] == "ws-1"
    many = twinroot("render", path, "--devices", "devices.csv", "--out", "many", cwd=tmp_path)
    assert many.returncode == 0, many.stderr
    assert tree(tmp_path / "one") == tree(tmp_path / "many" / "ws-1")
    assert json.loads((tmp_path / "many" / "ws-2" / "trust" / "1" / "set.json").read_text())["device"] == "ws-2"


def test_one_bad_row_writes_nothing(tmp_path: Path) -> None:
    write_identity(tmp_path, "ws-1")
    (tmp_path / "devices.csv").write_text("device\nws-1\nws-2\n")
    done = twinroot("render", write_product(tmp_path), "--devices", "devices.csv", "--out", "many", cwd=tmp_path)
    assert done.returncode == 2
    assert "ws-2.crt.pem: there is no such file" in done.stderr
    assert not (tmp_path / "many").exists()
    none = twinroot("render", tmp_path / "product.yaml", "--out", "many", cwd=tmp_path)
    assert none.returncode == 2
    assert "which device" in none.stderr
