"""The product of the matrix, in two versions: with Wi-Fi its endpoints are the stand-in cloud's, which a board reaches at 10.0.2.2."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from provisioning.standin import StandIn
from tests.silicon.images import Image
from tests.silicon.rig import run
from tests.support.command import twinroot_command
from tests.support.product_files import write_identity

DEVICE = "ws-0001"
NETWORK = "PICSimLabWifi"  # an open one that QEMU's emulated Wi-Fi offers
_HOST = "10.0.2.2"  # this computer's loopback, as a board in QEMU's user network sees it
_PREFIX = "a1b2c3d4e5f6g7"
_SECOND_ROOT = "AmazonRootCA4"
RETURN_AFTER = 30  # s on another route until the preferred one is tried again, in `legacy_first`


class Products:
    """`one` and `two` differ in a root; `flash` names the image as the board's firmware. `legacy_first` prefers the
    legacy endpoint, under a root that is distrusted. `files` are `one`'s, as a peer copies them."""

    def __init__(self, image: Image, wifi: bool, place: Path, undo: ExitStack) -> None:
        self.cloud = undo.enter_context(StandIn()) if wifi else None
        place.mkdir(parents=True)
        write_identity(place, DEVICE)
        if self.cloud is not None:
            for source, kind in zip(self.cloud.issue(DEVICE), ("crt", "key"), strict=True):
                shutil.copyfile(source, place / "devices" / f"{DEVICE}.{kind}.pem")
        self.one = self._write(place / "one.yaml", image.board, [])
        self.two = self._write(place / "two.yaml", image.board, [_SECOND_ROOT])
        self.legacy_first = self._write(place / "legacy-first.yaml", image.board, [], legacy_first=True)
        board = place / "board.yaml"
        named = {"file": str(image.file.absolute()), "sha256": image.sha256, "version": image.version, "offset": image.offset}
        board.write_text(json.dumps({"extends": image.board, "description": image.title, "firmware": named}), "utf-8")
        self.boot = place / "boot.py"
        self.boot.write_text("from twinroot import wifi\nwifi.join()\n", "utf-8")
        self.flash = self._write(place / "flash.yaml", str(board), [])
        code, _, said = run(twinroot_command("render", self.one, "--device", DEVICE, "--out", place / "files"))[1:]
        if code:
            raise RuntimeError(f"render: {said}")
        self.files = [str(path) for path in sorted((place / "files").iterdir())]
        self.count = sum(path.is_file() for path in (place / "files").rglob("*"))

    def _write(self, path: Path, board: str, more_roots: list[str], legacy_first: bool = False) -> Path:
        keys = self._keys()
        keys["routes"][0]["roots"] += more_roots
        cloud = {"region": keys["region"], "endpoint": keys["routes"][0]["endpoint"], "routes": keys["routes"]}
        if legacy_first:
            cloud |= {"routes": keys["routes"][::-1], "return_after": RETURN_AFTER}
            for name in keys["routes"][1]["roots"]:
                if name in keys["more"].get("roots", {}):
                    keys["more"]["roots"][name]["status"] = "distrusted"
        made: dict[str, Any] = {
            "product": "weather-station",
            "board": board,
            "cloud": cloud,
            "identity": {"certificate": "devices/{device}.crt.pem", "key": "devices/{device}.key.pem"},
            **keys["more"],
        }
        path.write_text(json.dumps(made, indent=1), "utf-8")  # JSON is YAML
        return path

    def _keys(self) -> dict[str, Any]:
        if self.cloud is None:
            host = "iot.us-east-1.amazonaws.com"
            routes = [
                {"name": "ats", "endpoint": f"{_PREFIX}-ats.{host}", "roots": ["AmazonRootCA1", "AmazonRootCA3"]},
                {"name": "legacy", "endpoint": f"{_PREFIX}.{host}", "roots": ["VeriSign-Class3-Public-Primary-G5"]},
            ]
            return {"region": "us-east-1", "routes": routes, "more": {}}
        cloud = self.cloud
        more = {
            "roots": {name: {"file": str(path), "sha256": cloud.pins[name]} for name, path in cloud.roots.items()},
            "wifi": {"ssid": NETWORK},
            "lab": {"resolve": {name: target.replace("127.0.0.1", _HOST) for name, target in cloud.resolve.items()}},
        }
        routes = [{"name": route["name"], "endpoint": route["endpoint"], "roots": [route["root"]]} for route in cloud.routes]
        return {"region": cloud.info["region"], "routes": routes, "more": more}
