"""The stand-in as a process: what it keeps, how it starts, how it ends, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from provisioning.errors import InputError, StationError
from provisioning.standin import StandIn
from tests.standin.conftest import Client

TWINROOT = [sys.executable, "-m", "provisioning"]


def _gone(pid: int, timeout: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").exists() and ") Z" in Path(f"/proc/{pid}/stat").read_text():
            return True
        time.sleep(0.02)
    return False


def _first_line(process: subprocess.Popen[str], timeout: float = 30.0) -> dict[str, Any]:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], timeout)[0], "nothing on standard output"
    return json.loads(process.stdout.readline())


def test_a_restart_has_the_same_roots_ports_and_devices(tmp_path: Path) -> None:
    with StandIn(tmp_path) as first:
        roots = {name: path.read_bytes() for name, path in first.roots.items()}
        pins, routes, ntp = first.pins, first.routes, first.ntp
        device = [path.read_bytes() for path in first.issue("ws-0001")]
    with StandIn(tmp_path) as second:
        assert {name: path.read_bytes() for name, path in second.roots.items()} == roots
        assert (second.pins, second.routes, second.ntp) == (pins, routes, ntp)
        assert [path.read_bytes() for path in second.issue("ws-0001")] == device
        Client(second).publish("again", b"1")
        assert second.wait_message(topic="again")["route"] == "ats"


def test_the_pin_is_the_fingerprint_of_the_root(tmp_path: Path) -> None:
    import hashlib
    import ssl

    with StandIn(tmp_path) as cloud:
        for name, path in cloud.roots.items():
            assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(path.read_text())).hexdigest() == cloud.pins[name]


def test_remembered_ports_that_are_taken_are_replaced(tmp_path: Path) -> None:
    with StandIn(tmp_path) as first:
        port = first.route("ats")["port"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with StandIn(tmp_path) as second:
            assert second.route("ats")["port"] != port
            Client(second).connect().close()


def test_keys_are_private(tmp_path: Path) -> None:
    with StandIn(tmp_path, {"ats": "wrong-root", "legacy": "sha1"}) as cloud:
        cloud.issue("ws-0001")
        private = [path for path in tmp_path.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
        assert len(private) >= 9
        assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
        assert "PRIVATE" not in json.dumps(cloud.info)


def test_without_state_nothing_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with StandIn() as cloud:
        pid = cloud.pid
        assert any(tmp_path.iterdir())
    assert _gone(pid)
    assert not list(tmp_path.iterdir())


def test_start_takes_less_than_its_budget() -> None:
    """1.5 s for PKI, broker and both endpoints on an idle machine: what it waits for a processor that others have is not its own."""
    began = time.monotonic()
    with StandIn(broker="amqtt") as cloud:
        took = time.monotonic() - began
        ready = int(Path(f"/proc/{cloud.pid}/schedstat").read_text().split()[1]) / 1e9
    assert took - ready < 1.5, (took, ready)


def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", ("from provisioning.standin import StandIn; import sys, time\n"
         "cloud = StandIn(sys.argv[1]).start(); print(cloud.pid, flush=True); time.sleep(60)"), str(tmp_path)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    starter.kill()
    starter.wait()
    assert _gone(pid)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_command_prints_one_object_and_ends_cleanly(tmp_path: Path, how: signal.Signals) -> None:
    process = subprocess.Popen(
        [*TWINROOT, "cloud", "--json", "--state", tmp_path, "--scenario", "legacy=expired", "--issue", "ws-0001"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    info = _first_line(process)
    assert [route["name"] for route in info["routes"]] == ["ats", "legacy"]
    assert [route["endpoint"].split(".")[0] for route in info["routes"]] == ["a1b2c3d4e5f6g7-ats", "a1b2c3d4e5f6g7"]
    assert all(Path(path).is_file() for path in info["roots"].values())
    assert info["scenario"] == {"ats": "ok", "legacy": "expired"}
    assert info["pid"] == process.pid
    assert Path(info["devices"]["ws-0001"]["key"]).is_file()
    # It accepts connections by then.
    for route in info["routes"]:
        socket.create_connection((route["host"], route["port"]), timeout=5).close()
    process.send_signal(how)
    rest, _noise = process.communicate(timeout=15)
    assert process.returncode == 0
    assert rest == ""
    assert not (tmp_path / "running.json").exists()
    assert not (tmp_path / "control").exists()


def test_command_changes_a_running_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From whichever folder either was started."""
    monkeypatch.chdir(tmp_path.parent)
    with StandIn(Path(tmp_path.name)) as cloud:
        monkeypatch.chdir("/")
        Client(cloud).publish("seen", b"1")
        cloud.wait_message(topic="seen")
        command = [*TWINROOT, "cloud", "--state", str(tmp_path), "--json"]
        done = subprocess.run([*command, "--set", "legacy=expired", "--set", "reset"], capture_output=True, text=True, check=True)
        status = json.loads(done.stdout)
        assert status["scenario"] == {"ats": "reset", "legacy": "expired"}
        assert [message["topic"] for message in status["messages"]] == ["seen"]
        assert json.loads((tmp_path / "running.json").read_text())["scenario"] == status["scenario"]
        with pytest.raises(ConnectionError):
            Client(cloud).connect()


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["--scenario", "wrong-rot"], "cloud-scenario", 2),
        (["--scenario", "west=ok"], "cloud-route", 2),
        (["--region", "moon"], "cloud-region", 2),
        (["--prefix", "A.b"], "cloud-prefix", 2),
        (["--broker", "kafka"], "cloud-broker", 2),
        (["--port", "ats=99999"], "cloud-port", 2),
        (["--port", "ats"], "cloud-port", 2),
        (["--issue", "../x"], "cloud-device", 2),
        (["--client-ca", "nowhere.pem"], "cloud-client-ca", 2),
        (["--client-ca", __file__], "cloud-client-ca", 2),
        (["--state", "/proc/nowhere"], "cloud-state", 3),
        (["--state", __file__], "cloud-state", 3),
        (["--set", "ok"], "cloud-state", 2),
        (["--set", "ok", "--state", "/nowhere"], "cloud-not-running", 3),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, arguments: list[str], code: str, exit_code: int) -> None:
    done = subprocess.run([*TWINROOT, "cloud", "--json", *arguments], capture_output=True, text=True, timeout=30, cwd=tmp_path, check=False)
    said = json.loads(done.stdout)
    assert (said["code"], done.returncode) == (code, exit_code), done.stderr
    assert said["message"].endswith(".")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StationError) as busy, StandIn(tmp_path, ports={"legacy": port}):
            pass
    assert busy.value.code == "port-in-use"
    assert str(port) in busy.value.message
    assert not (tmp_path / "running.json").exists()


