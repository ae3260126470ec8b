"""Answers of AWS, or of what stands in between, that lack what was asked for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.aws import certificates, iot_api
from provisioning.errors import StationError

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=20)
ODD = st.recursive(LEAVES, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=8), x, max_size=3), max_leaves=6)


@given(ODD)
def test_an_answer_without_what_is_needed(answer: Any) -> None:
    with pytest.raises(StationError) as caught:
        iot_api._answer(answer, "describe_certificate")["certificateDescription"]["certificatePem"]["x"]
    assert caught.value.code == "bad-answer" and "describe_certificate" in caught.value.message


@given(st.none() | st.integers() | st.text(max_size=200) | st.lists(st.text(max_size=5), max_size=2))
def test_a_certificate_that_is_none(text: Any) -> None:
    with pytest.raises(StationError) as caught:
        certificates.key_of(text)
    assert caught.value.code == "bad-answer"


def test_what_is_there_is_as_it_was() -> None:
    answer = {"certificateDescription": {"certificateId": "7", "tags": [{"a": 1}]}}
    assert iot_api._answer(answer, "describe_certificate") == answer
