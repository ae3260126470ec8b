"""A ledger's password never shows, whatever is wrong with its URL; rows and anchors that are none are sentences."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.cli.main import run as twinroot
from provisioning.errors import TwinrootError
from provisioning.ledger import anchor, location
from provisioning.ledger.chain_check import verify
from provisioning.ledger.entry import parse, sha256
from provisioning.ledger.store import Ledger
from tests.support.ledger_rows import MACS, run, tamper

PASSWORD = "c4naryPa55"

URLS = [
    "postgresql+psycopg://user:{}@127.0.0.1:9/ledger",
    "postgresql+psycopg://user:{}@127.0.0.1:port/ledger",
    "postgresql+psycopg://user:{}@127.0.0.1:99999/ledger",
    "postgresql+psycopg://user:x@{}@127.0.0.1/ledger",
    "postgresql+psycopg://user:x/{}@127.0.0.1/ledger",
    "postgresql+psycopg://user:x?{}@127.0.0.1/ledger",
    "postgresql+psycopg://user: {}@127.0.0.1/ledger",
    "postgresql+psycopg://user:%zz{}@127.0.0.1:9/ledger",
    "postgresql+psycopg://127.0.0.1:9/ledger?user=u&password={}",
    "postgresql+psycopg://127.0.0.1:9/ledger?options={}",
    "postgres://user:{}@127.0.0.1/ledger",
    "nosuch://user:{}@host/x",
    "nosuch+driver://user:{}@host/x",
    "postgresql:/user:{}@host/x",
    "postgresql//user:{}@host",
    "mysql+nothere://user:{}@host/x",
    "sqlite://user:{}@host/x",
    "://user:{}@host/x",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("password", [PASSWORD, f"{PASSWORD}%40more", f"%2F{PASSWORD}"])
def test_the_password_never_shows(
    url: str, password: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = url.format(password)
    if ":/" not in url:  # a path like any other, as far as anybody can tell
        return
    for more in ([], ["--json"], ["--debug"]):
        assert twinroot(["ledger", "show", "--ledger", named, *more]) in (2, 3)
        said = "".join(capsys.readouterr())
        assert PASSWORD not in said and "internal-error" not in said, said


def test_what_is_shown_of_a_good_url() -> None:
    made = location.locate("postgresql+psycopg://user:s3cret-word@db.example:5432/ledger?sslmode=require&sslpassword=other-word")
    assert "s3cret-word" not in made.shown + repr(made) and "other-word" not in made.shown
    assert made.shown.startswith("postgresql://user:***@db.example:5432/ledger")
    assert made.scrub('connection to "db" with s3cret-word failed: other-word') == 'connection to "db" with *** failed: ***'
    for path in ("C:\\ledgers\\a@b.sqlite", "some folder/a@b.sqlite"):
        assert location.locate(path).url.get_backend_name() == "sqlite"


VALUES = st.one_of(st.none(), st.integers(), st.floats(), st.binary(max_size=20), st.text(max_size=40))
LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8)
JSON = st.recursive(LEAF, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=8), x, max_size=3), max_leaves=8)
FIELDS = ("format", "seq", "at", "kind", "attempt", "previous", "mac", "device", "outcome", "message")


def bodies() -> st.SearchStrategy[str]:
    import json

    made = st.dictionaries(st.sampled_from(FIELDS), JSON | st.just(1), max_size=10).map(lambda x: json.dumps({"format": 1, **x}))
    return st.one_of(made, st.text(max_size=60), st.just("[" * 100_000), st.just('{"format":1,"seq":' + "[" * 5000))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(dict.fromkeys(("seq", "hash", "body", "kind", "attempt", "mac", "device", "certificate"), VALUES)),
        max_size=4,
    )
)
def test_rows_that_are_none(rows: list[dict[str, object]]) -> None:
    assert verify(rows, {}).ok == (not rows)


@settings(max_examples=300, deadline=None)
@given(bodies())
def test_bodies_that_are_none(body: str) -> None:
    with suppress(ValueError):
        parse(body).as_dict()
    try:
        row = {"seq": 1, "hash": sha256(body), "body": body, "kind": "x", "attempt": "x", "mac": None, "device": None, "certificate": None}
    except UnicodeEncodeError:
        return
    verify([row], {})


def test_the_commands_over_rows_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path) as ledger:
        run(ledger, "a" * 32, MACS[0], ["ws-0"])
    good = sqlite3.connect(path).execute("select body from entries where seq=1").fetchone()[0]
    deep = "[" * 100_000
    for body in (
        "x'00ff'",
        "null",
        "7",
        "'[]'",
        f"'{deep}'",
        "'" + good.replace('"ws-0"', "[1]") + "'",
        "'" + good.replace('"seq":1', '"seq":"1"') + "'",
    ):
        if body == "null":
            continue  # the table itself refuses that
        tamper(path, f"update entries set body={body} where seq=1")
        for command in ("show", "verify", "export"):
            code = twinroot(["ledger", command, "--ledger", str(path)])
            said = "".join(capsys.readouterr())
            assert code in (1, 3) and "internal" not in said and "Traceback" not in said, (command, said)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda n, h: f"{n} {h}\n".encode(),
            st.text("0123456789", min_size=1, max_size=20) | st.just("7" * 5000),
            st.text("0123456789abcdef", min_size=64, max_size=64),
        ),
    )
)
def test_anchors_that_are_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "anchor"
    file.write_bytes(data)
    try:
        anchor.read(file)
    except TwinrootError as error:
        assert error.code == "bad-anchor"


@given(st.text(max_size=80))
def test_heads_that_are_none(text: str) -> None:
    try:
        anchor.parse_head(text)
    except TwinrootError as error:
        assert error.code == "bad-arguments"
