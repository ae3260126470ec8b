"""`twinroot migrate collect` on a server that goes away in the middle: waited for, or ended with a sentence; the same end either way."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provisioning.cli.main import run
from provisioning.fleet.device import Device
from provisioning.fleet.store import FleetStore
from provisioning.ledger.store import Ledger
from tests.support import fleet_lines, postgres
from tests.support.command import twinroot_command

COUNT, FIRST = 2400, 2100  # reports; of these so many are sent, and one transaction is over, before the server goes


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outage")
    (folder / "product.yaml").write_text(fleet_lines.PRODUCT)
    (folder / "devices.csv").write_text(fleet_lines.csv(3))
    (folder / "health.jsonl").write_text("".join(fleet_lines.lines(COUNT * 2, int(time.time())).splitlines(keepends=True)[:COUNT]))
    return folder / "product.yaml"


@pytest.fixture(scope="module")
def wanted(product: Path) -> list[Device]:
    """What is known where nothing went away."""
    place = product.with_name("ledger.sqlite")
    assert collect(product, str(place)) == 0
    return known(str(place))


def collect(product: Path, url: str) -> int:
    return run(["migrate", "collect", str(product), "--health", str(product.with_name("health.jsonl")), "--ledger", url])


def known(url: str) -> list[Device]:
    with Ledger.open(url) as ledger:
        return list(FleetStore(ledger).devices("fleet"))


@contextmanager
def cut(server: postgres.Server, product: Path, name: str, wait: str) -> Iterator[subprocess.Popen[str]]:
    """A collection that has written some of its reports, the others sent to it, and no server."""
    lines = product.with_name("health.jsonl").read_text().splitlines(keepends=True)
    with subprocess.Popen(
        twinroot_command("migrate", "collect", product, "--health", "-", "--json"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TWINROOT_LEDGER": server.url(name), "TWINROOT_LEDGER_WAIT": wait},
    ) as process:
        assert process.stdin is not None
        process.stdin.writelines(lines[:FIRST])
        process.stdin.flush()
        until = time.monotonic() + 60
        while not written(server, name):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
        server.stop()
        try:
            process.stdin.writelines(lines[FIRST:])
            process.stdin.close()
            yield process
        finally:
            if server.stopped:
                server.start()


def written(server: postgres.Server, name: str) -> bool:
    there = server.sql(name, "SELECT to_regclass('fleet_devices')") != [(None,)]
    return there and server.sql(name, "SELECT count(*) FROM fleet_devices WHERE source = 'file'") != [(0,)]


def test_it_is_waited_for(server: postgres.Server, product: Path, wanted: list[Device]) -> None:
    name = server.database()
    with cut(server, product, name, "60") as process:
        assert process.stderr is not None and process.stdout is not None
        said = ""
        for line in process.stderr:
            said += line
            if "away, waiting" in line:
                server.start()
        found = json.loads(process.stdout.read())
        assert process.wait(60) == 0 and found["reports"]["file"] == COUNT, said
    assert "is back after" in said and "kanary" not in said
    assert known(server.url(name)) == wanted


def test_the_wait_has_an_end_and_what_is_missing_is_collected_again(server: postgres.Server, product: Path, wanted: list[Device]) -> None:
    name = server.database()
    with cut(server, product, name, "0.3") as process:
        assert process.stdout is not None and process.stderr is not None
        said, found = process.stderr.read(), json.loads(process.stdout.read())
        assert process.wait(60) == 3 and found["code"] == "ledger-away" and found["hint"], said
        assert "Traceback" not in said and "kanary" not in said + json.dumps(found)
    url = server.url(name)
    assert 0 < len(known(url)) < len(wanted)
    assert collect(product, url) == 0 and known(url) == wanted
