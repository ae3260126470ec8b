"""Makes device code small before it is sent: comments, docstrings and spaces go, names that only the code itself uses become short.

Deterministic: the same source gives the same text. Understands the subset of Python that firmware/link is written in: no
keyword arguments of own functions, no string that names a variable.
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


def _short_names(taken: set[str]) -> Iterator[str]:
    letters = string.ascii_letters
    for length in (1, 2):
        for parts in itertools.product(letters, repeat=length):
            name = "".join(parts)
            if name not in taken and not keyword.iskeyword(name):
                yield name


def _own_names(tree: ast.AST) -> Counter[str]:
    """How often each name is used that the source itself binds: functions, arguments, variables."""
    bound: set[str] = set()
    used: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used[node.id] += 1
            if isinstance(node.ctx, ast.Store):
                bound.add(node.id)
        elif isinstance(node, ast.FunctionDef):
            used[node.name] += 1
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            used[node.arg] += 1
            bound.add(node.arg)
    methods = {
        child.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for child in node.body if isinstance(child, ast.FunctionDef)
    }
    return Counter({name: used[name] for name in bound - methods})


def _renames(tree: ast.AST, keep: frozenset[str]) -> dict[str, str]:
    own = _own_names(tree)
    everything = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    wanted = sorted((name for name in own if name not in keep), key=lambda name: (-own[name], name))
    return dict(zip(wanted, _short_names(everything | keep), strict=False))


def minify(source: str, keep: frozenset[str] = frozenset()) -> str:
    """`source` without what the interpreter does not need; names in `keep` stay as they are."""
    renames = _renames(ast.parse(source), keep)
    out: list[str] = []
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
                out.append(" " * depth + text)
            line, previous = [], ""
        else:
            text = token.string
            if token.type == tokenize.NAME and previous != ".":
                text = renames.get(text, text)
            glue = " " if previous and _word(previous[-1]) and _word(text[0]) else ""
            line.append(glue + text)
            previous = text
    return "\n".join(out) + "\n"


def _word(char: str) -> bool:
    return char.isalnum() or char == "_"
