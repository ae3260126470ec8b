"""Texts of people in YAML: what YAML would change in silence is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.config.load import load_product
from provisioning.errors import InputError
from tests.support.product_files import write_product


def refused(folder: Path, more: str) -> InputError:
    with pytest.raises(InputError) as caught:
        load_product(write_product(folder, more=more))
    assert "product.yaml:" in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    "wifi",
    [
        "wifi:\n  ssid: Home #2\n",
        "wifi:\n  ssid: Home # 2\n  password: abcdefgh\n",
        "wifi:\n  ssid: home\n  password: abcdefgh #1\n",
        "wifi:\n  ssid: home\n  password: #abcdefgh\n",
        "wifi: {ssid: home, password: abcdefgh #1\n }\n",
        "wifi:\n  ssid: #1\n",
    ],
)
def test_a_text_cut_at_a_comment(tmp_path: Path, wifi: str) -> None:
    error = refused(tmp_path, wifi)
    assert error.code == "yaml-comment" and "quotes" in error.hint and "abcdefgh" not in error.message + error.hint


@pytest.mark.parametrize(
    ("wifi", "ssid"),
    [
        ('wifi: {ssid: "Home #2"}\n', "Home #2"),
        ("wifi: {ssid: 'Home #2'} # the one upstairs\n", "Home #2"),
        ("wifi:\n  # the one upstairs\n  ssid: Home#2\n", "Home#2"),
        ('wifi:\n  ssid: "Home" # the one upstairs\n', "Home"),
        ('wifi: {ssid: "“Home”"}\n', "“Home”"),
    ],
)
def test_texts_that_are_what_they_seem(tmp_path: Path, wifi: str, ssid: str) -> None:
    made = load_product(write_product(tmp_path, more=wifi)).wifi
    assert made is not None and made.ssid.reveal() == ssid


def test_comments_elsewhere_are_comments(tmp_path: Path) -> None:
    product = load_product(
        write_product(tmp_path, more='client_id: "{device}" # as AWS has it\nversion: 3 #three\ndevices: all.csv # later\n')
    )
    assert (product.version, product.client_id) == (3, "{device}")
    assert refused(tmp_path, "client_id: ws #{device}\n").code == "yaml-comment"


def test_secrets_are_read_as_strictly(tmp_path: Path) -> None:
    (tmp_path / "secrets.yaml").write_text("wifi_password: hunter22 #1\n")
    with pytest.raises(InputError, match=r"secrets\.yaml:1:.* begins a comment") as caught:
        load_product(write_product(tmp_path, more="wifi: {ssid: home, password: !secret wifi_password}\n"))
    assert "hunter22" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("line", ["client_id: “{device}”", "wifi: {ssid: ‘home’}", "wifi: {ssid: „home“}", "client_id: «{device}»"])
def test_typographic_quotes(tmp_path: Path, line: str) -> None:
    error = refused(tmp_path, f"{line}\n")
    assert error.code == "yaml-quotes" and "straight quotes" in error.hint


@pytest.mark.parametrize(
    ("wifi", "hint"),
    [
        (f"{{ssid: home, password: {'x' * 64}}}", "WPA2"),
        (f"{{ssid: home, password: '{'0123456789abcde ' * 4}'}}", "WPA2"),
        ('{ssid: home, password: ""}', "open network leave `password` out"),
        ("{ssid: home, password: }", "open network leave `password` out"),
        ("{ssid: home, password: ~}", "open network leave `password` out"),
    ],
)
def test_passwords_that_are_none(tmp_path: Path, wifi: str, hint: str) -> None:
    error = refused(tmp_path, f"wifi: {wifi}\n")
    assert error.code == "bad-wifi" and hint in error.hint


def test_a_hexadecimal_key_is_a_password(tmp_path: Path) -> None:
    assert load_product(write_product(tmp_path, more=f"wifi: {{ssid: home, password: '{'0aF9' * 16}'}}\n")).wifi


@pytest.mark.parametrize("text", ["hunter2", "12345678", "[hunter2]", "'hunter2'"])
@pytest.mark.parametrize("key", ["wifi: ", "identity: {certificate: a, key: b, issue: {ca: x, pkcs11: "])
def test_a_secret_in_the_place_of_its_block_is_not_printed(tmp_path: Path, key: str, text: str) -> None:
    closed = "}" * key.count("{")
    with pytest.raises(InputError) as caught:
        load_product(write_product(tmp_path, "product: p\nboard: esp32-generic\ncloud: {endpoint: a-ats.iot.us-east-1.amazonaws.com}\n"
                     + ("" if "identity" in key else "identity: {certificate: a, key: b}\n") + f"{key}{text}{closed}\n"))  # fmt: skip
    assert "hunter2" not in caught.value.message + caught.value.hint and "12345678" not in caught.value.message
