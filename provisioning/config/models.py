"""The models of both kinds of file; importing them takes a tenth of a second, so that only what checks or describes a file does."""

from __future__ import annotations

from pydantic import BaseModel

from provisioning.config.board_file import BoardFile
from provisioning.config.product_file import ProductFile

MODELS: dict[str, type[BaseModel]] = {"board": BoardFile, "product": ProductFile}
