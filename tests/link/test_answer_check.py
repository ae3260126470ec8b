"""Odd answers of boards: empty, bad literals, no text, a hundred thousand brackets, other shapes. Each is a BoardError, none a defect."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.errors import BoardError, TwinrootError
from provisioning.job import active, selftest
from provisioning.link import firmware_kind, question
from provisioning.link.answer_check import fits, understood
from provisioning.link.transport.base import Hello, TransferPlan
from provisioning.parsed import from_json, literal
from provisioning.rescue.prompt_files import PromptFiles

ODD = [
    *(b"", b"\n", b"[", b"[" * 100_000, b"(" * 5000 + b")" * 5000, b"-" * 100_000 + b"1", b"\xff\xfe", b"None", b"[None]", b"{}", b"1e999"),
    *(
        b"9" * 5000,
        b"__import__('os')",
        b"'\xe4'",
        b"{[]: 1}",
        b"[b'x', 'y']",
        b"\x00",
        b"{'a': " * 500,
        b"0x" + b"f" * 9000,
        b"set()",
        b"f()",
    ),
]


class Port:
    name = "ttyUSB0"
    home_baud = baud = 115200


class Board:
    """What is asked of a prompt, with one answer for everything."""

    wire = Port()
    hold = None

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def enter(self, **_: Any) -> None:
        return

    def run(self, *_: Any, **__: Any) -> bytes:
        return self.answer

    def value(self, *_: Any, **__: Any) -> Any:
        try:
            return literal(self.answer)
        except ValueError:
            raise BoardError("odd-answer", "x", "y") from None


ASKED = {
    "who": lambda repl: question.who(repl, True),
    "self-report": lambda repl: selftest.selftest(repl, True),
    "active": lambda repl: active.ask(repl, {1}),
    "kind": firmware_kind.ask,
    "files": lambda repl: PromptFiles(repl).exists("/x/y"),
    "hash": lambda repl: PromptFiles(repl).sha256("/x"),
}


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("answer", ODD, ids=lambda answer: answer[:12].decode("latin-1"))
def test_odd_answers(what: str, answer: bytes) -> None:
    with suppress(BoardError):
        ASKED[what](Board(answer))


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.binary(max_size=6) | st.floats(allow_nan=False)
KEYS = st.sampled_from(sorted(question.REPORT)) | st.text(max_size=4)
VALUES = st.recursive(LEAVES, lambda x: st.lists(x, max_size=13) | st.dictionaries(KEYS, x, max_size=12), max_leaves=30)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_answers_of_any_shape(value: Any) -> None:
    for ask in ASKED.values():
        with suppress(BoardError):
            ask(Board(repr(value).encode()))
    for of in (Hello.of, TransferPlan.of):
        with suppress(BoardError), understood("ttyUSB0"):
            of(value)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60) | st.sampled_from(ODD))
def test_the_two_readers_raise_nothing_but_valueerror(text: Any) -> None:
    for read in (literal, from_json):
        with suppress(ValueError):
            read(text)


@pytest.mark.parametrize(
    ("value", "shape", "good"),
    [
        (1, int, True),
        (True, int, False),
        (True, bool, True),
        (None, (str, type(None)), True),
        (["a"], [str], True),
        (("a",), [str], True),
        ([1, "a"], (int, str), False),  # two types are alternatives
        ([1, ["a"]], (int, [str]), True),
        ([1, ["a"], 2], (int, [str]), False),
        ({"a": 1, "b": 2}, {"a": int}, True),
        ({"b": 1}, {"a": int}, False),
        ([["x", [1]]], [(str, [int])], True),
    ],
)
def test_shapes(value: Any, shape: Any, good: bool) -> None:
    assert fits(value, shape) == good


def test_a_whole_answer_is_understood() -> None:
    texts = ["aabb", 3, "p", "ws-1", None, b"pem", "h1", "h2", "h3", "h4", "ws-1", {"ssid": "x"}]
    uid, held = question.who(Board(repr(texts).encode()), True)  # type: ignore[arg-type]
    assert (uid, held and held.device, held and held.texts) == ("aabb", "ws-1", {"client_id": "ws-1", "ssid": "x"})
    assert question.who(Board(b"['aabb']"), True) == ("aabb", None)  # type: ignore[arg-type]
    with pytest.raises(TwinrootError, match="makes no sense"):
        question.who(Board(repr([*texts[:3], 7, *texts[4:]]).encode()), True)  # type: ignore[arg-type]
