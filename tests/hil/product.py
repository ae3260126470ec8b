"""Products for the board under test, as files on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from provisioning.config.device import single_device
from provisioning.config.load import load_product
from provisioning.config.product import Product
from tests.hil.bench import DEVICE
from tests.support.product_files import write_identity

# The board joins the network by itself where its own boot.py does; else with these.
WIFI_VARIABLES = ("TWINROOT_WIFI_SSID", "TWINROOT_WIFI_PASSWORD")
PREFIX = "a1b2c3d4e5f6g7"
OTHER_PREFIX = "z9y8x7w6v5u4t3"


class Maker:
    """make(prefix=…, **more keys) writes product.yaml and returns the loaded product."""

    device = single_device(DEVICE)

    def __init__(self, board: str, folder: Path) -> None:
        self.board = board
        self.folder = folder
        write_identity(folder, DEVICE)

    def __call__(self, prefix: str = PREFIX, **keys: Any) -> Product:
        text = {
            "product": "hil",
            "board": self.board,
            "cloud": {"region": "us-east-1", "endpoint": f"{prefix}-ats.iot.us-east-1.amazonaws.com"},
            "identity": {"certificate": "devices/{device}.crt.pem", "key": "devices/{device}.key.pem"},
            **keys,
        }
        path = self.folder / "product.yaml"
        # JSON is YAML.
        path.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
        if os.environ.get(WIFI_VARIABLES[0]) and "lab" in keys:
            with path.open("r+", encoding="utf-8") as file:
                body = file.read().rstrip().removesuffix("}").rstrip()
                file.seek(0)
                ssid, password = WIFI_VARIABLES
                file.write(f'{body},\n "wifi": {{"ssid": !env {ssid}, "password": !env {password}}}\n}}\n')
        return load_product(path)
