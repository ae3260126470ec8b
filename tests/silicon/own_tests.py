"""The ten tests of `twinroot init --tests` on the emulated chip: what a user's tests are, on the user's firmware."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from provisioning.migration import yaml_edit
from tests.silicon.product import Products
from tests.silicon.rig import LIMIT, Rig, RowFailedError, Took
from tests.support.command import twinroot


def own_tests(rig: Rig, _products: Products) -> Took:
    """They start chips of their own; this one's power is off meanwhile."""
    rig.off()
    with tempfile.TemporaryDirectory(prefix="twinroot-silicon-") as place:
        folder = Path(place) / "p"
        made = twinroot("init", "--tests", folder, cwd=Path(place))
        if made.returncode:
            raise RowFailedError(f"init: {made.stdout} {made.stderr}")
        yaml_edit.change_file(folder / "product.yaml", {("board",): rig.image.board})
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--engine", "qemu"]
        command += ["--qemu", str(rig.qemu.absolute()), "--firmware", str(rig.image.file.absolute()), "tests"]
        began = time.monotonic()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT, check=False)
        seconds = time.monotonic() - began
    found = re.findall(r"(\d+) passed", done.stdout)
    if done.returncode or found != ["10"]:
        raise RowFailedError(f"exit code {done.returncode}: {' '.join(done.stdout.split())[-300:]}")
    return Took(seconds, "10 of 10")
