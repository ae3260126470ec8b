"""Mangled files, seeded: each ends in exactly one InputError sentence or is still good, never in another exception.

The files are the example's kind of product, board, CSV and secrets, damaged as disks, editors and people damage them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioning.bundle.bundle import build
from provisioning.bundle.space import check_space
from provisioning.config.load import load_product
from provisioning.config.unit import choose, unit
from provisioning.errors import InputError
from provisioning.resources import folder
from tests.support.product_files import PRODUCT, write_identity, write_product

CANARY = "c4naryc4nary"
BOARD = "extends: esp32-generic\nflash_size: 8MB\nbaud: {max: 2000000}\nusb: ['10c4:ea60', '1a86:7523']\npartition: {size: 0x400000}\n"
TABLE = "device,site,batch\nws-1,north,7\nws-2,south,7\nws-3,east,8\n"
SECRETS = f"wifi_password: {CANARY}\nother: 'x'\n"
MORE = """\
client_id: "{site}-{device}"
wifi: {ssid: "{batch}", password: !secret wifi_password}
devices: devices.csv
time: {servers: [pool.ntp.org, time.example]}
roots:
  LabRoot:
    file: lab.pem
    sha256: "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e"
lab: {resolve: {"*.iot.us-east-1.amazonaws.com:8883": "127.0.0.1:18883"}}
"""

JUNK = (
    b"\t", b"\0", b"\xff", b": ", b"- ", b"{", b"}", b"[", b"]", b"'", b'"', b"#", b"&a ", b"*a", b"!secret ", b"!env X", b"!!binary ",
    b"\n---\n", b"\r", b"%", b"@", b"`", b"|\n", b">\n", b"? ", b",", b";", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"<<: ", b"0x", b"1e999",
    b"\\", b"\x1b[31m", b"../", b"-----END CERTIFICATE-----", b"-----BEGIN PRIVATE KEY-----\n",
)  # fmt: skip
VALUES = (b"-1", b"99999999999999999999999", b"1.5", b"true", b"null", b"[1]", b"{a: 1}", b"''", b".nan", b".inf", b"2026-01-01")

Mangle = Callable[[random.Random, bytes], bytes]


def _flip(rng: random.Random, data: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _hole(rng: random.Random, data: bytes) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randint(1, 40) :]


def _splice(rng: random.Random, data: bytes) -> bytes:
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    at = rng.randrange(len(data))
    return data[:at] + data[a:b] + data[at:]


def _insert(rng: random.Random, data: bytes) -> bytes:
    junk = rng.choice(JUNK)
    at = rng.randrange(len(data) + 1)
    return data[:at] + junk * rng.choice([1, 1, 1, 50]) + data[at:]


def _shuffle_lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def _reencode(rng: random.Random, data: bytes) -> bytes:
    return data.decode("latin-1").encode(rng.choice(["utf-16", "utf-16-le", "utf-32", "cp037"]))


def _replace(rng: random.Random, data: bytes) -> bytes:
    return rng.choice([b"", b"\n", b"~", b"0", b"[]", b"{}", b"PK\x03\x04", rng.randbytes(200), b"\x30\x82\xff\xff", b"a" * 70_000])


def _number(rng: random.Random, data: bytes) -> bytes:
    """Another value behind a colon: the wrong type, the wrong size."""
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    value = rng.choice(
        [b"-1", b"99999999999999999999999", b"1.5", b"true", b"null", b"[1]", b"{a: 1}", b"''", b".nan", b".inf", b"2026-01-01"]
    )
    head, colon, _ = lines[at].partition(b":")
    lines[at] = head + colon + b" " + value + b"\n"
    return b"".join(lines)


MANGLES: tuple[Mangle, ...] = (_flip, _cut, _hole, _splice, _insert, _insert, _shuffle_lines, _reencode, _replace, _number)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of a whole product, by name."""
    home = tmp_path_factory.mktemp("good")
    write_product(home, PRODUCT.replace("esp32-generic", "board.yaml"), MORE)
    (home / "board.yaml").write_text(BOARD)
    (home / "devices.csv").write_text(TABLE)
    (home / "secrets.yaml").write_text(SECRETS)
    (home / "lab.pem").write_bytes((folder("certs") / "AmazonRootCA1.pem").read_bytes().replace(b"\r\n", b"\n"))
    for device in ("ws-1", "ws-2", "ws-3"):
        write_identity(home, device)
    return {entry.relative_to(home).as_posix(): entry.read_bytes() for entry in home.rglob("*") if entry.is_file()}


# 504 files in all; more by hand: TWINROOT_MANGLED=5000 pytest tests/config/test_damaged_files.py
ROUNDS = int(os.environ.get("TWINROOT_MANGLED", "72"))
TARGETS = ("product.yaml", "board.yaml", "devices.csv", "secrets.yaml", "lab.pem", "devices/ws-1.crt.pem", "devices/ws-1.key.pem")


def lay_out(home: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return home / "product.yaml"


def whole_way(path: Path) -> None:
    """What `render` does before it writes."""
    product = load_product(path)
    devices = choose(product)
    for device in devices:
        unit(product, device)
    check_space(product, build(product, devices[0]))


def test_the_unmangled_product_is_good(tmp_path: Path, good: dict[str, bytes]) -> None:
    # LabRoot is AmazonRootCA1 under another name; no route uses it, which is allowed.
    whole_way(lay_out(tmp_path, good))


@pytest.mark.parametrize("target", TARGETS)
def test_one_sentence_each(tmp_path: Path, good: dict[str, bytes], target: str) -> None:
    rng = random.Random(f"mangled {target}")
    path = lay_out(tmp_path, good)
    before = sorted(entry for entry in tmp_path.rglob("*"))
    refused = 0
    for number in range(ROUNDS):
        mangled = good[target]
        for _ in range(rng.choice([1, 1, 2, 3])):
            mangled = rng.choice(MANGLES)(rng, mangled or b" ")
        (tmp_path / target).write_bytes(mangled)
        try:
            whole_way(path)
        except InputError as error:
            refused += 1
            assert error.message, number
            assert "\n" not in error.message + error.hint, (number, error.message)
            assert (error.message + error.hint).isprintable(), (number, error.message)
            assert len(error.message) < 900, (number, error.message)
            assert ".yaml" in error.message or ".csv" in error.message, (number, error.message)
            if target == "secrets.yaml":
                assert "c4nary" not in error.message + error.hint, (number, error.message)
    assert sorted(entry for entry in tmp_path.rglob("*")) == before
    # The damage is real: most of it is noticed (a flipped bit in a comment or a name is not).
    assert refused >= ROUNDS / 2, refused
