"""Bundles: exactly the device's bytes, the same each time, or one sentence with file and line."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from provisioning import result_cache
from provisioning.bundle import compile as compiler
from provisioning.bundle.bundle import RELEASED, Bundle, Interpreter, build
from provisioning.bundle.compile import MPY_VERSION, package
from provisioning.bundle.pack import pack, unpack
from provisioning.bundle.space import blocks, check_space
from provisioning.config.device import single_device
from provisioning.config.load import load_product
from provisioning.errors import InputError, StationError
from tests.support.product_files import PRODUCT, certificate_pem, key_pem, write_identity, write_product

DEVICE = "ws-0001"


def bundle(folder: Path, more: str = "", interpreter: Interpreter | None = None) -> Bundle:
    return build(load_product(write_product(folder, more=more)), single_device(DEVICE), interpreter)


def refused(folder: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        bundle(folder)
    return caught.value


def test_the_set_says_what_is_in_it(tmp_path: Path) -> None:
    certificate, key = write_identity(tmp_path, DEVICE)
    made = bundle(tmp_path)
    line = made.trust["set.json"]
    assert b"\n" not in line
    described = json.loads(line)
    text, _, end = line.partition(b',"sum":')
    assert text + b"}" == json.dumps({k: v for k, v in described.items() if k != "sum"}, sort_keys=True, separators=(",", ":")).encode()
    assert end == b'"%s"}' % hashlib.sha256(text).hexdigest()[:16].encode()
    assert [r["standing"] for r in described["routes"]] == [2, 0]
    assert hashlib.sha256(line).hexdigest() == made.set_sha256
    assert set(made.trust) == {
        "AmazonRootCA1.pem",
        "AmazonRootCA3.pem",
        "VeriSign-Class3-Public-Primary-G5.pem",
        "device.crt.pem",
        "device.key.pem",
        "set.json",
    }
    assert made.trust["device.crt.pem"] == certificate.read_bytes()
    assert made.trust["device.key.pem"] == key.read_bytes()
    assert {k: described[k] for k in ("format", "product", "version", "device", "board", "chip", "client_id", "cert", "key")} == {
        "format": 1,
        "product": "weather-station",
        "version": 1,
        "device": DEVICE,
        "board": "esp32-generic",
        "chip": "esp32",
        "client_id": DEVICE,
        "cert": "device.crt.pem",
        "key": "device.key.pem",
    }
    assert [route["name"] for route in described["routes"]] == ["ats", "legacy"]
    assert described["time"]["servers"] == ["pool.ntp.org"]
    assert described["time"]["floor"] >= RELEASED
    assert "wifi" not in described
    assert "lab" not in described
    every = {**made.trust, **made.lib}
    assert described["files"]
    for name, digest in described["files"].items():
        assert hashlib.sha256(every[name]).hexdigest() == digest
    # Everything but the description itself, the loader and the user's files.
    assert set(every) - set(described["files"]) == {"set.json", "/lib/twinroot/__init__.py"}
    assert made.package == described["package"]
    assert made.total_bytes == sum(map(len, every.values()))


def test_the_package_is_named_by_its_content(tmp_path: Path) -> None:
    write_identity(tmp_path, DEVICE)
    made = bundle(tmp_path)
    content = made.lib[f"/lib/twinroot/{made.package}"]
    modules = unpack(content)
    assert pack(modules) == (made.package, content)
    assert len(made.package) == 12
    assert all(name.endswith(".mpy") and module[:2] == bytes([ord("M"), MPY_VERSION]) for name, module in modules.items())
    changed = {**modules, min(modules): b"M\x06"}
    assert pack(changed)[0] != made.package


def test_a_damaged_package_is_none() -> None:
    content = package(MPY_VERSION).content
    first_row = 2 + len(b"\0adapter.mpy\0")
    for at in (first_row + 4, first_row + 9, len(content) - 1):  # a size, a hash, a module
        with pytest.raises(ValueError):
            unpack(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    for size in (50, 500, len(content) - 1):
        with pytest.raises(ValueError):
            unpack(content[:size])


def test_an_interpreter_without_mpy_gets_sources(tmp_path: Path) -> None:
    write_identity(tmp_path, DEVICE)
    for mpy in (None, 5):
        made = bundle(tmp_path, interpreter=Interpreter((1, 18), mpy, "esp32"))
        assert all(name.endswith(".py") for name in unpack(made.lib[f"/lib/twinroot/{made.package}"]))
    assert made.package != bundle(tmp_path).package


def test_the_loader_is_always_source() -> None:
    compiled, source = package(MPY_VERSION), package(None)
    assert compiled.loader == source.loader
    compile(compiled.loader, "__init__.py", "exec")


def test_a_package_that_does_not_compile_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("")
    with pytest.raises(StationError, match="does not hold the connection package"):
        package(MPY_VERSION, tmp_path)
    (tmp_path / "core.py").write_text("def broken(:\n")
    with pytest.raises(StationError, match=r"mpy-cross refuses firmware/twinroot/core\.py: SyntaxError"):
        package(MPY_VERSION, tmp_path)


def test_a_cached_package_is_what_the_compiler_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_cache, "folder", lambda: tmp_path / "cache")
    modules = {"core.py": b"x = 1\n", "more.py": b"y = 2\n"}
    made = compiler._compiled(modules)
    assert made == compiler._compile(modules)
    monkeypatch.setattr(compiler, "_compile", lambda _: {})
    assert compiler._compiled(modules) == made
    assert compiler._compiled({**modules, "core.py": b"x = 3\n"}) == {}


def test_line_ends_of_the_checkout_do_not_matter(tmp_path: Path) -> None:
    for name, end in (("unix", b"\n"), ("windows", b"\r\n")):
        home = tmp_path / name
        home.mkdir()
        (home / "__init__.py").write_bytes(b"x = 1" + end)
        (home / "core.py").write_bytes(b"y = 2" + end)
    assert package(6, tmp_path / "unix") == package(6, tmp_path / "windows")


def test_the_same_bytes_in_another_process_with_another_hash_seed(tmp_path: Path) -> None:
    write_identity(tmp_path, DEVICE)
    (tmp_path / "app.py").write_text("print('hi')\n")
    more = 'app: {main: app.py}\nlab: {resolve: {"*.amazonaws.com:8883": "127.0.0.1:18883", "a.b:1": "c:2"}}\n'
    made = bundle(tmp_path, more)
    script = (
        "import sys, hashlib; from provisioning.bundle.bundle import build; from provisioning.config.load import load_product\n"
        "from provisioning.config.device import single_device\n"
        f"b = build(load_product(sys.argv[1]), single_device({DEVICE!r}))\n"
        "print(b.set_sha256, hashlib.sha256(repr(sorted({**b.trust, **b.lib}.items())).encode()).hexdigest())"
    )
    expected = hashlib.sha256(repr(sorted({**made.trust, **made.lib}.items())).encode()).hexdigest()
    for seed in ("0", "12345"):
        command = [sys.executable, "-c", script, str(tmp_path / "product.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONHASHSEED": seed}, check=True)
        assert done.stdout.split() == [made.set_sha256, expected]


def test_wifi_lab_and_app(tmp_path: Path) -> None:
    write_identity(tmp_path, DEVICE)
    (tmp_path / "secrets.yaml").write_text("wifi_password: c4narypassword\n")
    (tmp_path / "app.py").write_text("print('hi')\n")
    made = bundle(
        tmp_path,
        "wifi: {ssid: home, password: !secret wifi_password}\napp: {main: app.py}\n"
        'lab: {resolve: {"*.iot.us-east-1.amazonaws.com:8883": "127.0.0.1:18883"}}\n',
    )
    described = json.loads(made.trust["set.json"])
    assert described["wifi"] == {"ssid": "home", "password": "c4narypassword"}
    assert described["lab"]["resolve"] == {f"{route['host']}:8883": "127.0.0.1:18883" for route in described["routes"]}
    assert made.lib["/main.py"] == b"print('hi')\n"
    assert "/boot.py" not in made.lib
    assert "/main.py" not in described["files"]
    assert "c4nary" not in repr(made)


def test_the_tree_ends_with_the_pointer(tmp_path: Path) -> None:
    write_identity(tmp_path, DEVICE)
    made = bundle(tmp_path)
    tree = made.tree(7)
    assert list(tree)[-2:] == ["/trust/7/set.json", "/trust/active"]
    assert tree["/trust/active"] == b"7"
    assert sum(map(len, tree.values())) == made.total_bytes + 1


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())],
    ids=["rsa", "p384"],
)
def test_other_keys(tmp_path: Path, key: rsa.RSAPrivateKey) -> None:
    write_identity(tmp_path, DEVICE, key)
    assert bundle(tmp_path).trust["device.key.pem"] == key_pem(key)


def test_what_surrounds_a_pem_stays_on_the_host(tmp_path: Path) -> None:
    certificate, key = write_identity(tmp_path, DEVICE)
    plain = bundle(tmp_path)
    certificate.write_bytes(b"subject: CN = ws\r\n\r\n" + certificate.read_bytes().replace(b"\n", b"\r\n"))
    key.write_bytes(b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + key.read_bytes())
    assert bundle(tmp_path) == plain


def certificate_of(folder: Path) -> Path:
    return folder / "devices" / f"{DEVICE}.crt.pem"


def key_of(folder: Path) -> Path:
    return folder / "devices" / f"{DEVICE}.key.pem"


def without_second_line(file: Path) -> bytes:
    lines = file.read_bytes().splitlines(keepends=True)
    return b"".join(lines[:1] + lines[2:])


@pytest.mark.parametrize(
    ("change", "line", "code", "says"),
    [
        (lambda f: certificate_of(f).unlink(), 7, "file-missing", "no such file, expected the device's certificate"),
        (lambda f: key_of(f).unlink(), 8, "file-missing", "no such file, expected the device's private key"),
        (lambda f: certificate_of(f).write_bytes(b""), 7, "bad-pem", "it is empty"),
        (lambda f: certificate_of(f).write_bytes(b"\x00\xff" * 500), 7, "bad-pem", "neither PEM nor DER"),
        (lambda f: certificate_of(f).write_bytes(certificate_of(f).read_bytes()[:200]), 7, "bad-pem", "has no end"),
        (lambda f: certificate_of(f).write_bytes(certificate_of(f).read_bytes().replace(b"MII", b"M!I")), 7, "bad-pem", "not base64"),
        (lambda f: certificate_of(f).write_bytes(without_second_line(certificate_of(f))), 7, "bad-pem", "damaged"),
        (lambda f: certificate_of(f).write_bytes(key_of(f).read_bytes()), 7, "bad-certificate", "holds a private key, and a certificate"),
        (lambda f: certificate_of(f).write_bytes(certificate_of(f).read_bytes() * 2), 7, "bad-certificate", "holds 2 certificates"),
        (lambda f: key_of(f).write_bytes(certificate_of(f).read_bytes()), 8, "bad-key", "holds a certificate, and a private key"),
        (lambda f: key_of(f).write_bytes(key_pem(ec.generate_private_key(ec.SECP256R1()))), 8, "key-mismatch", "does not belong"),
        (lambda f: key_of(f).write_bytes(key_pem(ec.generate_private_key(ec.SECP256K1()))), 8, "bad-key", "does not suit"),
        (lambda f: key_of(f).write_bytes(key_pem(rsa.generate_private_key(65537, 1024))), 8, "bad-key", "does not suit"),
        (lambda f: write_identity(f, DEVICE, start=timedelta(days=-9), end=timedelta(days=-1)), 7, "certificate-expired", "expired on"),
        (lambda f: write_identity(f, DEVICE, start=timedelta(days=2)), 7, "certificate-not-yet-valid", "in the future"),
    ],
)  # fmt: skip
def test_files_that_are_no_identity(tmp_path: Path, change: object, line: int, code: str, says: str) -> None:
    write_identity(tmp_path, DEVICE)
    assert callable(change)
    change(tmp_path)
    error = refused(tmp_path)
    assert (error.code, says in error.message) == (code, True), error.message
    assert f"product.yaml:{line}: key 'identity." in error.message
    assert "\n" not in error.message


def test_encrypted_keys_are_refused_with_the_way_out(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = ec.generate_private_key(ec.SECP256R1())
    write_identity(tmp_path, DEVICE, key)
    form = serialization.PrivateFormat
    for style in (form.PKCS8, form.TraditionalOpenSSL):
        secret = key.private_bytes(serialization.Encoding.PEM, style, serialization.BestAvailableEncryption(b"c4nary"))
        key_of(tmp_path).write_bytes(secret)
        error = refused(tmp_path)
        assert (error.code, "openssl pkey" in error.hint) == ("key-encrypted", True)


def test_a_certificate_of_the_right_key_with_another_name_is_fine(tmp_path: Path) -> None:
    # AWS names certificates itself ("AWS IoT Certificate"): the name says nothing about the device.
    key = ec.generate_private_key(ec.SECP256R1())
    write_identity(tmp_path, DEVICE, key)
    certificate_of(tmp_path).write_bytes(certificate_pem(key, "AWS IoT Certificate"))
    assert bundle(tmp_path).device == DEVICE


def test_too_big_says_by_how_much(tmp_path: Path) -> None:
    write_identity(tmp_path, DEVICE)
    (tmp_path / "app.py").write_bytes(b"#" * 1_900_000)
    product = load_product(write_product(tmp_path, more="app: {main: app.py}\n"))
    with pytest.raises(InputError, match=r"product\.yaml:2: key 'board': device ws-0001 needs \d+ KB .* \d+ KB too much") as caught:
        check_space(product, build(product, single_device(DEVICE)))
    assert caught.value.code == "too-big"
    (tmp_path / "app.py").write_bytes(b"#" * 1_000_000)
    check_space(product, build(product, single_device(DEVICE)))


def test_blocks_of_littlefs() -> None:
    assert blocks({"/a": b"x", "/b/c": b"x" * 4097}) == 1 + 2 + 2 * 2


def test_a_small_partition_is_found_out(tmp_path: Path) -> None:
    write_identity(tmp_path, DEVICE)
    (tmp_path / "small.yaml").write_text("extends: esp32-generic\npartition: {size: 0x20000}\n")
    product = load_product(write_product(tmp_path, PRODUCT.replace("esp32-generic", "small.yaml")))
    with pytest.raises(InputError, match="partition 'vfs' of small"):
        check_space(product, build(product, single_device(DEVICE)))