def test_one_stand_in_per_state(tmp_path: Path) -> None:
    with StandIn(tmp_path), pytest.raises(StationError) as second, StandIn(tmp_path):
        pass
    assert second.value.code == "cloud-running"


def test_broken_state_is_named(tmp_path: Path) -> None:
    with StandIn(tmp_path):
        pass
    authority = tmp_path / "authorities" / "StandInATS.pem"
    for damage in (b"", b"garbage", authority.read_bytes()[:900]):
        authority.write_bytes(damage)
        with pytest.raises(StationError) as broken, StandIn(tmp_path):
            pass
        assert str(authority) in broken.value.message
    authority.unlink()
    with StandIn(tmp_path) as cloud:
        Client(cloud).connect().close()


def test_mistakes_are_reported_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError), StandIn(tmp_path / "new", "nonsense"):
        pass
    assert not (tmp_path / "new").exists()


def test_a_dead_stand_in_is_an_error_not_a_wait(tmp_path: Path) -> None:
    cloud = StandIn(tmp_path).start()
    try:
        os.kill(cloud.pid, signal.SIGKILL)
        with pytest.raises(StationError) as dead:
            cloud.wait_message(topic="never", timeout=20)
        assert dead.value.code == "cloud-ended"
        began = time.monotonic()
        with pytest.raises(StationError):
            cloud.scenario("ats", "ok")
        assert time.monotonic() - began < 5
    finally:
        cloud.stop()
    # SIGKILL leaves files of a run behind; the next start does not mind.
    with StandIn(tmp_path) as again:
        Client(again).connect().close()


@pytest.mark.parametrize("long", [False, True])
def test_killed_it_leaves_at_most_its_state_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, long: bool) -> None:
    """The path of a Unix socket is short; where the state's is not, the socket is elsewhere and everything still works."""
    import shutil
    import tempfile

    base = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    try:
        state = base / ("x" * 90) if long else base / "state"
        for _ in range(2):
            cloud = StandIn(state).start()
            command = [*TWINROOT, "cloud", "--state", str(state), "--json", "--status"]
            assert json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["pid"] == cloud.pid
            os.kill(cloud.pid, signal.SIGKILL)
            cloud.stop()
        assert [path.name for path in base.iterdir()] == [state.name]
    finally:
        shutil.rmtree(base)


def test_its_standard_error_need_not_be_read(tmp_path: Path) -> None:
    """A script that takes the JSON and ignores the rest must not stop the stand-in with a full pipe."""
    process = subprocess.Popen(
        [*TWINROOT, "cloud", "--json", "--state", tmp_path, "--scenario", "eof"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    route = _first_line(process)["routes"][0]
    for _ in range(1500):
        with socket.create_connection((route["host"], route["port"]), timeout=5) as plain:
            plain.sendall(b"x")
            assert plain.recv(1) == b""
    process.terminate()
    assert process.wait(15) == 0
    process.communicate()
