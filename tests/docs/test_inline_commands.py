"""Commands within sentences, of the documents and of hints: each is one that the command line takes, with these arguments and options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from provisioning.cli import main
from provisioning.resources import folder
from provisioning.trust.roots import load_roots

ROOT = folder("firmware").parent
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "provisioning").rglob("*.py"))]
_INLINE = re.compile(r"`twinroot ([^`]+)`")
_OWN_PARSER = {"virtual"}  # its options are those of a program of its own: tests/virtual/test_docs.py
_TEXTS = {"build record 1"}  # what a signature is over
_FIELD = re.compile(r"\{[^}]*\}")  # of a Python text: some word
_LEFT_OUT = re.compile(r"\s*(…|\[[^\]]*\]|\([^)]*\))")


def commands(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        text = re.sub(r'"\s*\n\s*f?"', "", text)  # a sentence that goes on in the next line
    for found in _INLINE.finditer(text):
        one = _LEFT_OUT.sub("", _FIELD.sub("WORD", found[1]))
        if "|" not in one and one not in _TEXTS and one.split()[:1] != ["WORD"]:
            yield " ".join(one.split())


def wrong(line: str) -> str:
    """Why the command line would not take it; an empty text where it does. Arguments and options may be missing, not too many."""
    command: click.Command = main.cli
    context = click.Context(command, info_name="twinroot")
    words = shlex.split(line)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        if name in _OWN_PARSER:
            return ""
        found = command.get_command(context, name)
        if found is None:
            return f"there is no command {name}"
        command = found
        context = click.Context(command, parent=context, info_name=name)
    try:
        left = command.make_parser(context).parse_args(words)[1]
    except click.BadOptionUsage:
        return ""  # `migrate plan --waves`: an option that is named, without its value
    except click.ClickException as error:
        return error.format_message()
    return f"too many arguments: {left}" if left and not isinstance(command, click.Group) else ""


def test_each_is_taken() -> None:
    found = [(file.relative_to(ROOT), line) for file in FILES for line in dict.fromkeys(commands(file))]
    assert len(found) > 300
    assert [f"{file}: twinroot {line}: {why}" for file, line in found if (why := wrong(line))] == []


@pytest.mark.parametrize("line", ["trust list PRODUCT.yaml", "trust lists", "sbom PRODUCT --output FILE"])
def test_one_that_is_not_is_found(line: str) -> None:
    assert wrong(line)


def test_the_table_of_roots_is_whole() -> None:
    text = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w[\w-]+) \| (?:RSA|EC) [^|]+\| (\d{4}-\d\d-\d\d) \|", text, re.MULTILINE)
    assert dict(rows) == {name: root.not_after.strftime("%Y-%m-%d") for name, root in load_roots().items()}
    assert f"`certs/` has {['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'][len(rows)]} roots" in text
