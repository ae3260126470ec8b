"""A YAML file as plain Python values, with the place of every key and value, so that any later error can name file and line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioning.config.values import EnvText, Secret
from provisioning.errors import InputError
from provisioning.untrusted_text import one_line

Loc = tuple["str | int", ...]

# Keys whose value an error never repeats, however wrong it is.
HIDDEN_KEYS = frozenset({"password", "ssid", "psk", "pin", "env"})
# Blocks that hold such keys: a text in their place may be one of them.
HIDDEN_BLOCKS = frozenset({"wifi", "pkcs11"})
_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass
class Document:
    """`data`: the tree of dict, list, str, int, float, bool, None, EnvText, Secret. `keys` and `values`: marks by path."""

    path: Path
    data: Any
    keys: dict[Loc, Mark] = field(default_factory=dict)
    values: dict[Loc, Mark] = field(default_factory=dict)

    def mark(self, loc: Sequence[str | int]) -> Mark:
        """The place of the key at `loc`, or of the nearest parent that is in the file."""
        at = tuple(loc)
        while at:
            found = self.keys.get(at) or self.values.get(at)
            if found:
                return found
            at = at[:-1]
        return self.values.get((), Mark(shown(self.path), 1, 1))

    def at(self, loc: Sequence[str | int]) -> Any:
        """The value at `loc`; None where the path ends early."""
        value = self.data
        for step in loc:
            inside = step in value if isinstance(value, dict) else isinstance(value, list) and isinstance(step, int) and step < len(value)
            if not inside:
                return None
            value = value[step]
        return value

    def found(self, loc: Sequence[str | int]) -> str:
        """The value at `loc` as an error shows it: secrets by their name, long texts cut."""
        value = self.at(loc)
        hidden = any(isinstance(step, str) and step in HIDDEN_KEYS for step in loc) or (bool(loc) and loc[-1] in HIDDEN_BLOCKS)
        if hidden and not isinstance(value, (Secret, EnvText)):
            return f"{kind(value)} (not shown)"
        return display(value)

    def error(self, loc: Sequence[str | int], code: str, problem: str, hint: str = "", kind: type[InputError] = InputError) -> InputError:
        """An error whose message is `FILE:LINE: key 'x.y': problem`."""
        where = f"{self.mark(loc)}: key '{dotted(loc)}'" if loc else str(self.mark(loc))
        return wrong(code, f"{where}: {problem}", hint, kind)

    def placed(self, error: InputError, loc: Sequence[str | int], hint: str = "") -> InputError:
        """`error` once more, of the same kind, with file, line and key in front."""
        return self.error(loc, error.code, error.message, hint or error.hint, type(error))


def wrong(code: str, sentence: str, hint: str = "", kind: type[InputError] = InputError) -> InputError:
    """An error whose message ends as a sentence does."""
    ended = sentence if sentence.endswith((".", "?", "…")) else f"{sentence}."
    return kind(code, ended, hint or "Correct it there; docs/yaml.md describes every key.")


def wrong_file(file: Path, code: str, problem: str, hint: str = "", kind: type[InputError] = InputError) -> InputError:
    """An error about `file`: `FILE: problem`."""
    error = wrong(code, f"{shown(file)}: {problem}", hint, kind)
    error.file = file
    return error


def shown(path: Path) -> str:
    """`path` as people typed it: relative to the working directory when it is below it."""
    try:
        return path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except (ValueError, OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
        return str(path)


def dotted(loc: Sequence[str | int]) -> str:
    """`cloud.routes[0].name` for ("cloud", "routes", 0, "name")."""
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else clip(step)
    return text


def clip(text: str) -> str:
    """`text` on one printable line of bounded length."""
    line = one_line(text)
    return line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…"


def kind(value: Any) -> str:
    """What a value is, in the words of the YAML file."""
    for types, word in _KINDS:
        if isinstance(value, types):
            return word
    return type(value).__name__


_KINDS: tuple[tuple[Any, str], ...] = (
    (type(None), "nothing"),
    (bool, "true or false"),
    ((int, float), "a number"),
    (Secret, "a secret"),
    (str, "text"),
    (list, "a list"),
    (dict, "a block of keys"),
)


def display(value: Any) -> str:
    """A value in an error message."""
    if isinstance(value, Secret):
        return value.label
    if isinstance(value, EnvText):
        return f"!env {value.variable}"
    if isinstance(value, str):
        return repr(clip(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return clip(str(value)) if abs(value) < 10**18 else "a number of many digits"
    return kind(value)
