"""Products for tests: the one beside them, or an example for the board under test, with a CA of the run and identities made here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provisioning.config.device import Device
    from provisioning.config.product import Product
    from provisioning.standin import StandIn

FILE = "product.yaml"
DEVICE = "hil-0001"
PREFIX = "a1b2c3d4e5f6g7"
# The board joins the network by itself where its own boot.py does; else with these.
WIFI_VARIABLES = ("TWINROOT_WIFI_SSID", "TWINROOT_WIFI_PASSWORD")


def beside(tests: Path, root: Path) -> Path | None:
    """product.yaml in the folder of the tests or above it, not above `root`."""
    for folder in (tests, *tests.parents):
        if (folder / FILE).is_file():
            return folder / FILE
        if folder == root:
            break
    return None


class ProductMaker:
    """`make()` is a product for the board, `make(prefix=…)` the same with another endpoint, `make(**keys)` with other keys of product.yaml;
    `make.device` the device whose identity is there, `make.identity(id)` another one."""

    def __init__(self, board: str, folder: Path) -> None:
        from provisioning.config.device import single_device

        self.board = board
        self.folder = folder
        self.device: Device = single_device(DEVICE)
        self._ca = False

    def __call__(self, prefix: str = PREFIX, **keys: Any) -> Product:
        from provisioning.config.load import load_product

        text = {
            "product": "hil",
            "board": self.board,
            "cloud": {"region": "us-east-1", "endpoint": f"{prefix}-ats.iot.us-east-1.amazonaws.com"},
            "identity": {
                "certificate": "devices/{device}.crt.pem",
                "key": "devices/{device}.key.pem",
                "issue": {"ca": "factory/ca.crt.pem", "ca_key": "factory/ca.key.pem"},
            },
            **keys,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / FILE
        body = json.dumps(text, indent=1)  # JSON is YAML
        if os.environ.get(WIFI_VARIABLES[0]) and "lab" in keys and "wifi" not in keys:
            ssid, password = WIFI_VARIABLES
            body = body.removesuffix("}").rstrip() + f',\n "wifi": {{"ssid": !env {ssid}, "password": !env {password}}}\n}}'
        path.write_text(body + "\n", encoding="utf-8")
        self._make_ca()
        made = load_product(path)
        self.identity(self.device.id, made)
        return made

    def identity(self, device: str, product: Product | None = None) -> Device:
        """The device `device`, with a certificate and a key of the run's CA."""
        from provisioning.config.device import single_device
        from provisioning.identity.factory import ensure_identity

        row = single_device(device)
        ensure_identity(product or self(), row)
        return row

    def _make_ca(self) -> None:
        from provisioning.identity.factory import make_ca

        if not self._ca and not (self.folder / "factory").exists():
            make_ca("HIL CA", self.folder / "factory")
        self._ca = True


def cloud_keys(cloud: StandIn, resolve: dict[str, str]) -> dict[str, Any]:
    """The keys of a product whose routes are those of the stand-in cloud, reached through `resolve` (lab.resolve)."""
    routes = [{"name": route["name"], "endpoint": route["endpoint"], "roots": [route["root"]]} for route in cloud.routes]
    return {
        "cloud": {"region": cloud.info["region"], "endpoint": cloud.routes[0]["endpoint"], "routes": routes},
        "roots": {name: {"file": str(path), "sha256": cloud.pins[name]} for name, path in cloud.roots.items()},
        "lab": {"resolve": resolve},
        "identity": {"certificate": "devices/{device}.crt.pem", "key": "devices/{device}.key.pem"},
    }
