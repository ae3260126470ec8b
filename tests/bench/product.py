"""What is measured on: the example product, the same with one other root, its files as a peer copies them, and one with a cloud."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path

from provisioning.bundle.pack import unpack
from provisioning.resources import folder
from provisioning.standin import StandIn
from tests.bench.board import process
from tests.support.command import twinroot_command

DEVICE = "ws-0001"
_ENDPOINT = "  endpoint: a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com\n"
# The routes that the example gets by itself, with another second root: one file of the set changes, and what names it.
_OTHER_ROOT = (
    _ENDPOINT
    + """  routes:
    - {name: ats, endpoint: a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com, roots: [AmazonRootCA1, AmazonRootCA4]}
    - {name: legacy, endpoint: a1b2c3d4e5f6g7.iot.us-east-1.amazonaws.com, roots: [VeriSign-Class3-Public-Primary-G5]}
"""
)


def _unpacked(files: Path, copy: Path) -> Path:
    """The same files with the package's modules as files, as a product that does not pack them has them."""
    shutil.copytree(files, copy)
    home = copy / "lib" / "twinroot"
    (packed,) = (path for path in home.iterdir() if path.suffix != ".py")
    modules = unpack(packed.read_bytes())
    packed.unlink()
    packed.mkdir()
    for name, content in modules.items():
        (packed / name).write_bytes(content)
    return copy


def _entries(folder_: Path) -> list[str]:
    return [str(path) for path in sorted(folder_.iterdir())]


def count(entries: list[str]) -> int:
    """How many files these are, those in folders included."""
    return sum(path.is_file() for entry in entries for path in (Path(entry), *Path(entry).rglob("*")))


class Products:
    """examples/weather-station in `place`, with an identity made as its README says; the cloud is started when it is asked for."""

    def __init__(self, place: Path, undo: ExitStack) -> None:
        self._place = place
        self._undo = undo
        self._connected: Path | None = None
        self.product = Path(shutil.copytree(folder("examples") / "weather-station", place / "station")) / "product.yaml"
        process(*twinroot_command("identity", "ca", "--out", self.product.parent / "factory"))
        process(*twinroot_command("identity", "make", self.product, "--device", DEVICE))
        text = self.product.read_text("utf-8")
        if text.count(_ENDPOINT) != 1:
            raise RuntimeError(f"{self.product} has no endpoint to write routes beside")
        self.other_root = self.product.with_name("other-root.yaml")
        self.other_root.write_text(text.replace(_ENDPOINT, _OTHER_ROOT), "utf-8")
        process(*twinroot_command("render", self.product, "--device", DEVICE, "--out", place / "files"))
        self.files = _entries(place / "files")
        self.modules = _entries(_unpacked(place / "files", place / "modules"))

    @property
    def connected(self) -> Path:
        """A product whose endpoints are the stand-in cloud's, with the identity that this cloud knows."""
        if self._connected is None:
            cloud = self._undo.enter_context(StandIn())
            home = self._place / "connected"
            (home / "devices").mkdir(parents=True)
            for source, kind in zip(cloud.issue(DEVICE), ("crt", "key"), strict=True):
                shutil.copyfile(source, home / "devices" / f"{DEVICE}.{kind}.pem")
            routes = [{"name": route["name"], "endpoint": route["endpoint"], "roots": [route["root"]]} for route in cloud.routes]
            keys = {
                "product": "weather-station",
                "board": "virtual-esp32",
                "cloud": {"region": cloud.info["region"], "endpoint": cloud.routes[0]["endpoint"], "routes": routes},
                "roots": {name: {"file": str(path), "sha256": cloud.pins[name]} for name, path in cloud.roots.items()},
                "identity": {"certificate": "devices/{device}.crt.pem", "key": "devices/{device}.key.pem"},
                "lab": {"resolve": cloud.resolve},
            }
            self._connected = home / "product.yaml"
            self._connected.write_text(json.dumps(keys, indent=1), "utf-8")  # JSON is YAML
        return self._connected
