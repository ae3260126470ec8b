"""Build hook: a wheel carries the data folders of the top level inside the package; an editable install reads them where they are."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("certs", "boards", "firmware", "examples")


class DataFolders(BuildHookInterface):  # type: ignore[misc]  # hatchling is only there while building
    """Adds FOLDERS under provisioning/_data to a standard wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"].update({name: f"provisioning/_data/{name}" for name in FOLDERS})
