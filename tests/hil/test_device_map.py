"""`twinroot devices`: boards by identity, in Zephyr's form, merged on regeneration; pytest takes the map."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from provisioning.cli.main import run
from provisioning.errors import InputError
from provisioning.hil import device_map
from provisioning.hil.engines import is_real
from provisioning.hil.options import wanted
from provisioning.virtual import VirtualBoard


def test_scan_merge_show_and_test(tmp_path: Path, capsys: pytest.CaptureFixture[str], pytester: pytest.Pytester) -> None:
    file = tmp_path / "map.yaml"
    with VirtualBoard(paced=False, seed=5) as one, VirtualBoard(paced=False, seed=6, chip="esp32s3") as two:
        assert run(["devices", "scan", str(file), "--port", f"{one.pty},{two.rfc2217}", "--json"]) == 0
        first = yaml.safe_load(file.read_text())
        assert [(entry["id"], entry["connected"], entry["platform"]) for entry in first] == sorted(
            [(one.mac, True, "esp32-generic"), (two.mac, True, "esp32-s3")]
        )
        # What a person writes stays, and so does a board that is not there today.
        gone = {
            "connected": True,
            "id": "24:0a:c4:00:00:99",
            "platform": "esp32-generic",
            "product": "x",
            "runner": "esp32",
            "serial": "COM9",
        }
        by_hand = [{**entry, "notes": "shelf 2", "fixtures": ["sensor"]} for entry in first] + [gone]
        file.write_text(yaml.safe_dump(by_hand))
        capsys.readouterr()
        assert run(["devices", "scan", str(file), "--port", one.pty, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["devices"]
        there = {entry["id"]: entry for entry in yaml.safe_load(file.read_text())}
        assert list(there.values()) == told
        assert {name: entry["connected"] for name, entry in there.items()} == {one.mac: True, two.mac: False, gone["id"]: False}
        assert all(there[mac]["fixtures"] == ["sensor"] for mac in (one.mac, two.mac))
        assert there[one.mac]["serial_pty"] == one.pty and "serial" not in there[gone["id"]]
        assert run(["devices", "show", str(file)]) == 0
        assert one.mac in capsys.readouterr().out
        pytester.makepyfile(f"def test_it(board): assert board.identity['mac'] == {one.mac!r} and board.real")
        pytester.runpytest_inprocess("--device-map", str(file)).assert_outcomes(passed=1)


def test_ports_are_named_by_mac_where_their_names_change(tmp_path: Path) -> None:
    entry = {"connected": True, "id": "24:0a:c4:00:00:01", "platform": "esp32-s3", "product": "x", "runner": "esp32", "serial": "COM5"}
    device_map.save(tmp_path / "m", [entry, {**entry, "id": "24:0a:c4:00:00:02", "platform": "esp32-c3", "serial": "rfc2217://h:1"}])
    assert device_map.ports(tmp_path / "m", None, lambda: ["COM5"]) == ["mac:24:0a:c4:00:00:01", "rfc2217://h:1"]
    assert device_map.ports(tmp_path / "m", "esp32c3", lambda: ["COM5"]) == ["rfc2217://h:1"]
    with pytest.raises(InputError, match="no connected board with an esp32p4"):
        device_map.ports(tmp_path / "m", "esp32p4")
    assert is_real(wanted({"device_map_ports": ["COM5"]}, {}))


@pytest.mark.parametrize(
    ("text", "word"), [("a: 1", "not a list"), ("- {id: x}", "no 'connected'"), ("\x00", "not YAML"), ("- x", "entry 1")]
)
def test_what_is_not_a_map_is_a_sentence(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "m").write_text(text)
    with pytest.raises(InputError, match=word):
        device_map.load(tmp_path / "m")


def test_no_board_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["devices", "show", str(tmp_path / "none.yaml")]) == 2
    assert run(["devices", "scan", str(tmp_path / "m.yaml"), "--port", "/dev/not-there"]) == 0
    assert "There is no port" in capsys.readouterr().err
