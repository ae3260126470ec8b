"""From a name or a path to a checked Board or Product, and the JSON Schemas of all files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from provisioning.config import yaml_source
from provisioning.config.board_type import BoardType
from provisioning.config.checked import checked
from provisioning.config.document import Document, Loc, shown, wrong
from provisioning.config.nearest import did_you_mean
from provisioning.config.product import Product
from provisioning.config.resolve import resolve
from provisioning.config.text_file import is_file
from provisioning.errors import FileMissing, InputError
from provisioning.resources import folder

SCHEMAS = ("board", "product", "station", "plan")
_MAX_EXTENDS = 16


def list_boards() -> list[str]:
    """Names of the boards in boards/, sorted."""
    return sorted(file.stem for file in folder("boards").glob("*.yaml"))


def load_board(name_or_path: str | Path, base: Path | None = None) -> BoardType:
    """The board of that name in boards/, or the one in that file; a relative path is relative to `base`. Raises InputError."""
    path = _board_path(str(name_or_path), base or Path.cwd())
    return _board(path)


def load_product(path: str | Path, text: str | None = None) -> Product:
    """The product in the file `path`, with its board, routes and roots; what it would be with `text` in it, where that is given. Raises
    InputError."""
    document = yaml_source.load(Path(path), text=text)
    raw = checked("product", document)
    return resolve(raw, document, _board(_named(raw.board, document, ("board",))))


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a 'board', 'product', 'station' or 'plan' file."""
    from provisioning.config.models import MODELS

    made = MODELS[kind].model_json_schema()
    made.pop("title", None)
    if kind == "board":
        # A file that extends another one may leave out whatever that one has.
        for block in made["$defs"].values():
            block.pop("required", None)
        made["anyOf"] = [{"required": ["extends"]}, {"required": made.pop("required")}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"twinroot {kind} file", **made}


def schema_text(kind: str) -> str:
    """The schema as it lies in boards/schema/, for editors."""
    return json.dumps(schema(kind), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _board_path(text: str, base: Path) -> Path:
    if "/" in text or "\\" in text or text.endswith((".yaml", ".yml")):
        return base / text
    names = list_boards()
    if text not in names:
        hint = did_you_mean(text, names) or "`twinroot boards list` prints them; a path to a YAML file is good, too."
        raise wrong("unknown-board", f"there is no board {text[:60]!r}, expected one of {', '.join(names)}, or a path", hint)
    return folder("boards") / f"{text}.yaml"


def _named(text: str, document: Document, loc: Loc) -> Path:
    """The file of the board that `document` names at `loc`; what is wrong with the name is an error of that line."""
    try:
        path = _board_path(text, document.path.parent)
    except InputError as error:
        raise document.placed(error, loc) from None
    if not is_file(path):
        raise document.error(
            loc, "file-missing", f"there is no file {shown(path)}", "Give a board's name, or a path relative to this file.", FileMissing
        )
    return path


def _board(path: Path) -> BoardType:
    document = _with_parents(path, [])
    raw = checked("board", document)
    made = vars(raw)
    for block, key in (("firmware", "file"), ("security", "flash_key"), ("security", "nvs_key")):
        named = getattr(made[block], key)
        if named:
            # Relative to the file that says so, which may be a parent of this one.
            folder_of = Path(document.values[(block, key)].file).parent
            made = {**made, block: made[block].model_copy(update={key: str((folder_of / named).resolve())})}
    return BoardType(**{**made, "name": path.stem, "source": path})


def _with_parents(path: Path, chain: list[Path]) -> Document:
    """The document of `path` laid over the one it extends; `chain` is who extended whom so far."""
    document = yaml_source.load(path)
    parent = document.data.get("extends")
    if not isinstance(parent, str):
        return document
    chain = [*chain, path.resolve()]
    parent_path = _named(parent, document, ("extends",))
    if parent_path.resolve() in chain or len(chain) > _MAX_EXTENDS:
        names = " -> ".join(each.stem for each in [*chain, parent_path])
        raise document.error(
            ("extends",), "extends-cycle", f"boards extend each other in a circle: {names}", "Remove one of these 'extends'."
        )
    return overlay(_with_parents(parent_path, chain), document)


def overlay(under: Document, over: Document) -> Document:
    """`over` laid on `under`: blocks are merged key by key, everything else is replaced; marks follow their values."""
    made = Document(over.path, None, dict(under.keys), dict(under.values))

    def lay(a: Any, b: Any, loc: Loc) -> Any:
        if isinstance(a, dict) and isinstance(b, dict):
            made.values[loc] = over.values.get(loc, made.values[loc])
            merged = dict(a)
            for key, value in b.items():
                here = (*loc, key)
                made.keys[here] = over.keys[here]
                merged[key] = lay(a.get(key), value, here)
            return merged
        for marks in (made.keys, made.values):
            for old in [each for each in marks if each[: len(loc)] == loc and len(each) > len(loc)]:
                del marks[old]
        made.keys.update({each: mark for each, mark in over.keys.items() if each[: len(loc)] == loc})
        made.values.update({each: mark for each, mark in over.values.items() if each[: len(loc)] == loc})
        return b

    made.data = lay(under.data, over.data, ())
    return made
