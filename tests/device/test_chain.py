"""A device sends its CA's certificate behind its own: the server trusts the root alone, so that only a whole chain gets in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.device.world import ATS, LEGACY, World
from tests.support import pki
from tests.support.pki import Cert

SCRIPT = """
import json, twinroot
try:
    link = twinroot.connect(timeout=5)
    link.sock.write(b"hello")
    print(json.dumps(link.sock.read(5).decode()))
except OSError as e:
    print(json.dumps(repr(e)))
"""


@dataclass(frozen=True)
class Chained(Cert):
    """A device whose file has more certificates."""

    more: tuple[Cert, ...] = ()

    @property
    def pem(self) -> bytes:
        return super().pem + b"".join(each.pem for each in self.more)


@pytest.mark.parametrize(("kind", "links"), [("ec", 1), ("rsa", 1), ("ec", 2)])
def test_the_chain_is_sent(tmp_path: Path, kind: str, links: int) -> None:
    world = World(tmp_path)
    between = world.devices
    chain: list[Cert] = []
    for n in range(links):
        between = pki.make(pki.name(f"Line CA {n}"), between, ca=True)
        chain.insert(0, between)
    leaf = pki.client("t-1", between, kind)
    world.device = Chained(leaf.certificate, leaf.key, tuple(chain))
    with world.server(ATS, world.ats) as ats, world.server(LEGACY, world.legacy) as legacy:
        assert world.board(ats, legacy, chain=True).run(SCRIPT).json == "hello"
        # Without it the server cannot know who signed.
        assert world.board(ats, legacy).run(SCRIPT).json != "hello"
