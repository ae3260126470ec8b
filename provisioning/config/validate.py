"""Checks a document against a pydantic model and says what is wrong as `FILE:LINE: key 'x.y': found …, expected …`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from provisioning.config.document import Document, clip, dotted, wrong
from provisioning.config.document import kind as kind_of
from provisioning.config.nearest import did_you_mean
from provisioning.config.values import EnvText, Secret, secret_of
from provisioning.errors import InputError


class BlockModel(BaseModel):
    """A block of keys in a YAML file. Every field has a description: it is what errors say was expected."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)


M = TypeVar("M", bound=BaseModel)


def problem(text: str, hint: str = "") -> PydanticCustomError:
    """What a validator raises: `text` follows `key 'x.y': ` in the error; it says what was found and what was expected."""
    # The texts go through the context, so that braces in them are not taken for placeholders.
    return PydanticCustomError("twinroot", "{problem}", {"problem": text, "hint": hint})


def number_from_env(value: Any) -> Any:
    """A validator that goes before `int`: digits from `!env` are a number."""
    return int(value) if isinstance(value, EnvText) and value.isascii() and value.isdigit() and len(value) < 12 else value


def as_secret(value: Any) -> Secret:
    """A validator for texts that are never shown, written as !secret, as !env or plainly."""
    made = secret_of(value)
    if made is None:
        raise problem(f"found {kind_of(value)}, expected text", "Put numbers in quotes, or use !secret NAME.")
    return made


def validate(model: type[M], document: Document) -> M:
    """`document` as a `model`. Raises InputError for the first problem in the file and counts the others in its hint."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=True)
    # Context order: the earliest line first, so that a person can work from top to bottom.
    # A misspelt key comes before the required one that it was meant to be.
    problems.sort(key=lambda each: (each["type"] == "missing", document.mark(each["loc"]).line, str(each["loc"])))
    first = _sentence(model, document, problems[0])
    others = len(problems) - 1
    if others:
        more = f"{others} more problem{'s' if others > 1 else ''} in this file after that."
        first.hint = f"{first.hint} {more}".strip()
    raise first from None


def _sentence(model: type[BaseModel], document: Document, error: ErrorDetails) -> InputError:
    loc = tuple(step for step in error["loc"] if step != "[key]")
    kind = error["type"]
    if kind == "extra_forbidden":
        known = list(_model_at(model, loc[:-1]).model_fields)
        expected = ", ".join(known)
        where = f"{document.mark(loc)}: key '{dotted([*loc[:-1], clip(str(loc[-1]))])}'"
        return wrong("unknown-key", f"{where} is not known, expected one of {expected}", did_you_mean(str(loc[-1]), known))
    field = _field_at(model, loc)
    expected = (field.description if field else None) or _EXPECTED.get(kind, "something else")
    if kind == "missing":
        return document.error(loc, "missing-key", f"is missing, expected {expected}", f"Add `{loc[-1]}: …` there.")
    if kind == "twinroot":
        context = error.get("ctx", {})
        return document.error(loc, "bad-value", str(context["problem"]), str(context["hint"]))
    hint = ""
    value = document.at(loc)
    if isinstance(value, Secret):
        hint = "!secret is for texts that stay secret (wifi); use !env for others."
    elif kind == "literal_error" and field is not None:
        choices = [str(choice) for choice in _choices(field.annotation)]
        hint = "Put it in quotes." if str(value) in choices else did_you_mean(str(value), choices)
    elif kind == "string_type":
        hint = _as_text(value, field) if isinstance(value, (int, float)) else ""
    elif kind == "string_pattern_mismatch" and field is not None and re.fullmatch(r"\d+(\.\d+)?", str(value)):
        hint = _with_unit(str(value), field)
    elif kind == "int_type" and isinstance(value, str) and value.isdigit():
        hint = "Write it without quotes."
    if kind == "literal_error" and field is not None:
        expected = "one of " + ", ".join(str(choice) for choice in _choices(field.annotation))
    return document.error(loc, "bad-value", f"found {document.found(loc)}, expected {expected}", hint)


# Units of texts that are a number with one, in the order in which they are offered -> what else may be written.
_UNITS = {"%": "", "MB": "", "d": "; h, m and s are hours, minutes and seconds"}


def _as_text(value: float, field: FieldInfo | None) -> str:
    """What to write where a number was written for a text."""
    patterns = _patterns(field) if field is not None else []
    if all(re.search(pattern, str(value)) for pattern in patterns):
        return "Put it in quotes."
    return _with_unit(str(value), field)


def _with_unit(number: str, field: FieldInfo | None) -> str:
    """The number with the unit that makes it what the field takes; empty where none does."""
    patterns = _patterns(field) if field is not None else []
    for unit, others in _UNITS.items():
        if patterns and all(re.search(pattern, number + unit) for pattern in patterns):
            return f"Write `{number}{unit}`{others}."
    return ""


def _patterns(field: FieldInfo) -> list[str]:
    """The patterns that a text of the field must fit."""
    inside = [part for part in _inside(field.annotation) if isinstance(part, FieldInfo)]
    found = [getattr(each, "pattern", None) for part in (field, *inside) for each in part.metadata]
    return [pattern for pattern in found if isinstance(pattern, str)]


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "a block of keys",
}


def _choices(annotation: Any) -> list[Any]:
    """The values of the Literal inside `annotation`."""
    inner = get_args(annotation)
    if not inner:
        return []
    if all(isinstance(choice, (str, int)) for choice in inner):
        return list(inner)
    return [choice for part in inner for choice in _choices(part)]


def _inside(annotation: Any) -> list[Any]:
    """The annotations inside Optional, list, dict and Annotated."""
    return [annotation, *(deep for part in get_args(annotation) for deep in _inside(part))]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for part in _inside(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _model_at(model: type[BaseModel], loc: Sequence[str | int]) -> type[BaseModel]:
    """The model that describes the block at `loc`."""
    for step in loc:
        field = model.model_fields.get(str(step))
        if field is not None:
            model = _model_in(field.annotation) or model
    return model


def _field_at(model: type[BaseModel], loc: Sequence[str | int]) -> FieldInfo | None:
    """The field at `loc`; inside a list or dict the field that holds it."""
    found = None
    for step in loc:
        field = model.model_fields.get(str(step)) if isinstance(step, str) else None
        if field is None:
            continue
        found = field
        model = _model_in(field.annotation) or model
    return found
