"""`twinroot sign`, from a rendered product to a container that a board takes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from provisioning.bundle.bundle import runner
from provisioning.errors import InputError
from provisioning.ota import job_document, signed_set
from tests.device.jail import ROOT, Board
from tests.device.test_ota import vendor
from tests.support import pki
from tests.support.command import twinroot

FEED = """
import json, twinroot
from twinroot import ota
u = ota.Update()
with open("/update", "rb") as f:
    u.feed(f.read())
print(json.dumps([u.done, twinroot.slots.active(), twinroot.sets.read(2)["version"]]))
"""


def at(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command at the station of `folder`, with the key's passphrase in its environment."""
    place = {"TWINROOT_SIGNING_PASSPHRASE": "correct horse", "PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    return twinroot(*arguments, cwd=folder, env=place)


@pytest.fixture
def station(tmp_path: Path) -> Path:
    folder = tmp_path / "station"
    shutil.copytree(ROOT / "examples" / "weather-station", folder)
    (folder / "devices").mkdir(exist_ok=True)
    ca = pki.root("CA")
    device = pki.client("ws-0001", ca)
    (folder / "devices" / "ws-0001.crt.pem").write_bytes(device.pem)
    (folder / "devices" / "ws-0001.key.pem").write_bytes(device.key_pem)
    return folder


def test_from_render_to_a_new_set(station: Path, tmp_path: Path) -> None:
    product = station / "product.yaml"
    text = product.read_text().replace("!secret wifi_password", "secret-word").replace("!env WIFI_SSID", "net")
    assert at(station, "sign", "new-key", "vendor.key.pem").returncode == 0
    rendered = {}
    for version in (1, 2):
        lines = [line for line in text.splitlines() if not line.startswith("version:")]
        product.write_text("\n".join([*lines, f"version: {version}", "updates: {key: vendor.pub.pem}", ""]))
        done = at(station, "render", "product.yaml", "--device", "ws-0001", "--out", f"out{version}")
        assert done.returncode == 0, done.stderr
        rendered[version] = station / f"out{version}"
    done = at(station, "sign", "set", "out2", "--key", "vendor.key.pem", "--out", "update.bin", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == 2
    container = (station / "update.bin").read_bytes()
    assert (station / "devices" / "ws-0001.key.pem").read_bytes().splitlines()[1] not in container, "the device's key stays where it is"
    tree = {f"/{p.relative_to(rendered[1])}": p.read_bytes() for p in rendered[1].rglob("*") if p.is_file()}
    board = Board(tmp_path / "board", {p: d for p, d in tree.items() if not p.startswith("/main")} | {"/update": container})
    assert board.run(FEED).json == [True, 2, 2]


RUN = """
import json, twinroot
ran = []
execfile("/main.py", {"__name__": "__main__", "ran": ran})
print(json.dumps([ran, twinroot.slots.active()]))
"""


def test_an_application_goes_along(station: Path, tmp_path: Path) -> None:
    """By cable and over the air it lies in the set, and /main.py runs it."""
    assert at(station, "sign", "new-key", "vendor.key.pem").returncode == 0
    (station / "boot.py").write_text("# boots\n")
    for version in (1, 2):
        (station / "main.py").write_text(f"ran.append({version})\n")
        out = render(station, version, "vendor.pub.pem", "app: {main: main.py, boot: boot.py}")
        assert (out / "main.py").read_bytes() == runner() and f"append({version})" in (out / "trust/1/main.py").read_text()
    arguments = ("sign", "set", "out2", "--key", "vendor.key.pem", "--out")
    done = at(station, *arguments, "update.bin")
    assert done.returncode == 0 and "--without-app" in done.stderr and "boot.py does not go" in done.stderr, done.stderr
    tree = {f"/{p.relative_to(station / 'out1')}": p.read_bytes() for p in (station / "out1").rglob("*") if p.is_file()}
    board = Board(tmp_path / "board", tree | {"/update": (station / "update.bin").read_bytes()})
    assert board.run(RUN).json == [[1], 1]
    assert board.run(FEED).json == [True, 2, 2]
    assert board.run(RUN).json == [[2], 2]
    assert at(station, *arguments, "plain.bin", "--without-app").returncode == 0
    plain = (station / "plain.bin").read_bytes()
    assert not [row for row in job_document.manifest_of(plain)["files"] if row[0].endswith("main.py")] and b"ran.append" not in plain


def test_mistakes_are_sentences(station: Path) -> None:
    for arguments in (
        ("sign", "set", "nowhere", "--key", "vendor.key.pem", "--out", "x"),
        ("sign", "set", ".", "--out", "x"),
        ("sign", "new-key", "product.yaml"),
    ):
        done = at(station, *arguments)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert not (station / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "says"),
    [
        (("new-key", "product.yaml/vendor.key.pem"), 3, "cannot be written"),
        (("set", "out", "--key", "vendor.key.pem", "--out", "update.bin"), 2, "no vendor key"),
        (("set", "out", "--key", "missing.pem", "--out", "update.bin"), 2, "missing.pem"),
        (("set", "out", "--key", "product.yaml", "--out", "update.bin"), 2, "no encrypted private key"),
        (("set", "out", "--command", "'openssl", "--out", "update.bin"), 2, "not a command line"),
        (("set", "out", "--command", "", "--out", "update.bin"), 2, "empty"),
        (("set", "devices", "--key", "vendor.key.pem", "--out", "update.bin"), 2, "no rendered set"),
        (("set", "out", "--key", "vendor.key.pem", "--out", "update.bin", "--passphrase-env", "NOT_SET"), 2, "without a terminal"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_nothing_is_written(
    station: Path, arguments: tuple[str, ...], exit_code: int, says: str
) -> None:
    assert at(station, "render", "product.yaml", "--device", "ws-0001", "--out", "out").returncode == 0
    if "vendor.key.pem" in arguments:
        assert at(station, "sign", "new-key", "vendor.key.pem").returncode == 0
    before = {path for path in station.rglob("*") if path.is_file() and ".cache" not in path.parts}
    done = at(station, "sign", *arguments)
    assert done.returncode == exit_code, done.stderr
    sentence, step = done.stderr.splitlines()
    assert says in sentence and step.startswith("  next: ")
    assert {path for path in station.rglob("*") if path.is_file() and ".cache" not in path.parts} == before


def render(station: Path, version: int, key: str, more: str = "") -> Path:
    """The station's product of that version with that vendor key, rendered into a folder."""
    product = station / "product.yaml"
    text = (ROOT / "examples" / "weather-station" / "product.yaml").read_text()
    text = text.replace("!secret wifi_password", "secret-word").replace("!env WIFI_SSID", "net")
    lines = [line for line in text.splitlines() if not line.startswith("version:")]
    product.write_text("\n".join([*lines, f"version: {version}", f"updates: {{key: {key}}}", more, ""]))
    out = station / f"out{version}"
    done = at(station, "render", "product.yaml", "--device", "ws-0001", "--out", out.name)
    assert done.returncode == 0, done.stderr
    return out


def test_a_signature_that_devices_would_refuse_is_not_written(station: Path) -> None:
    """Another key, PSS instead of PKCS #1 v1.5, a command that signs nothing."""
    for name in ("vendor", "other"):
        assert at(station, "sign", "new-key", f"{name}.key.pem").returncode == 0
    render(station, 2, "vendor.pub.pem")
    openssl = "openssl dgst -sha256 -passin pass:'correct horse' -sign vendor.key.pem"
    wrong = {
        "another key": ("--key", "other.key.pem"),
        "PSS": ("--command", f"{openssl} -sigopt rsa_padding_mode:pss"),
        "another hash": ("--command", openssl.replace("sha256", "sha512")),
        "no signature": ("--command", "echo hi"),
    }
    for what, how in wrong.items():
        done = at(station, "sign", "set", "out2", *how, "--out", "update.bin", "--json")
        assert (done.returncode, json.loads(done.stdout)["code"]) == (2, "signature-not-theirs"), (what, done.stderr)
        assert not (station / "update.bin").exists(), what
    for how in (("--command", openssl), ("--key", "vendor.key.pem")):
        done = at(station, "sign", "set", "out2", *how, "--out", "update.bin")
        assert done.returncode == 0, done.stderr
    done = at(station, "sign", "set", "out2", "--key", "vendor.key.pem", "--out", "none/update.bin")
    assert (done.returncode, "none/update.bin cannot be written" in done.stderr) == (3, True), done.stderr


def test_a_manifest_that_devices_would_refuse_is_not_signed() -> None:
    key = vendor()
    numbers = signed_set.public_numbers(key.public)
    signed_set.sign(b"x" * signed_set.MANIFEST_LIMIT, [], key, numbers)
    with pytest.raises(InputError, match="8,193 bytes"):
        signed_set.sign(b"x" * (signed_set.MANIFEST_LIMIT + 1), [], key, numbers)


ROTATE = """
import json, twinroot
from twinroot import ota
out = []
for name in ("/by-new", "/rotated", "/by-old", "/by-new"):
    u = ota.Update()
    try:
        with open(name, "rb") as f:
            u.feed(f.read())
        ota.restart()
        out.append(twinroot.sets.read(twinroot.SET)["version"])
    except OSError as e:
        out.append(str(e.args[0]))
print(json.dumps(out))
"""


def test_the_vendors_key_is_changed(station: Path, tmp_path: Path) -> None:
    """A set signed with the old key brings the new one; from then on the new key alone is believed."""
    for name in ("old", "new"):
        assert at(station, "sign", "new-key", f"{name}.key.pem").returncode == 0
    one = render(station, 1, "old.pub.pem")
    tree = {f"/{p.relative_to(one)}": p.read_bytes() for p in one.rglob("*") if p.is_file() and not p.name.startswith("main")}
    render(station, 2, "new.pub.pem")
    render(station, 3, "new.pub.pem")
    done = at(station, "sign", "set", "out2", "--key", "old.key.pem", "--out", "x")
    assert (done.returncode, "twinroot sign rotate" in done.stderr) == (2, True)
    for key, old, code in (("new.key.pem", "old.pub.pem", 2), ("old.key.pem", "new.pub.pem", 2), ("old.key.pem", "old.pub.pem", 0)):
        done = at(station, "sign", "rotate", "out2", "--from", old, "--key", key, "--out", "rotated")
        assert done.returncode == code, done.stderr
    assert at(station, "sign", "set", "out3", "--key", "new.key.pem", "--out", "by-new").returncode == 0
    done = at(station, "sign", "rotate", "out3", "--from", "old.pub.pem", "--key", "old.key.pem", "--out", "by-old")
    assert done.returncode == 0, done.stderr
    board = Board(tmp_path / "board", tree | {f"/{n}": (station / n).read_bytes() for n in ("by-new", "by-old", "rotated")})
    assert board.run(ROTATE).json == ["signature", 2, "signature", 3]
