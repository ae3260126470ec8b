"""Two routes, two roots, a device certificate: what most tests of the connection package start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.device import sets
from tests.device.jail import Board
from tests.device.server import Behaviour, Server, context, echo
from tests.support import pki

ATS, LEGACY = "abc-ats.iot.us-east-1.amazonaws.com", "abc.iot.us-east-1.amazonaws.com"


class World:
    """Roots `ats` and `legacy` of key type `kind`; files go under `folder`."""

    def __init__(self, folder: Path, kind: str = "ec") -> None:
        self.folder = folder
        self.ats, self.legacy = pki.root("Test ATS Root", kind), pki.root("Test Legacy Root", kind)
        self.devices = pki.root("Device CA")
        self.device = pki.client("t-1", self.devices)
        self.kind = kind

    def context(self, host: str, signer: pki.Cert) -> Any:
        """A server's TLS context for `host`, with client certificates required."""
        return context(self.folder / host, [pki.server(host, signer, kind=self.kind)], self.devices)

    def server(self, host: str, signer: pki.Cert, behaviour: Behaviour | None = None) -> Server:
        return Server(behaviour or echo(self.context(host, signer)))

    def build(self, number: int, ats: str, legacy: str, **more: Any) -> dict[str, bytes]:
        """Files of a set whose routes lead to the addresses "ip:port"."""
        routes = [sets.route("ats", ATS, ["Ats"]), sets.route("legacy", LEGACY, ["Legacy"])]
        roots = {"Ats": self.ats, "Legacy": self.legacy}
        lab = {"resolve": {f"{ATS}:8883": ats, f"{LEGACY}:8883": legacy}}
        return sets.build(number, routes, roots, self.device, **{"lab": lab, **more})

    def board(self, ats: Server, legacy: Server, **more: Any) -> Board:
        one = self.build(1, ats.address, legacy.address, **more)
        return Board(self.folder / "board", sets.board(1, one))
