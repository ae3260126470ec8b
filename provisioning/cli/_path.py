"""The type of every argument that is a path."""

from __future__ import annotations

from pathlib import Path

import click

# Whether a file can be read is found out by who reads it, who can also say what to do: click's own check knows neither.
PATH = click.Path(path_type=Path, readable=False)
