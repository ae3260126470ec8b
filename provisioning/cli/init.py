"""`twinroot init`: a product to start from."""

from __future__ import annotations

from pathlib import Path

import click

from provisioning.cli._options import PATH
from provisioning.cli._output import emit


@click.command()
@click.argument("folder", metavar="DIR", type=PATH)
@click.option(
    "--tests",
    is_flag=True,
    help="Also an application with ten tests on a virtual board, and what runs them in GitHub Actions and GitLab CI.",
)
def command(folder: Path, tests: bool) -> None:
    """Make a product in the new folder DIR: a file to change, a list of devices, a CA for the bench, a certificate and a key for each."""
    from provisioning.cli._invoked import name
    from provisioning.starter import make

    made = make(folder, tests=tests)
    one = made.devices[0]
    emit(
        {"outcome": "pass", "product": str(made.product), "devices": list(made.devices)},
        f"{made.product}: a product for {', '.join(made.devices)}. Next:\n"
        f"  {name()} check {made.product} --device {one}\n"
        f"  {name()} update {made.product} --device {one} --port auto",
    )
