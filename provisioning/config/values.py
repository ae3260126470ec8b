"""Text that came from outside the YAML file: `!secret NAME` and `!env NAME`, and how either is shown."""

from __future__ import annotations

from typing import Any


class Secret:
    """A text that is used and never shown: every way to print it gives `label`; `reveal()` gives the text."""

    __slots__ = ("_text", "label")

    def __init__(self, text: str, label: str) -> None:
        self._text = text
        self.label = label

    def reveal(self) -> str:
        """The text itself, for the bytes that go to the device and for nothing else."""
        return self._text

    def __repr__(self) -> str:
        return self.label

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> Any:
        # A worker process gets the product by pickle: the text travels, still wrapped.
        return Secret, (self._text, self.label)


class EnvText(str):
    """A text from the environment; where a field wants a number, its digits are one."""

    __slots__ = ("variable",)
    variable: str

    def __new__(cls, text: str, variable: str) -> EnvText:
        made = super().__new__(cls, text)
        made.variable = variable
        return made

    def __reduce__(self) -> Any:
        return EnvText, (str(self), self.variable)


def secret_of(value: Any) -> Secret | None:
    """A text written as !secret, as !env or plainly, as one that is never shown; None for what is not text."""
    if isinstance(value, Secret):
        return value
    if isinstance(value, EnvText):
        return Secret(str(value), f"!env {value.variable}")
    return Secret(value, "(not shown)") if isinstance(value, str) else None
