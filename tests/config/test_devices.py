"""Devices: CSV files as people have them, and the fields they fill in."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.config.device import Device, load_devices, single_device
from provisioning.config.load import load_product
from provisioning.config.template import fields_of, fill
from provisioning.config.unit import choose, unit
from provisioning.errors import InputError
from tests.support.product_files import PRODUCT, write_product


def csv(folder: Path, content: str | bytes) -> Path:
    path = folder / "devices.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "device,site\nws-1,north\nws-2,south\n",
        b"\xef\xbb\xbfdevice;site\r\nws-1;north\r\nws-2;south\r\n",
        "device\tsite\nws-1\tnorth\nws-2\tsouth",
        "device, site ,\n\nws-1, north,\nws-2,south,\n,,\n",
        'site,device\n"north",ws-1\nsouth,"ws-2"\n',
    ],
)
def test_tables_as_people_have_them(tmp_path: Path, content: str | bytes) -> None:
    made = load_devices(csv(tmp_path, content))
    assert [(d.id, d.fields["site"]) for d in made] == [("ws-1", "north"), ("ws-2", "south")]


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        ("", "csv-empty", "devices.csv: the file is empty"),
        ("\n\n", "csv-empty", "devices.csv: the file is empty"),
        ("device,site\n", "csv-empty", "no device below"),
        ("site,name\nx,y\n", "csv-no-device", ":1: no column 'device', found site, name"),
        ("Device\nx\n", "csv-no-device", ":1: no column 'device'"),
        ("device,device\na,b\n", "csv-column", ":1: column 'device' is there twice"),
        ("device,s/te\na,b\n", "csv-column", ":1: column name 's/te'"),
        ("device\na\nb\nA\n", "csv-duplicate", ":4: device 'A' is there twice, first in line 2"),
        ("device,x\na,1\nb\n", "csv-width", ":3: 1 value, expected 2"),
        ("device,x\na,1,2\n", "csv-width", ":2: 3 values, expected 2"),
        ("device\n../etc/passwd\n", "bad-device-id", ":2: device '../etc/passwd'"),
        ("device\na b\n", "bad-device-id", ":2:"),
        ("device\nüber\n", "bad-device-id", ":2:"),
        ("device,x\n,1\n", "bad-device-id", ":2: device ''"),
        ("device\nCON\n", "bad-device-id", ":2:"),
        ("device\nend.\n", "bad-device-id", ":2:"),
        ("device\n" + "a" * 65 + "\n", "bad-device-id", ":2:"),
        ("device\n+/#\n", "bad-device-id", ":2:"),
        ('device,x\na,"1\n', "csv-syntax", ":2: not CSV"),
        ("device\n" + "a" * 200_000 + "\n", "csv-syntax", ":2: not CSV"),
        (b"device\na\xe4\n", "not-utf-8", ":2:"),
        ("device\na\n".encode("utf-16"), "not-utf-8", ":1:"),
        (b"device\n\0\n", "csv-binary", "zero bytes"),
        (b"PK\x03\x04\x14\x00", "csv-binary", "zero bytes"),
    ],
)
def test_one_sentence_with_its_line(tmp_path: Path, content: str | bytes, code: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        load_devices(csv(tmp_path, content))
    assert (caught.value.code, says in caught.value.message) == (code, True), caught.value.message
    assert caught.value.hint


def test_columns_are_not_shown() -> None:
    assert "c4nary" not in repr(Device("a", {"device": "a", "password": "c4nary"}))


def test_ids_from_the_command_line() -> None:
    assert single_device("ws-0001").fields == {"device": "ws-0001"}
    with pytest.raises(InputError, match="--device: device 'a/b'"):
        single_device("a/b")


def test_templates() -> None:
    assert fields_of("devices/{device}-{site_1}.pem") == ["device", "site_1"]
    assert fill("{{x}}{device}", {"device": "a"}) == "{x}a"
    for wrong in ("{", "}", "{}", "{a", "a}", "{a-}", "{1}"):
        if wrong == "{a-}":
            continue
        with pytest.raises(ValueError, match="expected a field"):
            fields_of(wrong)


def test_fields_of_a_row(tmp_path: Path) -> None:
    text = PRODUCT.replace("devices/{device}.key.pem", "keys/{site}/k.pem")
    product = load_product(write_product(tmp_path, text, 'client_id: "{site}-{device}"\nwifi: {ssid: "{site}", password: "pass-{code}"}\n'))
    row = load_devices(csv(tmp_path, "device,site,code\nws-1,north,c4nary\n"))[0]
    made = unit(product, row)
    assert (made.client_id, made.key) == ("north-ws-1", tmp_path / "keys" / "north" / "k.pem")
    assert made.ssid is not None
    assert made.password is not None
    assert (made.ssid.reveal(), made.password.reveal()) == ("north", "pass-c4nary")
    assert "c4nary" not in repr(made)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("device\nws-1\n", "product.yaml:9: key 'client_id': field '{site}' is not a column of"),
        ("device,site\nws-1,\n", "devices.csv:2: column 'site' is empty"),
        ("device,sites\nws-1,x\n", "field '{site}' is not a column"),
    ],
)
def test_fields_that_a_row_does_not_have(tmp_path: Path, content: str, says: str) -> None:
    product = load_product(write_product(tmp_path, more='client_id: "{site}"\n'))
    with pytest.raises(InputError) as caught:
        unit(product, load_devices(csv(tmp_path, content))[0])
    assert says in caught.value.message


def test_a_column_cannot_leave_the_folder(tmp_path: Path) -> None:
    product = load_product(write_product(tmp_path, PRODUCT.replace("{device}.key", "{site}.key")))
    for cell in ("../../etc/x", "a\\b", ".ssh"):
        with pytest.raises(InputError, match="becomes part of a path"):
            unit(product, load_devices(csv(tmp_path, f"device,site\nws-1,{cell}\n"))[0])


def test_a_password_from_elsewhere_may_hold_braces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PASSWORD", "br{ace}s{{")
    product = load_product(write_product(tmp_path, more="wifi: {ssid: home, password: !env TEST_PASSWORD}\n"))
    made = unit(product, single_device("a"))
    assert made.password is not None
    assert made.password.reveal() == "br{ace}s{{"


def test_an_unknown_field_in_a_password_is_not_repeated(tmp_path: Path) -> None:
    product = load_product(write_product(tmp_path, more='wifi: {ssid: home, password: "xx{c4nary}xx"}\n'))
    with pytest.raises(InputError) as caught:
        unit(product, single_device("a"))
    assert "c4nary" not in caught.value.message + caught.value.hint


def test_which_devices_a_command_means(tmp_path: Path) -> None:
    table = csv(tmp_path, "device\nws-1\nws-2\n")
    plain = load_product(write_product(tmp_path))
    assert [d.id for d in choose(plain, "ws-9")] == ["ws-9"]
    assert [d.id for d in choose(plain, None, table)] == ["ws-1", "ws-2"]
    assert [d.id for d in choose(plain, "ws-2", table)] == ["ws-2"]
    with pytest.raises(InputError, match="needs to know which device"):
        choose(plain)
    own = load_product(write_product(tmp_path, more="devices: devices.csv\n"))
    assert [d.id for d in choose(own)] == ["ws-1", "ws-2"]
    with pytest.raises(InputError, match="there is no device 'ws-3'") as caught:
        choose(own, "ws-3")
    assert caught.value.hint.startswith("Did you mean 'ws-")


def test_a_client_id_is_counted_in_bytes(tmp_path: Path) -> None:
    product = load_product(write_product(tmp_path, more='client_id: "{site}"\n'))
    fits, longer = load_devices(csv(tmp_path, f"device,site\nws-1,{'ü' * 64}\nws-2,{'ü' * 65}\n"))
    assert unit(product, fits).client_id == "ü" * 64
    with pytest.raises(InputError, match="130 bytes") as caught:
        unit(product, longer)
    assert caught.value.code == "bad-client-id"
