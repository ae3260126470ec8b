"""The table's last column, proven: the connection package on a real MicroPython meets every scenario and names the failure class."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from provisioning.config.load import load_product
from provisioning.config.unit import choose
from provisioning.demo.product import DEVICE, write_product
from provisioning.job.update import update
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.standin import StandIn
from provisioning.standin.scenarios import SCENARIOS
from provisioning.virtual import VirtualBoard

# One whole connection, as an application makes it; the answer is the route, or the failure's class.
_ATTEMPT = """
import json, twinroot
try:
    c = twinroot.mqtt(timeout=2.5)
    c.publish("met", "it", qos=1)
    print(json.dumps([None, c.link.root]))
except twinroot.TwinrootError as e:
    print(json.dumps([e.kind, e.issuer]))
"""


@dataclass
class Bench:
    cloud: StandIn
    repl: RawRepl

    def forget_time(self) -> None:
        """As after a power-on: the clock begins in 2000, and the device asks the time server."""
        self.repl.run("import machine\nmachine.RTC().datetime((2000, 1, 1, 5, 0, 0, 0, 0))")

    def attempt(self) -> list[str | None]:
        self.repl.soft_reset()  # a back-off from the scenario before is not this one's business
        answer: list[str | None] = json.loads(self.repl.run(_ATTEMPT, 40).decode().splitlines()[-1])
        return answer


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A board with a product of one route: where there is no other, the failure is told."""
    folder: Path = tmp_path_factory.mktemp("bench")
    with StandIn(folder / "cloud", broker="amqtt") as cloud, VirtualBoard(state=folder / "board") as board:
        path = write_product(folder, cloud)
        product = yaml.safe_load(path.read_text())
        del product["cloud"]["routes"][1:]
        path.write_text(yaml.safe_dump(product))
        loaded = load_product(path)
        report = update(loaded, choose(loaded, DEVICE)[0], board.pty)
        assert report.outcome == "pass", report.message
        with open_port(board.pty) as wire:
            repl = RawRepl(wire)
            repl.enter()
            yield Bench(cloud, repl)


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_the_device_reports_what_the_table_says(bench: Bench, name: str) -> None:
    bench.cloud.scenario("ats", name)
    before = len(bench.cloud.messages())
    kind, who = bench.attempt()
    assert kind == SCENARIOS[name].device
    if kind is None:
        assert who == "StandInATS"
        assert bench.cloud.wait_message(topic="met", after=before)["route"] == "ats"
    else:
        assert len(bench.cloud.messages()) == before


def test_the_device_names_the_issuer_it_was_offered(bench: Bench) -> None:
    bench.cloud.scenario("ats", "wrong-root")
    kind, issuer = bench.attempt()
    assert kind == "trust"
    assert "A CA that nobody knows (ats)" in str(issuer)


def test_a_wrong_clock_is_not_taken_for_a_bad_chain(bench: Bench) -> None:
    """Four years ahead of a good chain: the time server's doing. The device says clock, and nothing about a root."""
    bench.cloud.repair("ats")
    bench.cloud.clock(offset=4 * 365 * 86400)
    bench.forget_time()
    try:
        kind, issuer = bench.attempt()
        assert (kind, issuer) == ("clock", None)
    finally:
        bench.cloud.clock()
        bench.forget_time()
    assert bench.attempt() == [None, "StandInATS"]


def test_without_time_there_is_no_handshake(bench: Bench) -> None:
    bench.cloud.repair("ats")
    bench.cloud.clock(silent=True)
    bench.forget_time()
    before = len(bench.cloud.connections())
    try:
        assert bench.attempt() == ["clock", None]
        assert len(bench.cloud.connections()) == before
    finally:
        bench.cloud.clock()
