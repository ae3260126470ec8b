"""Checked blocks of keys as plain objects: what the rest of the program works with, without the library that checked them."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


class Values(SimpleNamespace):
    """The keys of one block as attributes, in the order of their model. Never changes; compares by content."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """A copy with other values, as the models of the files have it."""
        return type(self)(**{**self.__dict__, **(update or {})})

    def as_dict(self) -> dict[str, Any]:
        """The block and those in it as dictionaries."""
        return {name: value.as_dict() if isinstance(value, Values) else value for name, value in self.__dict__.items()}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed; model_copy makes another one")
