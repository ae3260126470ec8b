"""The command as a script sees it: a real process, its output, its exit code."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.command import twinroot


def test_help_lists_the_commands_and_the_exit_codes() -> None:
    run = twinroot("--help")
    assert run.returncode == 0
    for word in ("demo", "update", "verify", "rollback", "endpoint", "Exit codes"):
        assert word in run.stdout


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["updat"], "Did you mean `twinroot update`?"),
        (["--jsn"], "--help"),
        (["update"], "--help"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_a_next_step(arguments: list[str], hint: str) -> None:
    run = twinroot(*arguments)
    assert run.returncode == 2
    assert run.stdout == ""
    lines = run.stderr.strip().splitlines()
    assert len(lines) == 2, run.stderr
    assert lines[0].startswith("twinroot: ")
    assert hint in lines[1]


def test_json_mode_reports_errors_as_one_object() -> None:
    run = twinroot("check", "--json", "no-such-product.yaml")
    assert run.returncode == 2
    report = json.loads(run.stdout)
    assert report["outcome"] == "error"
    assert report["code"]
    assert "no-such-product.yaml" in report["message"]
    assert "Traceback" not in run.stderr


def test_debug_shows_the_traceback_and_only_debug_does() -> None:
    assert "Traceback" not in twinroot("check", "no-such-product.yaml").stderr
    assert "Traceback" in twinroot("check", "--debug", "no-such-product.yaml").stderr


@pytest.mark.parametrize("arguments", [["--help"], ["endpoint", "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com"]])
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    """The reason that they are fast, which a noisy machine cannot hide: none of the heavy packages is imported."""
    code = (
        "import sys; from provisioning.cli.main import run; run(sys.argv[1:]); "
        "heavy = {'pydantic', 'cryptography', 'esptool', 'rich', 'littlefs', 'serial', 'asyncio'} & set(sys.modules); "
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_result_that_cannot_be_written_is_not_a_pass() -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "provisioning", "boards", "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert run.returncode == 3
    assert run.stderr.startswith("twinroot: The result could not be written")
    assert len(run.stderr.strip().splitlines()) == 2, run.stderr


@pytest.mark.parametrize("arguments", [["boards", "list"], ["--help"]])
def test_a_reader_that_went_away_is_not_a_board_that_failed(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        run = subprocess.run(
            [sys.executable, "-m", "provisioning", *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
        )
    finally:
        os.close(writing)
    assert run.returncode == 3
    assert "Traceback" not in run.stderr
    assert "Exception ignored" not in run.stderr


@pytest.mark.parametrize("command", ["flash", "update", "verify"])
def test_a_job_that_never_began_is_a_whole_report_with_json(command: str) -> None:
    run = twinroot(command, "no-such-product.yaml", "--port", "virtual", "--json")
    assert run.returncode == 2
    report = json.loads(run.stdout)
    assert report["outcome"] == "error"
    assert set(report) >= {"outcome", "code", "message", "hint", "mac", "chip", "board", "product", "device", "generation", "previous"}
    assert set(report) >= {"transport", "files", "written", "wire", "steps", "selftest"}
    assert report["written"] == []


@pytest.mark.parametrize(("arguments", "names"), [([], "demo, boards, check"), (["trust"], "check, list, probe")])
def test_no_command_names_those_that_there_are(arguments: list[str], names: str) -> None:
    run = twinroot(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    first, second = run.stderr.splitlines()
    assert names in first and "--help" in second


def test_json_may_stand_before_the_command() -> None:
    assert json.loads(twinroot("--json", "boards", "list").stdout)["boards"]


def test_bad_news_is_one_object_with_the_sentence_that_people_see(tmp_path: Path) -> None:
    """Results that are worth reading although the exit code is not 0 say how they ended as every error does."""
    (tmp_path / "garbage.pem").write_text("garbage")
    for arguments, code, content in (
        (["endpoint", "https://x"], 2, "endpoints"),
        (["trust", "check", str(tmp_path / "garbage.pem"), str(tmp_path / "missing.pem")], 2, "files"),
        (["trust", "list", "--on", "2036-01-01", "--fail-within", "1y"], 1, "roots"),
    ):
        run = twinroot(*arguments, "--json")
        told = json.loads(run.stdout)
        assert run.returncode == code and told[content]
        assert told["outcome"] == {1: "fail", 2: "error"}[code]
        assert run.stderr.splitlines()[-2:] == [f"twinroot: {told['message']}", f"  next: {told['hint']}"]
    assert json.loads(twinroot("endpoint", "a-ats.iot.us-east-1.amazonaws.com", "--json").stdout)["outcome"] == "pass"


def test_a_name_with_line_ends_stays_one_sentence() -> None:
    run = twinroot("verify", "--port", "/dev/a\nb\x1b[31m")
    assert run.returncode == 3
    assert len(run.stderr.splitlines()) == 2 and "\x1b" not in run.stderr


@pytest.mark.skipif(os.name == "nt", reason="the shell's way to close a stream")
def test_closed_standard_streams_change_nothing_but_what_is_seen() -> None:
    """Each is closed alone: what is opened next must not get its number, and nobody may ask None whether it is a terminal."""
    for closed, code in (("0<&-", 2), ("1>&-", 2), ("2>&-", 2)):
        command = f'exec "$0" -m provisioning update no-such.yaml --port /dev/not-there --json {closed}'
        run = subprocess.run(["/bin/sh", "-c", command, sys.executable], capture_output=True, text=True, timeout=60)
        assert run.returncode == code, run.stderr
        assert "Traceback" not in run.stderr
        assert bool(run.stdout) == (closed != "1>&-")


def test_control_c_during_start_up_has_a_sentence_and_its_code() -> None:
    """The signal comes while the command's own modules are being imported: the import of click is what sends it."""
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job has it ignored
        "class Sends:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'click': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Sends())\n"
        "from provisioning.cli.entry import main\n"
        "main()\n"
    )
    run = subprocess.run([sys.executable, "-c", code, "boards", "list"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 130
    assert run.stderr.startswith("twinroot: Interrupted")
    assert "Traceback" not in run.stderr


def test_doctor_finds_this_station_fit() -> None:
    run = twinroot("doctor", "--json")
    report = json.loads(run.stdout)
    assert run.returncode == (0 if report["ok"] else 3)
    assert {check["name"] for check in report["checks"]} >= {"python", "esptool", "mpy-cross", "roots"}


if __name__ == "__main__":  # a figure for the README, not a test: python tests/cli/test_command.py
    for line in (["--help"], ["endpoint", "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com"]):
        seconds = []
        for _ in range(9):
            start = time.perf_counter()
            twinroot(*line)
            seconds.append(time.perf_counter() - start)
        print(" ".join(line), f"median {statistics.median(seconds):.3f} s, {min(seconds):.3f} to {max(seconds):.3f}")
