"""Warnings years ahead, and the exit code that tells a script."""

from __future__ import annotations

import functools
import json
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.cli.main import run
from provisioning.errors import InputError
from provisioning.trust.policy import HORIZON, notices, span
from provisioning.trust.roots import Root, load_roots

AMAZON = {f"AmazonRootCA{n}" for n in (1, 2, 3, 4)}
G5 = "VeriSign-Class3-Public-Primary-G5"


def told(today: str, **options: timedelta) -> set[tuple[str, str]]:
    return {(n.root, n.kind) for n in notices(load_roots().values(), date.fromisoformat(today), **options)}


def test_in_2027_starfield_is_warned_of_and_nothing_else() -> None:
    assert told("2027-01-01") == {("SFSRootCAG2", "policy")}


def test_in_2030_amazon_1_to_4_are_warned_of() -> None:
    assert told("2030-01-01") == {("SFSRootCAG2", "policy"), *((name, "policy") for name in AMAZON)}


def test_in_2037_expiry_is_warned_of() -> None:
    found = told("2037-06-01")
    assert {("AmazonRootCA1", "expiry"), ("SFSRootCAG2", "expiry"), (G5, "expiry")} <= found


def test_the_history_of_a_distrusted_root_is_no_warning_but_its_end_is() -> None:
    assert not [n for n in told("2027-01-01") if n[0] == G5]
    assert (G5, "expiry") in told("2035-01-01")


@functools.cache
def all_roots() -> dict[str, Root]:
    return load_roots()


@given(st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.integers(0, 4000), st.integers(0, 4000))
def test_a_longer_look_ahead_tells_at_least_as_much(today: date, a: int, b: int) -> None:
    roots = list(all_roots().values())
    near, far = (set(notices(roots, today, timedelta(days=d))) for d in sorted((a, b)))
    assert near <= far
    assert all(n.date - today == timedelta(days=n.days) for n in far)


@pytest.mark.parametrize(
    ("today", "within", "code"),
    [
        ("2024-06-01", "2y", 0),
        ("2025-06-01", "2y", 1),  # Starfield, 2027-04-15
        ("2027-01-01", "30d", 0),
        ("2027-01-01", "2y", 1),
        ("2030-01-01", "6m", 1),
        ("2037-06-01", "1y", 1),
    ],
)
def test_the_exit_code_tells_a_script(today: str, within: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trust", "list", "--on", today, "--fail-within", within, "--json"]) == code
    out = capsys.readouterr().out
    data = json.loads(out)
    assert bool(data["failing"]) is bool(code)
    assert [root["name"] for root in data["roots"]] == list(all_roots())
    assert all(set(r) >= {"name", "subject", "sha256", "key", "not_before", "not_after", "policy", "file"} for r in data["roots"])


def test_people_are_warned_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trust", "list", "--on", "2027-01-01"]) == 0
    shown = capsys.readouterr()
    assert "AmazonRootCA1" in shown.out and "8ecde6884f3d87b1" in shown.out
    assert "warning: SFSRootCAG2: in 104 days (2027-04-15)" in shown.err


def test_spans() -> None:
    assert [span(s).days for s in ("2y", "18m", "6w", "90d", " 1Y ")] == [730, 540, 42, 90, 365]
    assert timedelta(days=2 * 365) <= HORIZON
    for bad in ("", "2", "y", "2 years", "-2y", "2y2m"):
        with pytest.raises(InputError):
            span(bad)


@pytest.mark.parametrize("arguments", [["--fail-within", "soon"], ["--on", "tomorrow"], ["--product", "none.yaml"]])
def test_wrong_arguments_are_one_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trust", "list", *arguments]) == 2
    shown = capsys.readouterr()
    assert not shown.out and "next:" in shown.err and "Traceback" not in shown.err


def test_the_last_day_of_a_look_ahead_belongs_to_it() -> None:
    root = all_roots()["AmazonRootCA1"]
    for days, there in ((10, True), (9, False)):
        found = notices([root], root.not_after.date() - timedelta(days=10), timedelta(days=days))
        assert ("expiry" in {notice.kind for notice in found}) == there
