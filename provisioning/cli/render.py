"""`twinroot render`: the exact files that a device would get, in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from provisioning.cli import _options as option
from provisioning.cli._options import PATH
from provisioning.cli._output import emit


@click.command()
@option.product
@option.one_device("The device's id.")
@option.devices("A CSV of devices; each gets a folder of its name.")
@click.option("--out", type=PATH, required=True, help="The folder to write.")
def command(product: Path, device: str | None, devices: Path | None, out: Path) -> None:
    """Write the exact files that a board would get into a folder."""
    from provisioning.bundle.bundle import build
    from provisioning.bundle.render import render
    from provisioning.bundle.space import check_space
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose

    loaded = load_product(product)
    chosen = choose(loaded, device, devices)
    # All of them are built before the first is written: a mistake in the last row leaves no half of a list behind.
    bundles = [build(loaded, each) for each in chosen]
    for bundle in bundles:
        check_space(loaded, bundle)
    rows: list[dict[str, Any]] = []
    for bundle in bundles:
        folder = out if device is not None else out / bundle.device
        files = render(bundle, folder)
        rows.append(
            {"device": bundle.device, "folder": str(folder), "bytes": bundle.total_bytes, "set_sha256": bundle.set_sha256, "files": files}
        )
    emit(
        {"outcome": "pass", "product": loaded.name, "rendered": rows},
        lambda: "\n".join(f"{row['device']}: {len(row['files'])} files, {row['bytes']} bytes in {row['folder']}" for row in rows),
    )
