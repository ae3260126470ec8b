"""Product files: what they become, and every way in which they are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from provisioning.config.load import load_product
from provisioning.config.product import Product
from provisioning.errors import InputError
from provisioning.resources import folder
from tests.support.command import twinroot
from tests.support.product_files import PRODUCT, write_product

HOST = "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com"
LEGACY_HOST = "a1b2c3d4e5f6g7.iot.us-east-1.amazonaws.com"
G5 = "VeriSign-Class3-Public-Primary-G5"
CA1 = folder("certs") / "AmazonRootCA1.pem"
CA1_PIN = "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e"


def load(folder: Path, text: str = PRODUCT, more: str = "") -> Product:
    return load_product(write_product(folder, text, more))


def refused(folder: Path, text: str = PRODUCT, more: str = "") -> InputError:
    with pytest.raises(InputError) as caught:
        load(folder, text, more)
    assert "product.yaml" in caught.value.message
    return caught.value


def with_routes(routes: str) -> str:
    return PRODUCT.replace("  region: us-east-1\n", "").replace(f"  endpoint: {HOST}\n", f"  routes:\n{routes}")


def test_routes_are_derived_from_the_endpoint(tmp_path: Path) -> None:
    made = load(tmp_path)
    assert [(r.name, r.host, r.port) for r in made.routes] == [("ats", HOST, 8883), ("legacy", LEGACY_HOST, 8883)]
    assert list(made.roots) == ["AmazonRootCA1", "AmazonRootCA3", "VeriSign-Class3-Public-Primary-G5"]
    assert (made.name, made.version, made.board.name, made.client_id) == ("weather-station", 1, "esp32-generic", "{device}")
    assert (made.wifi, made.time_servers, made.app, made.lab_resolve) == (None, ("pool.ntp.org",), {}, {})


def test_a_phase_orders_the_routes(tmp_path: Path) -> None:
    assert [r.name for r in load(tmp_path, PRODUCT.replace("cloud:\n", "cloud:\n  phase: legacy-first\n")).routes] == ["legacy", "ats"]
    error = refused(tmp_path, PRODUCT.replace("cloud:\n", "cloud:\n  phase: legacy-frist\n"))
    assert error.hint.startswith("Did you mean 'legacy-first'?")


def test_routes_as_written(tmp_path: Path) -> None:
    text = with_routes(
        f"    - {{name: ats, endpoint: {HOST}, roots: [AmazonRootCA3, AmazonRootCA1]}}\n"
        "    - {name: lab, endpoint: broker.lab.example, port: 18883, roots: [LabRoot]}\n"
    )
    made = load(tmp_path, text, f"roots:\n  LabRoot: {{file: {CA1.as_posix()}, sha256: '{CA1_PIN}'}}\n")
    assert [(r.name, r.port, r.roots) for r in made.routes] == [
        ("ats", 8883, ("AmazonRootCA3", "AmazonRootCA1")),
        ("lab", 18883, ("LabRoot",)),
    ]
    assert list(made.roots) == ["AmazonRootCA3", "AmazonRootCA1", "LabRoot"]
    assert made.roots["LabRoot"].sha256 == CA1_PIN


@pytest.mark.parametrize(
    ("roots", "key"),
    [("{fips: [R]}", "lab.roots.fips"), ("{ats: [AmazonRootCA1]}", "lab.roots.ats[0]"), ("{ats: []}", "lab.roots.ats")],
)
def test_roots_of_a_bench_are_pinned_and_for_a_pair(tmp_path: Path, roots: str, key: str) -> None:
    pinned = f"roots:\n  R: {{file: {CA1.as_posix()}, sha256: '{CA1_PIN}'}}\n"
    assert load(tmp_path, more=f"{pinned}lab: {{roots: {{ats: [R]}}}}\n").routes[0].roots == ("R",)
    assert key in refused(tmp_path, more=f"{pinned}lab: {{roots: {roots}}}\n").message
    by_hand = with_routes(f"    - {{name: ats, endpoint: {HOST}, roots: [AmazonRootCA1]}}\n")
    assert "lab.roots.ats" in refused(tmp_path, by_hand, f"{pinned}lab: {{roots: {{ats: [R]}}}}\n").message


def test_lab_patterns_become_addresses(tmp_path: Path) -> None:
    made = load(
        tmp_path, more='lab: {resolve: {"*.iot.us-east-1.amazonaws.com:8883": "127.0.0.1:18883", "pool.ntp.org:123": "127.0.0.1:1123"}}\n'
    )
    assert made.resolved_addresses() == {
        f"{HOST}:8883": "127.0.0.1:18883",
        f"{LEGACY_HOST}:8883": "127.0.0.1:18883",
        "pool.ntp.org:123": "127.0.0.1:1123",
    }


@pytest.mark.parametrize(
    ("old", "new", "says", "hint"),
    [
        ("board:", "bord:", ":2: key 'bord' is not known, expected one of product, version, board,", "Did you mean 'board'?"),
        (
            "  endpoint:",
            "  endpiont:",
            "key 'cloud.endpiont' is not known, expected one of provider, region, endpoint, port, routes",
            "'endpoint'",
        ),
        ("esp32-generic", "esp32-generik", ":2: key 'board': there is no board 'esp32-generik'", "Did you mean 'esp32-generic'?"),
        ("esp32-generic", "boards/mine.yaml", ":2: key 'board': there is no file", ""),
        ("weather-station", "weather station", ":1: key 'product': found 'weather station', expected a name of letters", ""),
        ("weather-station", "!secret x", "!secret x needs the file", ""),
        ("region: us-east-1", "region: eu-west-1", ":5: key 'cloud.endpoint':", "Correct the one that is wrong."),
        ("region: us-east-1", "region: us-east", "key 'cloud.region': found 'us-east', expected an AWS region", ""),
        ("region: us-east-1", "port: '8883'", "key 'cloud.port': found '8883', expected a TCP port", "without quotes"),
        ("region: us-east-1", "port: 0", "found 0, expected a TCP port", ""),
        ("region: us-east-1", "port: 88830", "found 88830, expected a TCP port", ""),
        ("region: us-east-1", "port: true", "found true, expected a TCP port", ""),
        ("region: us-east-1", "port:", "found nothing, expected a TCP port", ""),
        (f"  endpoint: {HOST}\n", "", "key 'cloud': has neither 'endpoint' nor 'routes'", "twinroot aws endpoint"),
        (f"{HOST}\n", f"https://{HOST}/mqtt\n", "expected a host name without https:// and path", ""),
        (f"{HOST}\n", f"{HOST}:8883\n", "expected a host name without port", "port: 8883"),
        (f"{HOST}\n", "'{device}.iot.example'\n", "{fields} are not filled in here", ""),
        (f"{HOST}\n", "bücher.example\n", "expected a host name", ""),
        (f"{HOST}\n", "broker.lab.example\n", "roots of broker.lab.example cannot be derived", "Name them"),
        (
            f"{HOST}\n",
            "a1b2c3d4e5f6g7.credentials.iot.us-east-1.amazonaws.com\n",
            "a credential-provider endpoint, expected a data endpoint",
            "",
        ),
        ("{device}.key", "{device.key", ":8: key 'identity.key': found a single '{'", "{{"),
        ("  certificate:", "  crt:", "key 'identity.crt' is not known, expected one of certificate, key", ""),
    ],
)
def test_wrong_keys_and_values(tmp_path: Path, old: str, new: str, says: str, hint: str) -> None:
    assert old in PRODUCT
    error = refused(tmp_path, PRODUCT.replace(old, new, 1))
    assert says in error.message
    assert hint in error.hint


def test_a_legacy_route_where_there_is_only_ats(tmp_path: Path) -> None:
    error = refused(tmp_path, PRODUCT.replace("us-east-1", "ap-south-1").replace("-ats", ""))
    assert ":5: key 'cloud.endpoint':" in error.message
    assert error.code == "ats-only-region"


@pytest.mark.parametrize(
    ("route", "key", "code"),
    [
        (f"{{name: ats, endpoint: {HOST}, roots: [{G5}]}}", "cloud.routes[0].roots", "root-cannot-anchor"),
        (f"{{name: legacy, endpoint: {LEGACY_HOST}, roots: [AmazonRootCA1]}}", "cloud.routes[0].roots", "root-cannot-anchor"),
        (f"{{name: l, endpoint: abc.iot.ap-south-1.amazonaws.com, roots: [{G5}]}}", "cloud.routes[0].endpoint", "ats-only-region"),
        (f"{{name: ats, endpoint: {HOST}, roots: [AmazonRootCA11]}}", "cloud.routes[0].roots[0]", "unknown-root"),
        (f"{{name: ats, endpoint: {HOST}, roots: []}}", "cloud.routes[0].roots", "bad-value"),
        (f"{{name: Ä, endpoint: {HOST}, roots: [AmazonRootCA1]}}", "cloud.routes[0].name", "bad-value"),
        (f"{{name: ats, endpoint: {HOST}}}", "cloud.routes[0].roots", "missing-key"),
        ("\n    - ".join([f"{{name: a, endpoint: {HOST}, roots: [AmazonRootCA1]}}"] * 2), "cloud.routes[1].name", "duplicate-route"),
    ],
)  # fmt: skip
def test_routes_that_cannot_work(tmp_path: Path, route: str, key: str, code: str) -> None:
    error = refused(tmp_path, with_routes(f"    - {route}\n"))
    assert error.code == code
    assert f"key '{key}'" in error.message
    line = 6 if "[1]" in key else 5
    assert f"product.yaml:{line}:" in error.message or code == "missing-key"


@pytest.mark.parametrize(
    ("pin", "content", "code", "key"),
    [
        (CA1_PIN, None, "no-root-file", "roots.R.file"),
        ("00" * 32, b"", "fingerprint-mismatch", "roots.R.sha256"),
        ("zz", b"", "bad-fingerprint", "roots.R.sha256"),
        (CA1_PIN, b"-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n", "bad-certificate", "roots.R.file"),
        (CA1_PIN, b"hello", "bad-certificate", "roots.R.file"),
    ],
)
def test_pinned_roots(tmp_path: Path, pin: str, content: bytes | None, code: str, key: str) -> None:
    if content is not None:
        (tmp_path / "r.pem").write_bytes(content or CA1.read_bytes())
    error = refused(tmp_path, more=f"roots:\n  R:\n    file: r.pem\n    sha256: '{pin}'\n")
    assert (error.code, f"key '{key}'" in error.message) == (code, True)
    assert f"product.yaml:{11 if key.endswith('file') else 12}:" in error.message


def test_a_pinned_root_cannot_take_a_known_name(tmp_path: Path) -> None:
    error = refused(tmp_path, more=f"roots: {{AmazonRootCA1: {{file: {CA1.as_posix()}, sha256: '{CA1_PIN}'}}}}\n")
    assert error.code == "root-name-taken"


def test_wifi_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SSID", "c4naryssid")
    (tmp_path / "secrets.yaml").write_text("wifi_password: c4narypassword\n")
    path = write_product(tmp_path, more="wifi: {ssid: !env TEST_SSID, password: !secret wifi_password}\n")
    product = load_product(path)
    assert product.wifi is not None
    assert product.wifi.password is not None
    assert product.wifi.password.reveal() == "c4narypassword"
    assert "c4nary" not in repr(product)
    for arguments in (["check"], ["check", "--json"]):
        done = twinroot(*arguments, path, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "c4nary" not in done.stdout + done.stderr
        assert "!secret wifi_password" in done.stdout


@pytest.mark.parametrize(
    "wifi",
    [
        "{ssid: home, password: c4nary}",
        "{ssid: home, password: 12345678901}",
        "{ssid: home, password: [c4nary]}",
        "{ssid: {c4nary: 1}, password: abcdefgh}",
        "{ssid: home, pasword: c4narycanary}",
        "{ssid: home, password: *c4nary}",
        "{ssid: ccccccccccccccccccccccccccccc4nary, password: abcdefgh}",
        "{ssid: home, password: !env C4NARY_MISSING}",
    ],
)
def test_wrong_wifi_is_not_repeated(tmp_path: Path, wifi: str) -> None:
    error = refused(tmp_path, more=f"wifi: {wifi}\n")
    assert "product.yaml:9" in error.message
    assert "c4nary" not in error.message + error.hint
    assert "12345678901" not in error.message + error.hint


def test_secrets_are_only_for_what_stays_secret(tmp_path: Path) -> None:
    (tmp_path / "secrets.yaml").write_text("where: c4nary.example\n")
    error = refused(tmp_path, PRODUCT.replace(HOST, "!secret where"))
    assert "found !secret where, expected the host name" in error.message
    assert "!env" in error.hint
    assert "c4nary" not in error.message


def test_labels_that_are_scanned(tmp_path: Path) -> None:
    rule = load(tmp_path, more='scan: {field: serial, pattern: "SN:([0-9]{4})"}\n').scan
    assert rule is not None and (rule.field, rule.pattern) == ("serial", "SN:([0-9]{4})")
    assert load(tmp_path).scan is None
    for pattern, says in (("([0-9", "not a regular expression"), ("(a)(b)", "at most one"), ("", "expected a regular expression")):
        error = refused(tmp_path, more=f'scan: {{pattern: "{pattern}"}}\n')
        assert "product.yaml:9: key 'scan.pattern': " in error.message and says in error.message


def test_app_files(tmp_path: Path) -> None:
    assert "key 'app.main': there is no file" in refused(tmp_path, more="app: {main: app.py}\n").message
    (tmp_path / "app.py").write_text("print('hi')\n")
    assert load(tmp_path, more="app: {main: app.py}\n").app == {"main.py": tmp_path / "app.py"}


def test_check_prints_one_sentence_and_code_2(tmp_path: Path) -> None:
    path = write_product(tmp_path, PRODUCT.replace("board:", "bord:"))
    done = twinroot("check", path.name, "--json", cwd=tmp_path)
    assert done.returncode == 2
    report = json.loads(done.stdout)
    assert report["outcome"] == "error"
    assert report["message"].startswith("product.yaml:2: key 'bord'")
    assert "Traceback" not in done.stderr
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["product.yaml"]


def test_the_example_as_its_readme_says(tmp_path: Path) -> None:
    home = tmp_path / "my-product"
    shutil.copytree(
        folder("examples") / "weather-station", home, ignore=shutil.ignore_patterns("devices", "factory", "out", "secrets.yaml")
    )
    steps = (
        ("check", "product.yaml"),
        ("identity", "ca", "--name", "Weather factory", "--out", "factory"),
        ("identity", "make", "product.yaml"),
        ("check", "product.yaml", "--devices", "devices.csv"),
        ("render", "product.yaml", "--device", "ws-0001", "--out", "out"),
    )
    readme = (home / "README.md").read_text()
    for step in steps:
        assert "twinroot " + " ".join(step).replace("Weather factory", '"Weather factory"') in readme
        done = twinroot(*step, cwd=home)
        assert done.returncode == 0, done.stderr
    assert (home / "out" / "trust" / "active").read_text() == "1"


def test_the_example_checks_as_it_is(tmp_path: Path) -> None:
    done = twinroot("check", folder("examples") / "weather-station" / "product.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "route 1 ats" in done.stdout


def test_how_a_route_stands(tmp_path: Path) -> None:
    """From certs/, a product's own roots from `status:`; a route stands as the worst of its roots."""
    pin = f"{{file: {CA1.as_posix()}, sha256: '{CA1_PIN}', status: distrusted}}"
    text = with_routes(
        f"    - {{name: ats, endpoint: {HOST}, roots: [AmazonRootCA1]}}\n"
        f"    - {{name: mixed, endpoint: {HOST}, roots: [AmazonRootCA1, SFSRootCAG2]}}\n"
        f"    - {{name: legacy, endpoint: {LEGACY_HOST}, roots: [{G5}]}}\n"
        "    - {name: lab, endpoint: broker.lab.example, roots: [Plain]}\n"
        "    - {name: old, endpoint: broker.lab.example, roots: [Plain, LabRoot]}\n"
    )
    made = load(tmp_path, text, f"roots:\n  LabRoot: {pin}\n  Plain: {pin.replace(', status: distrusted', '')}\n")
    assert [made.standing(route) for route in made.routes] == [2, 1, 0, 2, 0]
    error = refused(tmp_path, text, f"roots:\n  LabRoot: {pin.replace('distrusted', 'distrustd')}\n")
    assert "distrusted" in error.message + error.hint


