"""The main job as a user types it: the demo's claims, one product twice the same, an update that finds nothing to do."""

from __future__ import annotations

import hashlib
import json
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.virtual import VirtualBoard
from tests.acceptance.place import DEVICE, REPORT_FIELDS, TWINROOT, Place, flash_state


def test_the_demo_proves_what_it_says(place: Place) -> None:
    state = place.root / "demo"
    done = place.run("demo", "--json", "--state", state)
    assert done.exit_code == 0, done.err
    told = done.report
    assert told["outcome"] == "pass"
    assert not [*place.work.iterdir(), *place.temporary.iterdir()], "the demo left files behind"
    assert {path.name for path in place.home.iterdir()} <= {".cache"}
    evidence = told["evidence"]
    # The order of what the broker had: over ats, over legacy once ats was broken, over ats after the repair.
    messages = evidence["messages"]
    assert [message["route"] for message in messages] == ["ats", "legacy", "ats"]
    assert [json.loads(message["payload"])["root"] for message in messages] == ["StandInATS", "StandInVeriSign", "StandInATS"]
    assert all(message["certificate"] == DEVICE for message in messages)
    # health() counts them per root.
    health = evidence["health"]
    assert health["roots"]["StandInATS"]["good"] >= 2 and health["roots"]["StandInVeriSign"]["good"] >= 1
    assert health["routes"]["ats"]["bad"] >= 2
    reports = evidence["reports"]
    assert all(report["outcome"] == "pass" and report.keys() >= REPORT_FIELDS for report in reports)
    assert [bool(report["written"]) for report in reports if report["job"] == "update"] == [True, False]
    assert [report["selftest"]["connect"]["ok"] for report in reports if report["job"] == "verify"] == [True]
    # Each step is told as it ends, and what a user with a real board would type is said.
    assert len(done.err.splitlines()) == len(told["steps"])
    for words in ("twinroot check", "twinroot update", "twinroot verify", "--port auto"):
        assert any(words in command for command in told["next"])


def rendered(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_rendered_twice_it_is_the_same(place: Place) -> None:
    """Two processes that have in common only the product: hash seed, folder, umask, time zone, locale and the way the path is written."""
    outs = [place.work / name for name in ("one", "two")]
    away = place.root / "elsewhere"
    away.mkdir()
    first = place.run(
        "render", place.product, "--device", DEVICE, "--out", outs[0], umask=0o022, PYTHONHASHSEED="1", TZ="Asia/Tokyo", LC_ALL="C.UTF-8"
    )
    second = place.run(
        *("render", Path("..") / "product" / "product.yaml", "--device", DEVICE, "--out", outs[1]),
        cwd=away,
        umask=0o077,
        PYTHONHASHSEED="4711",
        TZ="America/New_York",
        LC_ALL="C",
    )
    assert (first.exit_code, second.exit_code) == (0, 0), first.err + second.err
    one, two = (rendered(out) for out in outs)
    assert one.keys() == two.keys()
    assert {"trust/active", "trust/1/set.json", "trust/1/AmazonRootCA1.pem"} <= one.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_what_is_rendered_is_what_is_written(place: Place, board: VirtualBoard) -> None:
    place.run("render", place.product, "--device", DEVICE, "--out", place.work / "out")
    report = place.run("update", place.product, "--device", DEVICE, "--port", board.pty, "--json").report
    files = {f"/{name}": hashlib.sha256(content).hexdigest() for name, content in rendered(place.work / "out").items()}
    assert files.pop("/trust/active")
    assert report["files"] == files
    assert set(report["written"]) == {*files, "/trust/active"}


def test_update_twice(place: Place, board: VirtualBoard) -> None:
    arguments = ("update", place.product, "--device", DEVICE, "--port", board.pty, "--json")
    first = place.run(*arguments)
    assert (first.exit_code, first.err) == (0, ""), first.err
    assert first.report.keys() >= REPORT_FIELDS
    assert (first.report["outcome"], first.report["generation"], first.report["mac"]) == ("pass", 1, board.mac)
    there, here = flash_state(board), place.files()
    second = place.run(*arguments)
    assert (second.exit_code, second.report["outcome"], second.report["written"]) == (0, "pass", [])
    assert flash_state(board) == there
    verified = place.run("verify", place.product, "--device", DEVICE, "--port", board.pty, "--json").report
    assert (verified["outcome"], verified["written"]) == ("pass", [])
    assert flash_state(board) == there
    assert place.files() == here


def test_the_port_may_come_from_the_environment(place: Place, board: VirtualBoard) -> None:
    assert place.run("update", place.product, "--device", DEVICE, ESPPORT=board.pty).exit_code == 0
    assert place.run("verify", TWINROOT_PORT=board.pty, ESPPORT="/dev/not-there").exit_code == 0


def test_nothing_secret_is_said(place: Place, board: VirtualBoard) -> None:
    """Neither the device's key nor the Wi-Fi password appears in what is printed."""
    place.add("wifi: {ssid: lab, password: !secret wifi}\n")
    (place.folder / "secrets.yaml").write_text("wifi: canary-4711-canary\n")
    key = (place.folder / "devices" / f"{DEVICE}.key.pem").read_text().splitlines()[1]
    commands: list[tuple[Any, ...]] = [
        ("check", place.product, "--device", DEVICE),
        ("render", place.product, "--device", DEVICE, "--out", place.work / "out"),
        ("update", place.product, "--device", DEVICE, "--port", board.pty),
        ("verify", place.product, "--device", DEVICE, "--port", board.pty),
    ]
    for command in commands:
        done = place.run(*command, "--json", "--debug")
        assert done.exit_code == 0, done.err
        assert "canary-4711" not in done.out + done.err
        assert key not in done.out + done.err


@pytest.fixture
def started(place: Place) -> Iterator[dict[str, Any]]:
    """`twinroot virtual --json` as a user starts it; what it says about its board."""
    process = subprocess.Popen(
        [str(TWINROOT), "virtual", "--json", "--unpaced"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=place.work,
        env=place.surroundings(),
    )
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], 30)[0], "twinroot virtual said nothing"
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)


def test_mpremote_and_ampy_list_read_and_write(place: Place, started: dict[str, Any]) -> None:
    """The programs as pip installs them, each reading what the other wrote."""
    assert started.keys() >= {"port", "pty", "mac", "board", "state", "pid"}

    def tool(*command: str) -> str:
        program = str(TWINROOT.with_name(command[0]))
        done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=60, cwd=place.work, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    (place.work / "note.txt").write_text("written by ampy\n")
    tool("ampy", "--port", started["pty"], "put", "note.txt")
    assert "note.txt" in tool("ampy", "--port", started["pty"], "ls")
    assert "note.txt" in tool("mpremote", "connect", started["pty"], "ls")
    assert "written by ampy" in tool("mpremote", "connect", started["pty"], "cat", "note.txt")
    (place.work / "note.txt").write_text("written by mpremote\n")
    tool("mpremote", "connect", started["pty"], "cp", "note.txt", ":note.txt")
    assert "written by mpremote" in tool("ampy", "--port", started["pty"], "get", "note.txt")
