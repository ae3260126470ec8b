"""Makes device code small before it is sent: comments, docstrings and spaces go, names that only the code itself uses become short.

Deterministic: the same source gives the same text. Understands the subset of Python that firmware/link is written in: no keyword
arguments of own functions, no string that names a variable, no lambda, imports and class names keep their names.
"""

from __future__ import annotations

import ast
import io
import itertools
import keyword
import string
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

Names = dict[str, str]


def _letters(first: str, taken: set[str]) -> Iterator[str]:
    """Short names that begin with one of `first`, shortest first, without those in `taken`."""
    for tail in itertools.chain([""], string.ascii_lowercase):
        for head in first:
            name = head + tail
            if name not in taken and not keyword.iskeyword(name):
                yield name


@dataclass(frozen=True)
class _Scope:
    """An outermost function: its lines, and the short names of what it binds. Functions inside it share its names."""

    first: int
    last: int
    names: Names


def _bound(tree: ast.AST) -> set[str]:
    """Names that `tree` binds, without those that it declares global."""
    found: set[str] = set()
    outer: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif (isinstance(node, ast.ExceptHandler) and node.name) or (isinstance(node, ast.FunctionDef) and node is not tree):
            found.add(str(node.name))
        elif isinstance(node, ast.Global):
            outer.update(node.names)
    return found - outer


def _used(tree: ast.AST) -> Counter[str]:
    used: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used[node.id] += 1
        elif isinstance(node, ast.arg):
            used[node.arg] += 1
        elif isinstance(node, ast.FunctionDef):
            used[node.name] += 1
    return used


def _short(names: set[str], used: Counter[str], letters: str, taken: set[str]) -> Names:
    wanted = sorted(names, key=lambda name: (-used[name], name))
    return dict(zip(wanted, _letters(letters, taken), strict=False))


def _functions(tree: ast.Module) -> list[ast.FunctionDef]:
    """Outermost functions, methods among them."""
    found = []
    for node in tree.body:
        parts = node.body if isinstance(node, ast.ClassDef) else [node]
        found += [part for part in parts if isinstance(part, ast.FunctionDef)]
    return found


def _globals(tree: ast.Module, keep: frozenset[str]) -> Names:
    outside: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            outside.add(statement.name)
        elif not isinstance(statement, ast.ClassDef):
            outside |= _bound(statement)
    used: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used[node.id] += 1
        elif isinstance(node, ast.FunctionDef):
            used[node.name] += 1
        elif isinstance(node, ast.Global):
            outside.update(node.names)
    return _short(outside - keep, used, string.ascii_uppercase, set(keep))


class Minifier:
    """Short names for several sources that share one name space; `small` for each of them."""

    def __init__(self, sources: dict[str, str], keep: frozenset[str]) -> None:
        self._sources = sources
        self._globals = _globals(ast.parse("\n".join(sources.values())), keep)

    def small(self, name: str, *, folded: bool = False) -> str:
        """The source `name` without what the interpreter does not need.

        `folded`: suites on the line of their header, which is shorter, and longer once it is deflated.
        """
        source = self._sources[name]
        scopes = []
        for function in _functions(ast.parse(source)):
            names = _short(_bound(function), _used(function), string.ascii_lowercase, set())
            scopes.append(_Scope(function.lineno, function.end_lineno or 0, names))
        lines = _lines(source, self._globals, scopes)
        return "".join(" " * depth + text + "\n" for depth, text in (_folded(lines) if folded else lines))


def without_comments(source: str) -> str:
    """The source without comments, docstrings, empty lines and spaces that the interpreter does not need; every name as it is."""
    return "".join(" " * depth + text + "\n" for depth, text in _lines(source, {}, []))


def _lines(source: str, outer: Names, scopes: list[_Scope]) -> list[tuple[int, str]]:
    """Depth and text of each line."""
    out: list[tuple[int, str]] = []
    line: list[str] = []
    depth = 0
    previous = ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER):
            continue
        if token.type == tokenize.INDENT:
            depth += 1
        elif token.type == tokenize.DEDENT:
            depth -= 1
        elif token.type == tokenize.NEWLINE:
            text = "".join(line)
            if not text.startswith(('"""', "'''")):
                out.append((depth, text))
            line, previous = [], ""
        else:
            text = token.string
            if token.type == tokenize.NAME and previous != ".":
                text = _renamed(text, token.start[0], line, outer, scopes)
            glue = " " if previous and _word(previous[-1]) and _word(text[0]) else ""
            line.append(glue + text)
            previous = text
    return out


def _folded(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Suites without a suite inside stand on the line of their header."""
    out: list[tuple[int, str]] = []
    at = 0
    while at < len(lines):
        depth, text = lines[at]
        end = at + 1
        while end < len(lines) and lines[end][0] > depth:
            end += 1
        if end > at + 1 and all(row == depth + 1 and not inner.endswith(":") for row, inner in lines[at + 1 : end]):
            out.append((depth, text + ";".join(inner for _, inner in lines[at + 1 : end])))
            at = end
        else:
            out.append((depth, text))
            at += 1
    return out


def _renamed(text: str, row: int, line: list[str], outer: Names, scopes: list[_Scope]) -> str:
    scope = next((scope for scope in scopes if scope.first <= row <= scope.last), None)
    if scope and text in scope.names and not (row == scope.first and line == ["def"]):
        return scope.names[text]
    return outer.get(text, text)


def _word(char: str) -> bool:
    return char.isalnum() or char == "_"
