"""What a board answers, held against what was asked. A board is foreign: it may run another program, an older package, or lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from provisioning.errors import BoardError

_HINT = "Run it again; if it repeats, write the product to the board anew: `twinroot update PRODUCT.yaml`."
# A shape: a type or several of them, [shape] for a list or tuple of any length, (shape, …) for one of that length, {key: shape} for a dict
# that has at least these keys.
Shape = Any


def fits(value: Any, shape: Shape) -> bool:
    """Whether `value` has the shape. A truth value is not a number."""
    if isinstance(shape, list):
        return isinstance(value, (list, tuple)) and all(fits(each, shape[0]) for each in value)
    if isinstance(shape, tuple) and not all(isinstance(each, type) for each in shape):
        return isinstance(value, (list, tuple)) and len(value) == len(shape) and all(map(fits, value, shape))
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(key in value and fits(value[key], inner) for key, inner in shape.items())
    kinds = shape if isinstance(shape, tuple) else (shape,)
    return isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds and object not in kinds)


def senseless(name: str) -> BoardError:
    return BoardError("odd-answer", f"The board on {name} gave an answer that makes no sense for what it was asked.", _HINT)


def checked(value: Any, shape: Shape, name: str) -> Any:
    """`value`, which the board on `name` gave. Raises BoardError when it has another shape."""
    if not fits(value, shape):
        raise senseless(name)
    return value


@contextmanager
def understood(name: str) -> Iterator[None]:
    """Around code that takes an answer of the board on `name` apart: what does not come apart is a BoardError."""
    try:
        yield
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError):
        raise senseless(name) from None
