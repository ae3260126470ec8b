"""Modules of the connection package without clock and socket, run here as they run on a device: its rules and tables, not a copy."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

from provisioning.errors import StationError
from provisioning.resources import folder


@cache
def device_module(name: str) -> Any:
    """firmware/twinroot/NAME.py as a module: policy, fallback, errors. Raises StationError where it is missing."""
    file = folder("firmware") / "twinroot" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"twinroot_device_{name}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise StationError("incomplete-installation", f"{file} is missing.", "Install twinroot again.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
