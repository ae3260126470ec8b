"""`twinroot demo` as a user runs it, and that its PASS is earned: a story that goes wrong ends in FAIL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.demo import story
from provisioning.errors import BoardError
from provisioning.job import flash
from provisioning.standin import StandIn

DEMO = [sys.executable, "-m", "provisioning", "demo"]
# As the installed `twinroot` starts. (`python -m` ends by SIGINT instead of 130 when the interrupt met an import's exec().)
INSTALLED = [sys.executable, "-c", "from provisioning.cli.entry import main; main()", "demo"]
STEPS = ["cloud", "board", "product", "flash", "update", "ats", "break", "legacy", "repair", "home", "health", "again", "verify", "probe"]


def _run(*arguments: str, temporary: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.run([*DEMO, *arguments], capture_output=True, text=True, timeout=90, env=environment, check=False)


def test_the_story_for_people(tmp_path: Path) -> None:
    done = _run(temporary=tmp_path)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines[len(STEPS)].startswith("PASS  in ")
    assert "twinroot flash my-station/product.yaml" in done.stdout
    assert not list(tmp_path.iterdir()), "the demo leaves files behind"


def test_the_story_for_programs(tmp_path: Path) -> None:
    done = _run("--json", "--state", str(tmp_path / "kept"), "--broker", "amqtt", temporary=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["outcome"]) == (0, "pass"), done.stderr
    assert [step["name"] for step in told["steps"]] == STEPS
    assert told["seconds"] < 25  # 10 on a busy machine
    evidence = told["evidence"]
    assert [message["route"] for message in evidence["messages"]] == ["ats", "legacy", "ats"]
    assert [json.loads(message["payload"])["root"] for message in evidence["messages"]] == ["StandInATS", "StandInVeriSign", "StandInATS"]
    assert {message["certificate"] for message in evidence["messages"]} == {"ws-0001"}
    assert evidence["health"]["roots"]["StandInATS"]["good"] >= 2
    assert evidence["health"]["roots"]["StandInVeriSign"]["good"] == 1
    assert evidence["health"]["routes"]["ats"]["bad"] >= 2
    assert [report["job"] for report in evidence["reports"]] == ["flash", "update", "update", "verify"]
    flash, update, again, _ = evidence["reports"]
    assert (flash["transport"], flash["generation"], update["generation"]) == ("esptool", 1, 2)
    # One pass from a blank chip: firmware at the chip's own offset, then pieces of the file system.
    assert flash["written"][0] == "0x1000" and all(int(place, 16) >= 0x200000 for place in flash["written"][1:])
    assert flash["wire"]["rates_tried"] == 1
    assert "/main.py" in update["written"] and "/main.py" not in flash["files"]
    assert again["written"] == []
    key = (tmp_path / "kept" / "cloud" / "devices" / "ws-0001.key.pem").read_text()
    assert "PRIVATE KEY" in key
    for secret in key.splitlines()[1:-1]:
        assert secret not in done.stdout + done.stderr
    # What --state keeps is a product like any other.
    check = [sys.executable, "-m", "provisioning", "check", str(tmp_path / "kept" / "product.yaml")]
    checked = subprocess.run(check, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    done = _run("--state", str(tmp_path), temporary=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_wrong_broker_is_a_sentence(tmp_path: Path) -> None:
    done = _run("--json", "--broker", "kafka", temporary=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["code"]) == (2, "cloud-broker")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lines", [1, 3, 5])
def test_interrupted_it_leaves_nothing_running(tmp_path: Path, lines: int) -> None:
    process = subprocess.Popen(
        INSTALLED,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    for _ in range(lines):
        assert process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _rest, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert [str(path) for path in tmp_path.rglob("*")] == []
    assert not _processes_of(tmp_path)


def _processes_of(folder: Path) -> list[str]:
    """Command lines of living processes that name `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has just ended
            if str(folder) in line:
                found.append(line)
    return found


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ("refuse", "no-message"),  # a closed port is no reason to leave a route
        ("expired", "no-message"),  # nor is a certificate out of date
        ("ok", "no-message"),  # and certainly not a route that works
    ],
)
def test_a_cloud_that_breaks_in_another_way_ends_in_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, code: str) -> None:
    real = StandIn.scenario

    def other(self: StandIn, route: str, name: str, *, drop: bool | None = None) -> None:
        real(self, route, broken if name == "wrong-root" else name, drop=drop)

    monkeypatch.setattr(StandIn, "scenario", other)
    monkeypatch.setattr(story, "PATIENCE", 4.0)
    told = story.Story(tmp_path, lambda _step: None, "amqtt")
    with pytest.raises(BoardError) as failed:
        told.run()
    assert failed.value.code == code
    assert "over legacy" in failed.value.message
    assert [step.name for step in told.steps] == STEPS[: STEPS.index("legacy")]


def test_a_board_whose_firmware_does_not_start_ends_in_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What flash says of the board is the demo's word, too."""
    from provisioning.flash.loader_access import LoaderAccess

    start = LoaderAccess.start

    def spoiled(self: LoaderAccess) -> None:
        told.board.load_flash(0x10000, bytes(4096))
        start(self)

    monkeypatch.setattr(LoaderAccess, "start", spoiled)
    monkeypatch.setattr(flash, "BOOT_SECONDS", 3.0)
    told = story.Story(tmp_path, lambda _step: None, "amqtt")
    with pytest.raises(BoardError) as failed:
        told.run()
    assert failed.value.message.startswith("flash failed: ")
    assert [step.name for step in told.steps] == ["cloud", "board", "product"]


def test_a_device_that_tells_another_route_ends_in_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's word alone is not evidence."""
    real = story.add_application

    def lying(path: Path) -> None:
        real(path)
        program = path.with_name("main.py")
        honest = program.read_text()
        assert "link.root" in honest
        program.write_text(honest.replace("link.root", '"AmazonRootCA1"'))

    monkeypatch.setattr(story, "add_application", lying)
    told = story.Story(tmp_path, lambda _step: None, "amqtt")
    with pytest.raises(BoardError) as failed:
        told.run()
    assert failed.value.code == "wrong-attribution"
