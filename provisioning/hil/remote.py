"""A Python function of a test as a program for a board: its source, what it uses of its file, and its arguments."""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from provisioning.hil.raised import Segment
from provisioning.parsed import literal

RESULT = "_tw"  # the name on the board that holds the result


Instrument = Callable[[str, str, int], tuple[str, str]]


class Program(NamedTuple):
    """`source` for the board, and which lines of it come from which file."""

    source: str
    segments: tuple[Segment, ...]


def is_literal(value: object) -> bool:
    """Whether `repr(value)` is an expression with this value on a board."""
    if isinstance(value, (list, tuple, set)):
        return type(value) in (list, tuple, set) and all(map(is_literal, value))
    if isinstance(value, dict):
        return type(value) is dict and all(is_literal(key) and is_literal(item) for key, item in value.items())
    if isinstance(value, float):
        return type(value) is float and value - value == 0.0  # neither infinite nor NaN
    return value is None or type(value) in (bool, int, str, bytes)


def written(value: object, what: str) -> str:
    """`value` as an expression. Raises TypeError, naming `what`, for one that a board cannot have."""
    if not is_literal(value):
        raise TypeError(
            f"{what} is a {type(value).__name__}; a board takes None, bool, int, float, str, bytes, and lists, tuples, sets, dicts of them."
        )
    return "set()" if value == set() and isinstance(value, set) else repr(value)


def value_of(text: str) -> Any:
    """The value that a board's `repr` wrote. Raises TypeError for what is not a literal."""
    body = text
    array = text.startswith("bytearray(") and text.endswith(")")
    if array:
        body = text[len("bytearray(") : -1]
    if text in ("inf", "-inf", "nan"):
        return float(text)
    if text == "set()":
        return set()
    try:
        found = literal(body.encode())
    except ValueError:
        raise TypeError(f"The board's value is not one that can be sent: {text[:200]}") from None
    return bytearray(found) if array else found


def _globals_of(code: types.CodeType) -> Iterator[str]:
    """The global names that `code` and the functions inside it read."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals_of(constant)


def _definition(thing: Any) -> tuple[str, str, int]:
    """(source without decorators, file, number of its first line) of a function or class that has a name. Raises TypeError."""
    name = getattr(thing, "__name__", repr(thing))
    try:
        lines, first = inspect.getsourcelines(thing)
        file = inspect.getsourcefile(thing) or "?"
    except (OSError, TypeError) as error:
        raise TypeError(f"{name} has no source that could be sent to a board ({error}).") from None
    text = textwrap.dedent("".join(lines))
    try:
        [node] = ast.parse(text).body
    except (SyntaxError, ValueError):
        node = None
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        raise TypeError(f"{name} is not a function with a name: write it with `def`.")
    body = text.splitlines()[node.lineno - 1 : node.end_lineno]
    return "\n".join(body) + "\n", file, max(first, 1) + node.lineno - 1


class _Builder:
    """Collects what a function needs, each once, in the order in which it is defined."""

    def __init__(self, instrument: Instrument) -> None:
        self._parts: list[str] = []
        self._segments: list[Segment] = []
        self._line = 1
        self._names: set[str] = set()
        self._instrument = instrument

    def line(self, text: str) -> None:
        self._parts.append(f"{text}\n")
        self._line += 1

    def define(self, thing: Any) -> None:
        """`thing`, a function or a class of a file, after what it uses."""
        if thing.__name__ in self._names:
            return
        self._names.add(thing.__name__)
        for part in (
            [thing] if isinstance(thing, types.FunctionType) else [f for f in vars(thing).values() if isinstance(f, types.FunctionType)]
        ):
            if part.__closure__ and part.__code__.co_freevars != ("__class__",):
                free = ", ".join(part.__code__.co_freevars)
                raise TypeError(f"{part.__name__} uses {free} of the function around it: pass that as an argument.")
            for name in _globals_of(part.__code__):
                if name in part.__globals__ and name not in self._names:
                    self._use(name, part.__globals__[name], part)
        source, file, first = _definition(thing)
        before, source = self._instrument(source, file, first)
        self._parts.append(before)
        self._line += before.count("\n")
        self._segments.append(Segment(self._line, source.count("\n"), file, first))
        self._parts.append(source)
        self._line += source.count("\n")

    def _use(self, name: str, value: Any, user: types.FunctionType) -> None:
        if isinstance(value, types.ModuleType):
            self._names.add(name)
            self.line(f"import {value.__name__} as {name}")
        elif isinstance(value, (types.FunctionType, type)) and value.__module__ == user.__module__:
            if value.__name__ == name:
                self.define(value)
        elif is_literal(value):
            self._names.add(name)
            self.line(f"{name}={written(value, name)}")
        elif getattr(builtins, name, None) is not value:
            raise TypeError(
                f"{user.__name__} uses {name}, a {type(value).__name__} that a board cannot have: pass a value as an argument, "
                "or import a module of the board inside of it."
            )

    def built(self, last: str) -> Program:
        return Program("".join(self._parts) + last, tuple(self._segments))


def as_is(source: str, _file: str, _first: int) -> tuple[str, str]:
    return "", source


def program(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: Mapping[str, Any],
    instrument: Instrument = as_is,
) -> Program:
    """The program that calls `function` on the board and leaves its result under RESULT.

    `instrument` (source, file, number of its first line) gives lines to put before what comes from a file, and that, with as many lines.
    Raises TypeError for a function or an argument that cannot be sent.
    """
    if not isinstance(function, types.FunctionType):
        raise TypeError(f"{function!r} is not a Python function of the test.")
    builder = _Builder(instrument)
    builder.define(function)
    name = function.__name__
    given = [written(value, f"argument {number} of {name}") for number, value in enumerate(arguments, 1)]
    given += [f"{key}={written(value, f'argument {key} of {name}')}" for key, value in keywords.items()]
    call = f"{name}({','.join(given)})"
    if inspect.iscoroutinefunction(function):
        builder.line("import asyncio")
        call = f"asyncio.run({call})"
    return builder.built(f"{RESULT}={call}\n")
