"""The models of all kinds of files; importing them takes a tenth of a second, so that only what checks or describes a file does."""

from __future__ import annotations

from pydantic import BaseModel

from provisioning.config.board_file import BoardFile
from provisioning.config.plan_file import PlanFile
from provisioning.config.product_file import ProductFile
from provisioning.config.station_file import StationFile

MODELS: dict[str, type[BaseModel]] = {"board": BoardFile, "product": ProductFile, "station": StationFile, "plan": PlanFile}
