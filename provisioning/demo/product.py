"""The demo's product: the example that users copy, with its routes led to the stand-in cloud and its board to the virtual one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from provisioning.demo.factory import BOARD_FILE, write_board
from provisioning.resources import folder
from provisioning.standin import StandIn

EXAMPLE = "weather-station"
DEVICE = "ws-0001"
_APP = Path(__file__).parent / "app" / "main.py"


def write_product(at: Path, cloud: StandIn) -> Path:
    """Write product.yaml and its files into the folder `at`, which holds the stand-in's state in `cloud/`; returns its path."""
    import yaml

    example = folder("examples") / EXAMPLE
    product: dict[str, Any] = yaml.safe_load((example / "product.yaml").read_text(encoding="utf-8"))
    routes = [{"name": route["name"], "endpoint": route["endpoint"], "roots": [route["root"]]} for route in cloud.routes]
    write_board(at)
    product["board"] = f"./{BOARD_FILE}"
    product["cloud"] = {"region": cloud.info["region"], "endpoint": cloud.routes[0]["endpoint"], "port": 8883, "routes": routes}
    product["cloud"]["return_after"] = 2  # seconds; by default a device looks once an hour, which is long for a demo
    product["roots"] = {name: {"file": path.relative_to(at).as_posix(), "sha256": cloud.pins[name]} for name, path in cloud.roots.items()}
    product["identity"] = {"certificate": "cloud/devices/{device}.crt.pem", "key": "cloud/devices/{device}.key.pem"}
    product["lab"] = {"resolve": cloud.resolve}
    cloud.issue(DEVICE)
    shutil.copyfile(example / "devices.csv", at / "devices.csv")
    path = at / "product.yaml"
    path.write_text(yaml.safe_dump(product, sort_keys=False, width=120), encoding="utf-8")
    return path


def add_application(path: Path) -> None:
    """Version 2 of the product at `path`: it has an application, as an update in the field would bring it."""
    import yaml

    shutil.copyfile(_APP, path.with_name("main.py"))
    product = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**product, "version": 2, "app": {"main": "main.py"}}, sort_keys=False, width=120), encoding="utf-8")
