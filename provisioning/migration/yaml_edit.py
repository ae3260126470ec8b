"""Changes one value of a YAML file and leaves every other character alone: comments, order, quotes, line ends.

PyYAML tells where each node begins and ends in the text; the value is replaced there. A round-trip library would bring a second YAML
reader, with its own opinion about what a file means, for two keys.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import yaml

from provisioning import atomic_files
from provisioning.errors import InputError

Path_: TypeAlias = tuple[str | int, ...]


def change_file(file: Path, changes: dict[Path_, str], out: Path | None = None, more: dict[Path_, str] | None = None) -> bool:
    """Apply `changes` (path of a scalar -> its new text) to `file`, written to `out` or back; False when that changes nothing.
    `more`: path of a list -> what it is to have as well.

    A key that is not there is added to its block. Raises InputError, and then nothing is written.
    """
    before, after = _edited(file, changes, more or {})
    if after == before and out is None:
        return False
    try:
        atomic_files.replace(out or file, after.encode("utf-8"))
    except OSError as e:
        raise InputError("not-writable", f"{out or file} cannot be written: {e.strerror}.", "Check the folder and its permissions.") from e
    return True


def changed(file: Path, changes: dict[Path_, str], more: dict[Path_, str] | None = None) -> bytes:
    """What `change_file` would write. Raises InputError."""
    return _edited(file, changes, more or {})[1].encode("utf-8")


def _edited(file: Path, changes: dict[Path_, str], more: dict[Path_, str]) -> tuple[str, str]:
    """The text of `file`, and what it becomes."""
    try:
        before = file.read_bytes().decode("utf-8")
    except OSError as e:
        raise InputError("file-unreadable", f"{file} cannot be read: {e.strerror}.", "Check the path.") from e
    except UnicodeDecodeError as e:
        raise InputError("not-utf-8", f"{file} is not UTF-8 text.", "Save it as UTF-8.") from e
    after = before
    for path, value in changes.items():
        after = change(after, path, value, str(file))
    for path, value in more.items():
        after = with_item(after, path, value, str(file))
    return before, after


def change(text: str, path: Path_, value: str, name: str = "the file") -> str:
    """`text` with the scalar at `path` set to `value`, which must be a plain scalar (a host name, a word). Raises InputError."""
    parent = _find(_compose(text, name), path[:-1])
    key = path[-1]
    node = _child(parent, key) if parent is not None else None
    if isinstance(node, yaml.ScalarNode):
        if node.value == value:
            return text
        made = _replaced(text, node, value)
    elif node is None and isinstance(parent, yaml.MappingNode) and parent.value and isinstance(key, str):
        made = _added(text, parent, key, value)
    else:
        raise _cannot(name, path)
    found = _find(_compose(made, name), path)
    if not isinstance(found, yaml.ScalarNode) or found.value != value:
        raise _cannot(name, path)
    return made


def with_item(text: str, path: Path_, value: str, name: str = "the file") -> str:
    """`text` with `value`, a plain scalar, in the list of scalars at `path`; one that is not there is made. Raises InputError."""
    parent = _find(_compose(text, name), path[:-1])
    node, key = _child(parent, path[-1]) if parent is not None else None, path[-1]
    had: list[str] = []
    if node is None and isinstance(parent, yaml.MappingNode) and parent.value and isinstance(key, str):
        made = _added(text, parent, key, f"[{value}]")
    elif isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        had = [item.value for item in node.value]
        if value in had:
            return text
        made = _appended(text, node, value)
    else:
        raise _cannot(name, path)
    found = _find(_compose(made, name), path)
    if not isinstance(found, yaml.SequenceNode) or [item.value for item in found.value] != [*had, value]:
        raise _cannot(name, path)
    return made


def value_at(text: str, path: Path_, name: str = "the file") -> str | None:
    """The text of the scalar at `path`, None when there is none. Raises InputError."""
    node = _find(_compose(text, name), path)
    return node.value if isinstance(node, yaml.ScalarNode) else None


def _cannot(name: str, path: Path_) -> InputError:
    return InputError("cannot-edit", f"{name}: {'.'.join(map(str, path))} cannot be changed in place.", "Change it with an editor.")


def _compose(text: str, name: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as e:
        mark = getattr(e, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        raise InputError("yaml-syntax", f"{where}: this is not YAML.", "`twinroot check` says what is wrong with it.") from e


def _find(node: yaml.Node | None, path: Path_) -> yaml.Node | None:
    for key in path:
        node = _child(node, key)
    return node


def _child(node: yaml.Node | None, key: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((v for k, v in node.value if isinstance(k, yaml.ScalarNode) and k.value == key), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        child: yaml.Node = node.value[key]
        return child
    return None


def _replaced(text: str, node: yaml.ScalarNode, value: str) -> str:
    start, end = node.start_mark.index, node.end_mark.index
    space = " " if start == end else ""  # an empty value ends right after its colon
    return text[:start] + space + value + text[end:]


def _appended(text: str, node: yaml.SequenceNode, value: str) -> str:
    """Behind the last item, in the form of the list."""
    if not node.value:
        at = node.start_mark.index + 1
        return f"{text[:at]}{value}{text[at:]}"
    end = node.value[-1].end_mark.index
    if node.flow_style:
        return f"{text[:end]}, {value}{text[end:]}"
    start = node.value[-1].start_mark.index
    line = text.rfind("\n", 0, start) + 1
    newline = "\r\n" if "\r\n" in text else "\n"
    after = text.find(newline, end)  # the comment behind the last item is that item's
    after = len(text) if after < 0 else after
    return f"{text[:after]}{newline}{text[line:start]}{value}{text[after:]}"


def _added(text: str, parent: yaml.MappingNode, key: str, value: str) -> str:
    """After the first entry that is a scalar (`region`, `endpoint`), in the form of its block."""
    first_key, first = next(((k, v) for k, v in parent.value if isinstance(v, yaml.ScalarNode)), parent.value[0])
    if parent.flow_style:
        end = first.end_mark.index
        return f"{text[:end]}, {key}: {value}{text[end:]}"
    at = first_key.start_mark.index  # before it: the end of a block's last value is not a place that marks tell
    line = text.rfind("\n", 0, at) + 1
    newline = "\r\n" if "\r\n" in text else "\n"
    return f"{text[:at]}{key}: {value}{newline}{' ' * (at - line)}{text[at:]}"
