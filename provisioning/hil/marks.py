"""Python source that notes which of its lines run, without a change of its line numbers: a mark before each simple statement, and in
the condition of each compound one. No firmware that is on a board by default has sys.settrace, so the source itself has to tell."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from provisioning.link.agent import small

MODULE = "_twcov"  # on the board: the marks of all files
NOTES = "_c"  # in an instrumented file: its marks, a byte a line
NOTE = "_t"  # and the `add` of a set of lines, for expressions: it returns None


def module() -> str:
    """The file of that name on a board: firmware/link/marks.py."""
    return small("marks")


def called() -> str:
    """Lines before a program of `call`: the same without a file, where the board has none."""
    return f"""import sys
if '{MODULE}' not in sys.modules:
 try:import {MODULE}
 except ImportError:
  class _T:0
  _g={{}};exec({module()!r},_g);_T.m=_g['m'];_T.of=_g['of'];sys.modules['{MODULE}']=_T
"""


COLLECT = f"import sys\n_m=sys.modules.get('{MODULE}')"
COLLECTED = "{p:(bytes(b),list(s)) for p,(b,s) in _m.m.items()} if _m else {}"
_NOT_COUNTED = (ast.Global, ast.Nonlocal)  # no code of their own: coverage.py does not count them either


def header(file: str, lines: int) -> str:
    """What comes before the first statement of a file or a program: one line, without its end."""
    return f"import {MODULE};{NOTES},{NOTE}={MODULE}.of({file!r},{lines + 1});{NOTES}[0]=1"


@dataclass
class Marked:
    """`source` with its marks. `implied`: line -> the line whose mark tells that it ran (a `def` ran if the statement after it did)."""

    source: str
    implied: dict[int, int] = field(default_factory=dict)

    def ran(self, marks: bytes, lines: list[int]) -> set[int]:
        """The lines that ran, from what a board has sent: marks (index: line), and lines of conditions."""
        found = {*lines, *(line for line, mark in enumerate(marks) if mark)}
        for line in self.implied:
            at, seen = line, set()
            while at in self.implied and at not in seen:
                seen.add(at)
                at = self.implied[at]
            if at in found:
                found.add(line)
        return found - {0}


class _Marker:
    def __init__(self, source: str, first: int) -> None:
        self._lines = [line.encode() for line in source.splitlines(keepends=True)]
        self._shift = first - 1  # from a line of the source to one of the file
        self._edits: list[tuple[int, int, bytes]] = []
        self.implied: dict[int, int] = {}

    def body(self, statements: Sequence[ast.stmt], parent: int) -> None:
        """`parent`: the line whose mark tells that this block was reached."""
        told: int | None = None  # the line whose mark tells that what comes before this statement ran
        silent: list[int] = []
        for place, statement in enumerate(statements):
            if place == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue  # a docstring
            if isinstance(statement, _NOT_COUNTED):
                continue
            line = statement.lineno + self._shift
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                lines = [line, *(decorator.lineno + self._shift for decorator in statement.decorator_list)]
                self.body(statement.body, line)
                silent += lines
                continue
            self._mark(statement, line)
            for each in silent:
                self.implied[each] = line
            silent, told = [], line
        for each in silent:
            self.implied[each] = told if told is not None else parent

    def _mark(self, statement: ast.stmt, line: int) -> None:
        if isinstance(statement, (ast.If, ast.While)):
            self._wrap(statement.test, line)
            self.body(statement.body, line)
            self.body(statement.orelse, line)
        elif isinstance(statement, (ast.For, ast.AsyncFor)):
            self._wrap(statement.iter, line)
            self.body(statement.body, line)
            self.body(statement.orelse, line)
        elif isinstance(statement, (ast.With, ast.AsyncWith)):
            self._wrap(statement.items[0].context_expr, line)
            self.body(statement.body, line)
        elif isinstance(statement, ast.Try):
            self._first(statement.body, line)
            self.body(statement.body, line)
            for handler in statement.handlers:
                if handler.type is not None:
                    self._wrap(handler.type, handler.lineno + self._shift)
                else:
                    self._first(handler.body, handler.lineno + self._shift)
                self.body(handler.body, handler.lineno + self._shift)
            self.body(statement.orelse, line)
            self.body(statement.finalbody, line)
        else:
            self._edits.append((statement.lineno, statement.col_offset, f"{NOTES}[{line}]=1;".encode()))

    def _first(self, statements: Sequence[ast.stmt], line: int) -> None:
        """`line` ran if the first of `statements` did."""
        self.implied[line] = statements[0].lineno + self._shift

    def _wrap(self, expression: ast.expr, line: int) -> None:
        assert expression.end_lineno is not None and expression.end_col_offset is not None  # noqa: S101
        self._edits.append((expression.lineno, expression.col_offset, f"{NOTE}({line})or(".encode()))
        self._edits.append((expression.end_lineno, expression.end_col_offset, b")"))

    def text(self) -> str:
        for line, column, text in sorted(self._edits, key=lambda edit: edit[:2], reverse=True):
            whole = self._lines[line - 1]
            self._lines[line - 1] = whole[:column] + text + whole[column:]
        return b"".join(self._lines).decode()


def mark(source: str, first: int = 1) -> Marked:
    """`source`, whose first line is line `first` of its file, with marks; without the header. Raises SyntaxError."""
    marker = _Marker(source, first)
    marker.body(ast.parse(source).body, 0)
    return Marked(marker.text(), marker.implied)


def with_header(marked: str, file: str, lines: int) -> str:
    """A whole file: the header goes onto its first line, or before it where that line begins a block (a traceback is one line off then)."""
    first, end, rest = marked.partition("\n")
    head = header(file, lines)
    stripped = first.strip()
    if not stripped or stripped.startswith("#"):
        return f"{head} {stripped}{end}{rest}"
    begins_block = first.split("(")[0].split(" ")[0].rstrip(":") in (
        "def", "class", "if", "while", "for", "with", "try", "async", "@",
    ) or first.startswith("@")  # fmt: skip
    return f"{head}\n{marked}" if begins_block else f"{head};{marked}"
