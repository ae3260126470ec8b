"""Reads a YAML file into a Document: place of every node, `!env`, `!secret`, duplicate keys, one sentence for whatever is wrong.

Scalars follow YAML 1.2's core schema: `yes` and `12:30` are texts, not a truth value and a number of base 60, as PyYAML has them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from provisioning.config.document import HIDDEN_KEYS, Document, Loc, Mark, clip, kind, shown, wrong
from provisioning.config.nearest import did_you_mean
from provisioning.config.text_file import is_file, read_text
from provisioning.config.values import EnvText, Secret
from provisioning.errors import InputError

SECRETS_FILE = "secrets.yaml"
_MAX_NODES = 50_000
_MAX_DEPTH = 32
# Escapes in double quotes can make what no file name, JSON text or device takes: control characters and halves of surrogate pairs.
_UNUSABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_CURLY = frozenset("“”„‟‘’‚‛«»")
# Other texts in which people put a '#'.
_FREE_TEXTS = frozenset({"client_id", "certificate", "key", "file", "main", "boot", "devices", "ca", "ca_key", "token"})
_PREFIX = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """PyYAML's reader and composer with the scalar rules of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  PyYAML's own declaration


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(_PREFIX + _tag, re.compile(_pattern), list(_first))

# PyYAML's problem texts repeat parts of the line, which may be a password: what is printed is ours, by the problem's first words.
_PROBLEMS = (
    ("found undefined alias", "'*' at the start of a value names an anchor that is not there", "Put the value in quotes."),
    ("found duplicate anchor", "the same anchor ('&') is defined twice", "Put the value in quotes if it is a text."),
    ("mapping values are not allowed", "there is a second ':' on this line or a wrong indentation above it", "Quote texts with ': '."),
    ("could not find expected ':'", "a key without ': ' after it, or a wrong indentation", "Write `key: value`, with a space after ':'."),
    ("found character", "a value cannot start with this character", "Put the value in quotes."),
    ("found unexpected end of stream", "a quote or a bracket is not closed", "Close it on the line where it was opened."),
    ("expected <block end>", "the indentation does not fit the lines above", "Indent keys of one block by the same number of spaces."),
    ("expected ',' or", "a '[' or '{' is not closed, or a comma is missing", "Close the bracket; separate items with ', '."),
    ("but found another document", "a second document starts here", "Keep one document per file; remove the '---'."),
    ("found unknown escape", "a backslash in double quotes", "Use single quotes for texts with backslashes."),
)  # fmt: skip


def load(path: Path, *, secret_file: bool = False, text: str | None = None) -> Document:
    """Read `path`, whose top level must be keys and values.

    `secret_file`: no text of the file is ever repeated in an error. `text`: what it is to have, instead of what it has. Raises InputError
    with file, line and column.
    """
    name = shown(path)
    text = read_text(path) if text is None else text
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(name, text, error) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise wrong("yaml-character", f"{name}:{line}: a control character that YAML does not allow", "Delete it.") from None
    except RecursionError:
        raise wrong("yaml-depth", f"{name}: the brackets or blocks are nested too deeply to be a configuration") from None
    except (ValueError, OverflowError):  # PyYAML's scanner: an escape such as "\UFFFFFFFF" is not a character
        raise wrong("yaml-character", f"{name}: a backslash escape that is not a character", "Use single quotes.") from None
    if root is None:
        raise wrong("yaml-empty", f"{name}: the file is empty", "Start from a file in examples/.")
    document = Document(path, None)
    document.data = _Builder(document, name, secret_file, text).build(root, ())
    if not isinstance(document.data, dict):
        raise wrong(
            "yaml-top-level",
            f"{document.mark(())}: found {kind(document.data)}, expected keys and values, one `key: value` per line",
            "Start from a file in examples/.",
        )
    return document


def _syntax_error(name: str, text: str, error: yaml.MarkedYAMLError) -> InputError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    where = f"{name}:{line}:{column}"
    lines = text.splitlines()
    content = lines[line - 1] if line <= len(lines) else ""
    if "\\t" in (error.problem or "") or "\t" in content[: len(content) - len(content.lstrip())]:
        return wrong("yaml-tab", f"{where}: a tab; YAML is indented with spaces only", "Replace the tab by spaces.")
    for start, problem, hint in _PROBLEMS:
        if start in (error.problem or ""):
            return wrong("yaml-syntax", f"{where}: {problem}", hint)
    return wrong("yaml-syntax", f"{where}: this line, or the one above it, is not YAML", "Put texts with special characters in quotes.")


