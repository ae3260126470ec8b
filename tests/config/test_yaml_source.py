"""The YAML reader: places, tags, and one sentence for whatever is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provisioning.config.document import Document
from provisioning.config.values import Secret
from provisioning.config.yaml_source import load
from provisioning.errors import InputError


def read(folder: Path, content: str | bytes) -> Document:
    path = folder / "x.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load(path)


def refused(folder: Path, content: str | bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        read(folder, content)
    error = caught.value
    assert error.exit_code == 2
    assert "\n" not in error.message
    assert error.message.endswith((".", "?"))
    return error


def test_every_node_has_its_place(tmp_path: Path) -> None:
    made = read(tmp_path, "a: 1\nb:\n  c: [x, {d: 2}]\n")
    assert made.data == {"a": 1, "b": {"c": ["x", {"d": 2}]}}
    assert (made.keys[("b", "c")].line, made.keys[("b", "c")].column) == (3, 3)
    assert (made.values[("b", "c", 1, "d")].line, made.values[("b", "c", 1, "d")].column) == (3, 14)
    assert made.mark(("b", "nothing", "here")).line == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("10:20:30:40:50:51", "10:20:30:40:50:51"),
        ("2026-01-01", "2026-01-01"),
        ("true", True),
        ("0x1000", 4096),
        ("0o17", 15),
        ("017", 17),
        ("1_000", "1_000"),
        ("-1.5e3", -1500.0),
        ("null", None),
        ("", None),
        ("'8883'", "8883"),
    ],
)
def test_scalars_follow_yaml_1_2(tmp_path: Path, text: str, value: object) -> None:
    found = read(tmp_path, f"a: {text}\n").data["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("content", "code", "line", "says"),
    [
        ("a:\n\tb: 1\n", "yaml-tab", ":2:1:", "a tab"),
        ("a: 1\n\tb: 2\n", "yaml-tab", ":2:", "a tab"),
        ("a:\n  b: 1\n \t c: 2\n", "yaml-tab", ":3:", "a tab"),
        ("a: 1\nb: 2\na: 3\n", "yaml-duplicate", ":3:", "twice, first in line 1"),
        ("a: b: c\n", "yaml-syntax", ":1:5:", "second ':'"),
        ("a: [1, 2\nb: 3\n", "yaml-syntax", ":2:", "closed"),
        ('a: "x\n', "yaml-syntax", ":2:", "not closed"),
        ("a: *x\n", "yaml-syntax", ":1:4:", "anchor"),
        ("a: @x\n", "yaml-syntax", ":1:4:", "cannot start"),
        ("a: !foo x\n", "yaml-tag", ":1:", "!env NAME or !secret NAME"),
        ("a: !!python/object:os.system x\n", "yaml-tag", ":1:", "tag"),
        ("a: !!int hunter2\n", "yaml-tag", ":1:", "tag"),
        ("a: 1\n---\nb: 2\n", "yaml-syntax", ":2:", "second document"),
        ("", "yaml-empty", "x.yaml:", "empty"),
        ("# only a comment\n", "yaml-empty", "x.yaml:", "empty"),
        ("- a\n- b\n", "yaml-top-level", ":1:", "found a list"),
        ("hello\n", "yaml-top-level", ":1:", "found text"),
        (b"a: 1\nb: \xff\n", "not-utf-8", ":2:", "UTF-8"),
        ("a: 1\n".encode("utf-16"), "not-utf-8", ":1:", "UTF-8"),
        (b"a: 1\nb: \x01\n", "yaml-character", ":2:", "control character"),
        ("[" * 5000, "yaml-depth", "x.yaml:", "nested"),
        ("a: " + "[" * 400 + "]" * 400, "yaml-depth", "x.yaml:", "nested"),
        ("a: &x [*x]\n", "yaml-depth", "x.yaml:", "refers to itself"),
        ('a: "\\0"\n', "yaml-character", ":1:", "escape"),
        ('a: "\\uD800"\n', "yaml-character", ":1:", "escape"),
        ("? [a, b]\n: 1\n", "yaml-key", ":1:", "not a plain text"),
        ("a: !env\n", "env-name", ":1:", "name of an environment variable"),
        ("a: !env NO_SUCH_VARIABLE_HERE\n", "env-missing", ":1:", "NO_SUCH_VARIABLE_HERE is not set"),
        ("a: 1\nb: !secret wifi\n", "secrets-missing", ":2:", "secrets.yaml, which is not there"),
        ("x" * 1_000_001, "file-too-big", "x.yaml:", "1 MB"),
        ('a: "\\UFFFFFFFF"\n', "yaml-character", "x.yaml", "escape"),
    ],
)
def test_one_sentence_with_its_place(tmp_path: Path, content: str | bytes, code: str, line: str, says: str) -> None:
    error = refused(tmp_path, content)
    assert error.code == code
    assert line in error.message
    assert says in error.message


def test_anchors_that_multiply_end(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    assert refused(tmp_path, bomb).code == "yaml-size"


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "product.yaml").write_text("a: 1\n")
    with pytest.raises(InputError, match="no such file") as caught:
        load(tmp_path / "produkt.yaml")
    assert caught.value.hint == "Did you mean 'product.yaml'?"
    with pytest.raises(InputError, match="this is a folder"):
        load(tmp_path)


def test_links_in_a_circle_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "circle.yaml").symlink_to("circle.yaml")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "circle.yaml")
    assert caught.value.code == "file-unreadable"


@pytest.mark.parametrize("value", [b"caf\xe9", b"a\x1bb"])
def test_an_environment_that_is_no_text(tmp_path: Path, value: bytes) -> None:
    os.environb[b"SOME_SSID"] = value
    try:
        error = refused(tmp_path, "a: !env SOME_SSID\n")
    finally:
        del os.environb[b"SOME_SSID"]
    assert error.code == "env-character"
    assert "SOME_SSID" in error.message and "caf" not in error.message


def test_env_and_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SSID", "lab: 5 GHz")
    (tmp_path / "secrets.yaml").write_text("wifi_password: 'c4nary: #1'\n")
    made = read(tmp_path, "a: !env SOME_SSID\nb: !secret wifi_password\n")
    assert made.data["a"] == "lab: 5 GHz"
    assert made.found(("a",)) == "!env SOME_SSID"
    secret = made.data["b"]
    assert isinstance(secret, Secret)
    assert secret.reveal() == "c4nary: #1"
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", made.found(("b",)), repr(made)):
        assert "c4nary" not in shown
    assert str(secret) == "!secret wifi_password"


@pytest.mark.parametrize(
    "content",
    [
        "w: *c4nary\n",
        "w: &c4nary\n",
        "w: !c4nary x\n",
        "w: 'c4nary\n",
        "c4nary: 1\nc4nary: 2\n",
        "w: c4nary: x\n",
        "w: [c4nary\n",
        "w: 0x\n\tc4nary\n",
    ],
)
def test_broken_secrets_are_not_repeated(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.yaml").write_text(content)
    error = refused(tmp_path, "a: !secret w\n")
    assert "secrets.yaml" in error.message
    assert "c4nary" not in error.message + error.hint


def test_secret_of_the_wrong_kind_or_name(tmp_path: Path) -> None:
    (tmp_path / "secrets.yaml").write_text("wifi_password: 12345678\n")
    error = refused(tmp_path, "a: !secret wifi_password\n")
    assert "secrets.yaml:1" in error.message
    assert "12345678" not in error.message
    assert refused(tmp_path, "a: !secret wifi_pasword\n").hint == "Did you mean 'wifi_password'?"


def test_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    made = read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert made.data == {"a": 1, "b": 2}
    assert made.keys[("b",)].line == 2
