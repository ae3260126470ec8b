"""esptool processes that are ready before they are needed: for one board (Prestarted), for all boards of a station (ForkServer)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from provisioning.flash import process
from provisioning.flash.fork_server import ForkServer
from provisioning.flash.prestart import Prestarted

linux = pytest.mark.skipif(sys.platform != "linux", reason="a fork server needs fork, and descriptors sent over a socket")
SOURCES = [Prestarted, pytest.param(ForkServer, marks=linux)]
VERSION = process.command(["version"])


def gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has waited for yet has."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("source", SOURCES)
def test_a_ready_esptool_does_what_a_cold_one_does(source, tmp_path):
    cold = process.run(VERSION)
    with source() as ready:
        lines: list[str] = []
        ready_run = process.run(VERSION, tmp_path / "log", lines.append, source=ready)
    assert ready_run.code == cold.code == 0
    assert ready_run.output == cold.output
    assert lines == cold.output.splitlines()
    assert f"$ {' '.join(VERSION)}\n" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("source", SOURCES)
def test_its_failure_is_its_exit_code_and_output(source):
    argv = process.command(["--port", "socket://127.0.0.1:1", "--before", "no-reset", "flash-id"])
    cold = process.run(argv)
    with source() as ready:
        ready_run = process.run(argv, source=ready)
    assert ready_run.code == cold.code
    assert ready_run.code != 0
    assert ready_run.output.splitlines()[-1] == cold.output.splitlines()[-1]


@pytest.mark.parametrize("source", SOURCES)
def test_a_silent_one_is_ended(source):
    with socket.create_server(("127.0.0.1", 0)) as deaf, source() as ready:
        argv = process.command(["--port", f"socket://127.0.0.1:{deaf.getsockname()[1]}", "--before", "no-reset", "flash-id"])
        taken = []

        class Spy:
            def take(self, argv):
                taken.append(ready.take(argv))
                return taken[0]

        assert process.run(argv, silence=0.05, source=Spy()).code is None
        assert taken[0].poll() is not None


@pytest.mark.parametrize("source", SOURCES)
def test_other_programs_are_started_as_ever(source):
    with source() as ready:
        ended = process.run([sys.executable, "-c", "print('other')"], source=ready)
    assert (ended.code, ended.output.strip()) == (0, "other")


def test_a_prestarted_one_is_for_one_run_and_ends_unused():
    with Prestarted() as ready:
        first = ready.take(VERSION)
        assert first is not None
        assert ready.take(VERSION) is None
        assert first.wait(30) == 0
        first.stdout.close()
    with Prestarted() as ready:
        pid = ready._process.pid
    assert gone(pid)


def run_in_a_worker(forks: ForkServer, pipe) -> None:
    pipe.send(process.run(VERSION, source=forks))


@linux
def test_workers_share_a_fork_server_and_it_ends_with_the_station():
    fork = get_context("fork")
    with ForkServer() as forks:
        workers = []
        for _ in range(3):
            ours, theirs = fork.Pipe(duplex=False)
            workers.append((ours, fork.Process(target=run_in_a_worker, args=(forks, theirs))))
            workers[-1][1].start()
            theirs.close()
        for ours, worker in workers:
            ended = ours.recv()
            worker.join(10)
            assert (ended.code, ended.output) == (0, process.run(VERSION).output)
        pid = forks._process.pid
    assert gone(pid)
    assert forks.take(VERSION) is None
    assert process.run(VERSION, source=forks).code == 0  # a cold one then


@linux
def test_what_was_forked_outlives_a_fork_server_that_is_killed():
    with socket.create_server(("127.0.0.1", 0)) as server, ForkServer() as forks:
        server.settimeout(30)
        argv = process.command(["--port", f"socket://127.0.0.1:{server.getsockname()[1]}", "--before", "no-reset", "flash-id"])
        running = forks.take(argv)
        client, _ = server.accept()
        forks._process.kill()
        assert running.poll() is None
        client.close()  # esptool's line breaks
        assert running.wait(30) != 0
        assert b"esptool" in running.stdout.read()
        running.stdout.close()


@linux
def test_a_fork_server_ends_when_its_station_is_killed():
    program = (
        "import sys, time\nfrom provisioning.flash.fork_server import ForkServer\n"
        "forks = ForkServer()\nprint(forks._process.pid, flush=True)\nsys.stdin.read()\n"
    )
    station = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid = int(station.stdout.readline())
    station.kill()
    station.communicate()
    deadline = time.monotonic() + 20
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gone(pid)