class _Builder:
    """Turns PyYAML nodes into plain values and fills the document's marks."""

    def __init__(self, document: Document, name: str, secret_file: bool, text: str) -> None:
        self._document = document
        self._name = name
        self._secret_file = secret_file
        self._secrets: Document | None = None
        # As PyYAML counts lines (YAML 1.1: NEL and the Unicode separators end one, too).
        self._lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
        self._nodes = 0

    def build(self, node: yaml.Node, loc: Loc) -> Any:
        if len(loc) > _MAX_DEPTH:
            raise wrong("yaml-depth", f"{self._name}: an anchor refers to itself, or blocks are nested more than {_MAX_DEPTH} deep")
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise wrong("yaml-size", f"{self._name}: more than {_MAX_NODES} values; anchors that multiply each other?")
        self._document.values[loc] = self._mark(node)
        if isinstance(node, yaml.MappingNode):
            self._plain_tag(node, loc, "map")
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            self._plain_tag(node, loc, "seq")
            return [self.build(child, (*loc, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, loc)

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self._name, node.start_mark.line + 1, node.start_mark.column + 1)

    def _error(self, loc: Loc, code: str, problem: str, hint: str = "") -> InputError:
        return self._document.error(loc, code, problem, hint)

    def _plain_tag(self, node: yaml.Node, loc: Loc, expected: str) -> None:
        if node.tag != _PREFIX + expected:
            raise self._unknown_tag(loc)

    def _unknown_tag(self, loc: Loc) -> InputError:
        return self._error(
            loc,
            "yaml-tag",
            "'!' starts a tag that is not known, expected !env NAME or !secret NAME",
            "Put a text that starts with '!' in quotes.",
        )

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = self._mark(key_node)
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag not in (_PREFIX + "str", _PREFIX + "int"):
                raise wrong("yaml-key", f"{mark}: a key that is not a plain text", "Write `key: value`; quote unusual keys.")
            key = str(key_node.value)
            if _UNUSABLE.search(key):
                raise wrong("yaml-character", f"{mark}: a key with an escape for a character no text has", "Remove the backslash.")
            here = (*loc, key)
            if key in made:
                first = self._document.keys[here].line
                shown_key = "the key" if self._secret_file else f"key '{clip(key)}'"
                raise wrong("yaml-duplicate", f"{mark}: {shown_key} is there twice, first in line {first}", "Remove one of the two.")
            self._document.keys[here] = mark
            made[key] = self.build(value_node, here)
        return made

    def _scalar(self, node: yaml.Node, loc: Loc) -> Any:
        text = str(node.value)
        if _UNUSABLE.search(text):
            raise self._error(loc, "yaml-character", "holds an escape for a character that no text has", "Remove the backslash escape.")
        if node.tag == "!env":
            return self._env(text, loc)
        if node.tag == "!secret":
            return self._secret(text, loc)
        tag = node.tag.removeprefix(_PREFIX)
        if isinstance(node, yaml.ScalarNode) and node.style is None:
            self._plain_text(node, text, loc)
        if tag == "str":
            return text
        if tag == "null":
            return None
        if tag == "bool":
            return text.lower() == "true"
        if tag == "float" and re.fullmatch(r"[-+.0-9eE]+", text):
            return float(text)
        if tag == "int" and len(text) <= 40 and re.fullmatch(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", text):
            return int(text, 0 if text[:2] in ("0x", "0o") else 10)
        raise self._unknown_tag(loc)

    def _plain_text(self, node: yaml.Node, text: str, loc: Loc) -> None:
        """Refuses a text without quotes that is not what its writer sees: cut at a '#', or with typographic quotes as part of it."""
        if text[:1] in _CURLY or text[-1:] in _CURLY:
            raise self._error(
                loc,
                "yaml-quotes",
                "begins or ends with a typographic quote, which is part of the text for YAML",
                "Use straight quotes (\" or '), and type them in an editor for plain text; around a text that has such quotes as well.",
            )
        free = self._secret_file or any(isinstance(step, str) and step in HIDDEN_KEYS for step in loc)
        comment = self._after(node).lstrip(" \t")
        if comment.startswith("#") and (free or (text and comment[1:2].strip() and loc[-1:] and loc[-1] in _FREE_TEXTS)):
            raise self._error(
                loc,
                "yaml-comment",
                f"ends before ' #', where YAML begins a comment{'' if text else ', so that it is empty'}",
                "Put a text with '#' in quotes; a comment gets a line of its own.",
            )

    def _after(self, node: yaml.Node) -> str:
        """The rest of the line behind `node`."""
        mark = node.end_mark
        return self._lines[mark.line][mark.column :] if mark.line < len(self._lines) else ""

    def _env(self, variable: str, loc: Loc) -> EnvText:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            raise self._error(loc, "env-name", "!env needs the name of an environment variable", "Write `!env WIFI_SSID`.")
        value = os.environ.get(variable)
        if not value:
            raise self._error(
                loc,
                "env-missing",
                f"the environment variable {variable} is {'not set' if value is None else 'empty'}",
                f"Set it before the command: export {variable}=…",
            )
        if _UNUSABLE.search(value):
            raise self._error(
                loc,
                "env-character",
                f"the environment variable {variable} holds a control character, or bytes that are no UTF-8 text",
                "Set it to a text that can be typed.",
            )
        return EnvText(value, variable)

    def _secret(self, name: str, loc: Loc) -> Secret:
        if self._secret_file:
            raise self._error(loc, "secret-nested", "!secret inside the file of secrets", "Write the value itself.")
        file = self._document.path.parent / SECRETS_FILE
        if self._secrets is None:
            if not is_file(file):
                raise self._error(
                    loc,
                    "secrets-missing",
                    f"!secret {clip(name)} needs the file {shown(file)}, which is not there",
                    f"Make it with the line `{clip(name) or 'name'}: …` and keep it out of version control.",
                )
            self._secrets = load(file, secret_file=True)
        if name not in self._secrets.data:
            raise self._error(
                loc,
                "secret-missing",
                f"{shown(file)} has no entry '{clip(name)}'",
                did_you_mean(name, [key for key in self._secrets.data if key.isidentifier()]) or "Add it there.",
            )
        value = self._secrets.data[name]
        if not isinstance(value, str) or not value:
            raise wrong(
                "secret-type",
                f"{self._secrets.mark((name,))}: secret '{clip(name)}': found {kind(value)}, expected text",
                "Put it in quotes.",
            )
        return Secret(value, f"!secret {name}")
