"""The probe's verdict is what the real MicroPython does: both meet the same hostile servers, and the answers are compared."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from provisioning.pem.read import certificates
from provisioning.pem.tlv import DerError
from provisioning.trust import der
from provisioning.trust.probe.handshake import ClientIdentity, ProbeTarget
from provisioning.trust.probe.verdict import judge
from provisioning.trust.routes import Route
from tests.device import matrix, sets
from tests.device.matrix import Case
from tests.device.scenarios import SCENARIOS
from tests.device.virtual import Virtual
from tests.support import pki

CLOCK = {"right": None, "2000": datetime(2000, 1, 1, tzinfo=timezone.utc), "2040": datetime(2040, 1, 1, tzinfo=timezone.utc)}
FLOOR = datetime.fromtimestamp(sets.FLOOR, timezone.utc)


def anchors(case: Case) -> dict[str, der.Certificate]:
    """The roots that the host could load: what it cannot, a product would refuse ahead of any probe."""
    found = {}
    for name, content in case.files.items():
        try:
            found[Path(name).stem] = der.certificate(certificates(content)[0])
        except DerError:
            continue
    return found


def verdict(case: Case, folder: Path) -> str:
    """ok | change | kind, as the table of the device's suite has it."""
    routes, where = [], {}
    for spec in case.spec["set"]["routes"]:
        routes.append(Route(spec["name"], spec["host"], spec["port"], tuple(spec["roots"])))
        host, port = case.spec["set"]["lab"]["resolve"][f"{spec['host']}:8883"].split(":")
        where[spec["name"]] = ProbeTarget(spec["host"], 8883, (host, int(port)))
    device = pki.client("t-1", pki.root("Device CA"))
    files = ClientIdentity(folder / "crt.pem", folder / "key.pem")
    files.certificate.write_bytes(device.pem)
    files.key.write_bytes(device.key_pem)
    found = judge(
        routes,
        {**anchors(case), "Spare": der.certificate(case.site.other.der)},
        where=lambda route: where[route.name],
        identity=files if case.spec["set"].get("cert") else None,
        clock=CLOCK[case.clock],
        floor=FLOOR,
        timeout=case.scenario.timeout,
        first=[r.name for r in routes].index(case.spec["last"]),
    )
    if found.connects:
        return "ok" if found.route == case.spec["last"] else "change"
    assert found.kind and found.error and found.hint
    return found.kind


SHORT = [("right", "ec", "preferred"), ("right", "rsa", "last good"), ("2040", "ec", "preferred")]
LONG = [
    *[("right", "rsa", "preferred"), ("right", "ec", "last good"), ("2000", "ec", "preferred"), ("2000", "rsa", "last good")],
    *[("2040", "rsa", "last good"), ("2040", "ec", "last good"), ("2040", "rsa", "preferred")],
]


@pytest.mark.parametrize(("clock", "kind", "place"), [*SHORT, *(pytest.param(*row, marks=pytest.mark.long) for row in LONG)])
def test_every_scenario_of_the_hostile_server_suite(
    tmp_path: Path, make_virtual_board: Callable[..., Any], clock: str, kind: str, place: str
) -> None:
    board = make_virtual_board(paced=False, clock="host")
    real = {c.scenario.name: c for c in matrix.run(Virtual(board), tmp_path / "device", clock, place, kind)}
    differing = []
    with ExitStack() as stack:
        for case in matrix.prepare(stack, tmp_path / "probe", clock, place, kind, "127.0.0.1"):
            if case.scenario.look_up is not None:
                continue  # no chain: the device's resolver is what fails, and the probe would ask a real one
            said, did = verdict(case, tmp_path), real[case.scenario.name]
            either = "|" in case.expected and {said, did.got} <= set(case.expected.split("|"))  # whichever shows first
            if said != did.got and not either and not (case.scenario.name == "key file missing" and did.got == "set"):
                differing.append(f"{case.scenario.name}: the device {did.got} ({did.detail}), the probe {said}")
    assert not differing, "\n".join(differing)
    print(f"{len(SCENARIOS)} scenarios, {place}, {kind}, clock {clock}: equal")