def test_on_silence(tmp_path: Path) -> None:
    assert load(tmp_path).on_silence == "upward"
    assert load(tmp_path, PRODUCT.replace("cloud:\n", "cloud:\n  on_silence: any\n")).on_silence == "any"
    assert "never" in refused(tmp_path, PRODUCT.replace("cloud:\n", "cloud:\n  on_silence: downward\n")).message


def test_retired_roots(tmp_path: Path) -> None:
    only = PRODUCT.replace("cloud:\n", f"cloud:\n  phase: ats-only\n  retired: [{G5}]\n")
    assert list(load(tmp_path, only).retired) == [G5]
    for name, code in ((G5, "retired-root-used"), ("NoRoot", "unknown-root")):
        error = refused(tmp_path, PRODUCT.replace("cloud:\n", f"cloud:\n  retired: [{name}]\n"))
        assert error.code == code and "cloud.retired[0]" in error.message


def test_port_443_of_another_provider_has_no_way_around(tmp_path: Path) -> None:
    """What carries MQTT in WebSockets alone is not opened by a key that is about AWS's ALPN."""
    for more in ("", "  without_alpn: true\n"):
        text = (
            PRODUCT.replace(HOST, "hub1.azure-devices.net")
            .replace("  region: us-east-1\n", "")
            .replace("cloud:\n", f"cloud:\n  port: 443\n{more}")
        )
        error = refused(tmp_path, text)
        assert error.code == "needs-alpn" and "WebSockets" in error.message and error.hint == "Write `port: 8883`."


@pytest.mark.parametrize("endpoint", [HOST, LEGACY_HOST])
def test_port_443_needs_alpn(tmp_path: Path, endpoint: str) -> None:
    """MicroPython's ssl sends none: refused with that reason, unless the host is the owner's or the product says that it goes without."""
    text = PRODUCT.replace(HOST, endpoint)
    error = refused(tmp_path, text.replace("cloud:\n", "cloud:\n  port: 443\n"))
    assert error.code == "needs-alpn" and "x-amzn-mqtt-ca" in error.message and "8883" in error.hint
    assert load(tmp_path, text.replace("cloud:\n", "cloud:\n  port: 443\n  without_alpn: true\n")).routes[0].port == 443
    written = f"    - {{name: one, endpoint: {endpoint}, port: 443, roots: [{'AmazonRootCA1' if '-ats' in endpoint else G5}]}}\n"
    error = refused(tmp_path, with_routes(written))
    assert error.code == "needs-alpn" and "cloud.routes[0].port" in error.message
    own = "    - {name: lab, endpoint: broker.lab.example, port: 443, roots: [AmazonRootCA1]}\n"
    assert load(tmp_path, with_routes(own)).routes[0].port == 443
