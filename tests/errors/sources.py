"""Where the sources name an error code, found in their syntax trees: whatever is given to a parameter or a field `code: str`.

Error classes have that parameter, so do the helpers that make errors (`wrong`, `document.error`) and results (`report.passed`), and so do
the rows of tables (`BoardMessage`, `EsptoolError`, `Refusal`, `ChainFault`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import provisioning
from provisioning.errors import BoardError, InputError, Interrupted, StationError, TwinrootError

ROOT = Path(provisioning.__file__).parent
EXITS = {kind.__name__: kind.exit_code for kind in (TwinrootError, BoardError, InputError, StationError, Interrupted)}
# What has a `code` and is no error: how a command ends that has said so.
RESULTS = {"passed": 0, "claim": 1, "ChainFault": 1, "BoardMessage": 1}


@dataclass(frozen=True)
class Site:
    """`kind`: the error class that is made there. It and `exit_code` are empty and None where the place does not tell."""

    code: str
    exit_code: int | None
    where: str
    kind: str = ""


class Sources:
    """The package's files, read once. `sites`: every code that is written down; `unread`: places whose code is computed some other way;
    `compared`: places that ask an error for its code."""

    def __init__(self) -> None:
        self._trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(ROOT.rglob("*.py")) if _is_source(path)}
        self._defined = [node for tree in self._trees.values() for node in _definitions(tree)]
        self.exits = self._error_classes()
        self._places = self._callables()
        self.sites: list[Site] = []
        self.unread: list[str] = []
        self.compared: list[str] = []
        for path, tree in self._trees.items():
            _Reader(self, path.relative_to(ROOT).as_posix()).visit(tree)

    def places(self, name: str) -> set[int]:
        """Positions at which a callable of this name takes a code."""
        return self._places.get(name, set())

    def _error_classes(self) -> dict[str, int]:
        """Name of each error class -> its exit code."""
        found = dict(EXITS)
        bases = {node.name: [_name(base) for base in node.bases] for node in self._defined if isinstance(node, ast.ClassDef)}
        while new := {name: found[base] for name, of in bases.items() for base in of if base in found and name not in found}:
            found |= new
        return found

    def _callables(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {name: {0} for name in self.exits}
        for node in self._defined:
            if isinstance(node, ast.FunctionDef):
                taken = [one for one in node.args.args if one.arg not in ("self", "cls")]
                at = {index for index, one in enumerate(taken) if one.arg == "code" and one.annotation and _name(one.annotation) == "str"}
            else:
                fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
                at = {index for index, part in enumerate(fields) if _name(part.target) == "code" and _name(part.annotation) == "str"}
                if node.name in self.exits and not _takes_a_code(node):
                    found.pop(node.name)  # it has one code, which it gives to its base itself
            if at:
                found.setdefault(node.name, set()).update(at)
        return found


class _Reader(ast.NodeVisitor):
    def __init__(self, sources: Sources, path: str) -> None:
        self._sources = sources
        self._path = path
        self._around: list[ast.ClassDef | ast.FunctionDef] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._inside(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        defaults = node.args.defaults
        for one, value in zip(node.args.args[len(node.args.args) - len(defaults) :], defaults, strict=True):
            if one.arg == "code":
                self._take(value, None)
        self._inside(node)

    def _inside(self, node: ast.ClassDef | ast.FunctionDef) -> None:
        self._around.append(node)
        self.generic_visit(node)
        self._around.pop()

    def visit_Call(self, node: ast.Call) -> None:
        name = _name(node.func)
        if name == "__init__":  # an error class that has one code gives it to its base
            name = self._own_class()
            given = node.args[:1] if name in self._sources.exits and not self._sources.places(name) else []
        else:
            given = list(self._given(name, node))
        kind = self._kind_of(name, node)
        for value in given:
            self._take(value, self._sources.exits.get(kind, RESULTS.get(name)), kind, must=bool(kind) and name != "error")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        holds = isinstance(node.left, ast.Attribute) and node.left.attr == "code" and _name(node.left.value) != "report"
        words = [one for given in node.comparators for one in ast.walk(given) if isinstance(one, ast.Constant)]
        if holds and any(isinstance(one.value, str) for one in words):
            self._sources.compared.append(f"provisioning/{self._path}:{node.lineno}: {ast.unparse(node)}")
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "code" and not (isinstance(value, ast.Constant) and " " in str(value.value)):
                self._take(value, None)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if _name(node.target) == "code" and node.value is not None:  # a field's default
            self._take(node.value, None)
        self.generic_visit(node)

    def _own_class(self) -> str:
        return next((node.name for node in reversed(self._around) if isinstance(node, ast.ClassDef)), "")

    def _given(self, name: str, node: ast.Call) -> Iterator[ast.expr]:
        for keyword in node.keywords:
            if keyword.arg == "code":
                yield keyword.value
        for index in self._sources.places(name):
            if index < len(node.args):
                yield node.args[index]

    def _kind_of(self, name: str, node: ast.Call) -> str:
        """The class itself, the class among its arguments (a row, `kind`), else InputError: that is what the helpers make."""
        if name in self._sources.exits:
            return name
        named = (_name(one) for one in (*node.args, *(keyword.value for keyword in node.keywords)))
        helper = "InputError" if name in ("wrong", "wrong_file", "error", "_error") else ""
        return next((kind for kind in named if kind in self._sources.exits), helper)

    def _take(self, value: ast.expr, exit_code: int | None, kind: str = "", *, must: bool = False) -> None:
        where = f"provisioning/{self._path}:{value.lineno}"
        for one in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
            if isinstance(one, ast.Constant) and isinstance(one.value, str):
                self._sources.sites.append(Site(one.value, exit_code, where, kind))
            elif must and not (isinstance(one, ast.Attribute) and one.attr == "code") and not self._handed_on(one):
                self._sources.unread.append(f"{where}: {ast.unparse(one)}")

    def _handed_on(self, value: ast.expr) -> bool:
        """Whether it is this function's own parameter `code`: its callers are read."""
        function = next((node for node in reversed(self._around) if isinstance(node, ast.FunctionDef)), None)
        return _name(value) == "code" and function is not None and "code" in [one.arg for one in function.args.args]


def _is_source(path: Path) -> bool:
    """The table itself names each code, and is no use of it."""
    return path.parent.name != "codes" or path.parent.parent.name != "errors"


def _takes_a_code(node: ast.ClassDef) -> bool:
    own = next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)
    return own is None or "code" in [one.arg for one in own.args.args]


def _definitions(node: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    for part in getattr(node, "body", ()):
        if isinstance(part, (ast.ClassDef, ast.FunctionDef)):
            yield part
            yield from _definitions(part)


def _name(node: ast.AST) -> str:
    return getattr(node, "id", getattr(node, "attr", ""))
