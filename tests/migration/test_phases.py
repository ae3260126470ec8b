"""Phases, what they cost and break, and product files that change in one line alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provisioning.cli.main import run
from provisioning.config.load import load_product
from provisioning.errors import InputError
from provisioning.migration import fleet as fleet_module
from provisioning.migration import phases, yaml_edit
from provisioning.trust.roots import load_roots
from provisioning.trust.routes import derive
from tests.support import pki

ATS, LEGACY = "abc-ats.iot.us-east-1.amazonaws.com", "abc.iot.us-east-1.amazonaws.com"
G5 = "VeriSign-Class3-Public-Primary-G5"
MUMBAI = "abc-ats.iot.ap-south-1.amazonaws.com"

PRODUCT = f"""\
# A station.\r
product: weather   # its name\r
board: esp32-generic\r
cloud:\r
    # where it talks to\r
    region: us-east-1\r
    endpoint: {ATS}   # the ATS one 🌦\r
identity: {{certificate: 'a.crt.pem', key: "a.key.pem"}}\r
"""


@pytest.fixture
def product(tmp_path: Path) -> Path:
    file = tmp_path / "product.yaml"
    file.write_bytes(PRODUCT.encode())
    return file


def test_next_and_back_walk_all_phases_and_change_one_line(product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", "plan", str(product), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["phase"] == "ats-first"
    seen = []
    for step in ("--next", "--back", "--back", "--back", "--next"):
        assert run(["migrate", "plan", str(product), step, "--yes", "--json"]) == 0
        phase = json.loads(capsys.readouterr().out)["phase"]
        seen.append(phase)
        lines = product.read_bytes().decode().split("\r\n")
        assert lines.pop(5) == f"    phase: {phase}"
        assert "\r\n".join(lines) == PRODUCT
        assert phases.phase_of(load_product(product).routes) == phase
    assert seen == ["ats-only", "ats-first", "legacy-first", "legacy-only", "legacy-first"]


def test_there_is_nothing_beyond_the_last_phase(product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", "plan", str(product), "--next", "--yes"]) == 0
    before = product.read_bytes()
    assert run(["migrate", "plan", str(product), "--next"]) == 2
    assert product.read_bytes() == before and "last phase" in capsys.readouterr().err


def test_a_step_that_makes_no_product_writes_nothing(product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The way back to a root that is retired."""
    text = PRODUCT.replace("    region:", f"    phase: ats-only\r\n    retired: [{G5}]\r\n    region:")
    product.write_bytes(text.encode())
    for more in ([], ["--out", str(tmp_path / "back.yaml")]):
        assert run(["migrate", "plan", str(product), "--back", *more, "--json"]) == 2
        said = json.loads(capsys.readouterr().out)
        assert said["code"] == "retired-root-used" and "stays as it is: ats-first" in said["message"] and G5 in said["message"]
        assert product.read_bytes() == text.encode() and not (tmp_path / "back.yaml").exists()
    # As the hint says.
    product.write_bytes(text.replace(f"    retired: [{G5}]\r\n", "").encode())
    assert run(["migrate", "plan", str(product), "--back"]) == 0 and phases.phase_of(load_product(product).routes) == "ats-first"


def test_the_next_product_can_go_elsewhere(product: Path, tmp_path: Path) -> None:
    out = tmp_path / "next.yaml"
    assert run(["migrate", "plan", str(product), "--next", "--yes", "--out", str(out)]) == 0
    assert product.read_bytes().decode() == PRODUCT and "phase: ats-only" in out.read_text()


def test_a_region_with_ats_only_has_one_phase() -> None:
    assert phases.possible(MUMBAI) == ("ats-only",)
    with pytest.raises(InputError):
        phases.neighbour(MUMBAI, "ats-only", -1)
    with pytest.raises(InputError):
        phases.possible("mqtt.example.com")


def test_routes_by_hand_are_left_alone(product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = PRODUCT.replace(f"    endpoint: {ATS}", f"    routes: [{{name: a, endpoint: {ATS}, roots: [AmazonRootCA1]}}]")
    product.write_bytes(text.encode())
    assert run(["migrate", "plan", str(product), "--next"]) == 2
    assert "by hand" in capsys.readouterr().err and product.read_bytes().decode() == text


def test_a_bench_has_the_phases_with_roots_of_its_own(product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As on a bench with a stand-in: the pair of the endpoint, whose hosts are anchored by test roots."""
    made = {name: pki.root(f"Test {name}") for name in ("New", "Old")}
    lines = ["roots:"]
    for name, cert in made.items():
        (tmp_path / f"{name}.pem").write_bytes(cert.pem)
        pin = hashlib.sha256(cert.der).hexdigest()
        lines.append(f"  {name}: {{file: {name}.pem, sha256: '{pin}'{', status: distrusted' if name == 'Old' else ''}}}")
    bench = "".join(f"{line}\r\n" for line in [*lines, "lab:", "  roots: {ats: [New], legacy: [Old]}"])
    product.write_bytes((PRODUCT.replace("    region", "    phase: legacy-only\r\n    region") + bench).encode())
    assert [(r.name, r.roots) for r in load_product(product).routes] == [("legacy", ("Old",))]
    assert run(["migrate", "plan", str(product), "--next", "--json"]) == 0
    step = json.loads(capsys.readouterr().out)["steps"][0]
    assert (step["roots_added"], step["root_bytes"]) == (["New"], len(made["New"].pem))
    loaded = load_product(product)
    assert [(r.name, r.roots) for r in loaded.routes] == [("legacy", ("Old",)), ("ats", ("New",))]
    assert (fleet_module.ats_roots(loaded) & set(loaded.roots), loaded.standing(loaded.routes[0])) == ({"New"}, 0)


def test_what_a_step_changes_and_costs() -> None:
    roots = load_roots()
    step = phases.change(derive(ATS, 8883, "legacy-only"), derive(ATS, 8883, "legacy-first"), "legacy-only", "legacy-first", roots)
    assert step.roots_added == ("AmazonRootCA1", "AmazonRootCA3") and step.roots_removed == ()
    assert step.root_bytes == len(roots["AmazonRootCA1"].pem) + len(roots["AmazonRootCA3"].pem)
    step = phases.change(derive(ATS, 8883, "ats-first"), derive(ATS, 8883, "ats-only"), "ats-first", "ats-only", roots)
    assert (step.roots_added, step.root_bytes) == ((), 0) and step.roots_removed == ("VeriSign-Class3-Public-Primary-G5",)
    assert phases.change(derive(ATS, 8883, "legacy-first"), derive(ATS, 8883, "ats-first"), "legacy-first", "ats-first", roots).routes == (
        "ats",
        "legacy",
    )


@pytest.mark.parametrize(
    ("phase", "event", "outcome", "after"),
    [
        ("legacy-only", "route legacy: its chain", "TrustError", 0),
        ("legacy-first", "route legacy: its chain", "ats", 0),
        ("legacy-first", "route legacy: its endpoint", "ats", 60),
        ("legacy-first", "route ats: its endpoint", "legacy", 0),
        ("ats-first", "route ats: its chain", "legacy", 0),
        ("ats-first", "route ats: its endpoint", "NetworkError", 0),
        ("ats-first", "route legacy: its endpoint", "ats", 0),
        ("ats-only", "route ats: its chain", "TrustError", 0),
    ],
)
def test_what_breaks_is_what_the_devices_own_policy_does(phase: str, event: str, outcome: str, after: int) -> None:
    [found] = [c for c in phases.consequences(derive(ATS, phase=phase), load_roots()) if c.event.startswith(event)]
    assert outcome in (found.route, found.error) and found.after == after


def test_on_silence_is_in_the_plan(product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A closed legacy endpoint: by default a minute, with `never` offline; and `any` lets silence lead down."""
    roots = load_roots()
    for phase, silence, outcome in (
        ("legacy-first", "never", "NetworkError"),
        ("ats-first", "any", "legacy"),
        ("ats-first", "upward", None),
    ):
        endpoint = phase.split("-")[0]
        [found] = [c for c in phases.consequences(derive(ATS, phase=phase), roots, silence) if f"{endpoint}: its endpoint" in c.event]
        assert (outcome or "NetworkError") in (found.route, found.error)
    product.write_bytes(PRODUCT.replace("cloud:\r\n", "cloud:\r\n    on_silence: any\r\n").encode())
    assert run(["migrate", "plan", str(product)]) == 0
    assert "no longer answers: the device connects by legacy, after 60 s of silence" in capsys.readouterr().out


HEALTH = [
    {"device": "a", "health": {"v": 1, "last": "ats", "routes": {"ats": {"good": 2}}, "roots": {"AmazonRootCA1": {"good": 2}}}},
    {
        "device": "b",
        "v": 1,
        "last": "legacy",
        "routes": {"ats": {"bad": 1, "err": "trust"}},
        "roots": {"VeriSign-Class3-Public-Primary-G5": {"good": 4}},
    },
    {
        "device": "b",
        "v": 1,
        "last": "legacy",
        "routes": {"ats": {"bad": 2, "err": "trust"}},
        "roots": {"VeriSign-Class3-Public-Primary-G5": {"good": 5}},
    },
]


def test_status_counts_what_the_fleet_proves(product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports = tmp_path / "health.jsonl"
    reports.write_text("\n".join(map(json.dumps, HEALTH)) + "\n")
    assert run(["migrate", "status", str(product), "--health", str(reports), "--json"]) == 1
    fleet = json.loads(capsys.readouterr().out)["fleet"]
    assert (fleet["devices"], fleet["behind"], fleet["failing"]) == (2, ["b"], {"ats: trust": 1})
    assert fleet["by_root"] == {"AmazonRootCA1": 1, "VeriSign-Class3-Public-Primary-G5": 1}
    reports.write_text(json.dumps(HEALTH[0]))
    assert run(["migrate", "status", str(product), "--health", str(reports)]) == 0
    assert "every device has connected by an ATS root" in capsys.readouterr().out
    for bad in ("{", '{"device": "a"}', "[]", '{"device":"a","last":1,"roots":[1],"routes":{}}'):
        reports.write_text(bad)
        assert run(["migrate", "status", str(product), "--health", str(reports)]) == 2
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_an_edit_keeps_every_other_character(end: str, bom: str) -> None:
    text = bom + "a: 1 # é 🌦\n\n# x\ncloud: # here\n  endpoint:  'old'   # why\n  port: 1\nb: [1,   2]\n".replace("\n", end)
    assert yaml_edit.change(text, ("cloud", "endpoint"), "new") == text.replace("'old'", "new")
    added = yaml_edit.change(text, ("cloud", "phase"), "ats-only")
    assert added == text.replace("  endpoint:", f"  phase: ats-only{end}  endpoint:")


@pytest.mark.parametrize(
    ("text", "path", "made"),
    [
        ("cloud: {endpoint: a, port: 1}\n", ("cloud", "phase"), "cloud: {endpoint: a, phase: new, port: 1}\n"),
        ("cloud: {endpoint: a, port: 1}\n", ("cloud", "endpoint"), "cloud: {endpoint: new, port: 1}\n"),
        ("cloud:\n  endpoint:\n  port: 1\n", ("cloud", "endpoint"), "cloud:\n  endpoint: new\n  port: 1\n"),
        ("cloud:\n  endpoint: !env HOST\n", ("cloud", "endpoint"), "cloud:\n  endpoint: new\n"),
        ("cloud:\n- endpoint: a\n- endpoint: b\n", ("cloud", 1, "endpoint"), "cloud:\n- endpoint: a\n- endpoint: new\n"),
    ],
)
def test_edits(text: str, path: tuple[str | int, ...], made: str) -> None:
    assert yaml_edit.change(text, path, "new") == made


@pytest.mark.parametrize("text", ["cloud: a\n", "cloud: []\n", "cloud: {}\n", "a: 1\n", "cloud:\n  endpoint: [1]\n", "\t", "a: b: c"])
def test_what_cannot_be_edited_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        yaml_edit.change(text, ("cloud", "endpoint"), "new")


KEYS = st.dictionaries(st.sampled_from(["region", "endpoint", "port", "x"]), st.text("abcé #:'\"\\🌦", max_size=8), min_size=1)


@given(KEYS, st.sampled_from([True, False, None]), st.booleans())
def test_only_the_value_changes(cloud: dict[str, str], flow: bool | None, before: bool) -> None:
    data = {"a": [1, {"b": "c"}], "cloud": cloud, "z": "é"} if before else {"cloud": cloud, "z": None}
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True)
    changed = yaml.safe_load(yaml_edit.change(text, ("cloud", "endpoint"), "new-host"))
    assert changed == {**data, "cloud": {**cloud, "endpoint": "new-host"}}


def health(device: str, root: str) -> str:
    return json.dumps({"device": device, "health": {"last": "ats", "roots": {root: {"good": 3}}, "routes": {}}})


@pytest.mark.parametrize(
    ("reports", "code"),
    [
        (None, 2),
        ([], 2),
        ([health("ws-1", "AmazonRootCA1"), health("ws-2", "VeriSign-Class3-Public-Primary-G5")], 2),
        ([health("ws-1", "AmazonRootCA1"), health("ws-2", "AmazonRootCA3")], 0),
    ],
)
def test_ats_only_wants_evidence(
    product: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], reports: list[str] | None, code: int
) -> None:
    before = product.read_bytes()
    file = tmp_path / "health.jsonl"
    file.write_text("\n".join(reports or []))
    arguments = ["--health", str(file)] if reports is not None else []
    assert run(["migrate", "plan", str(product), "--next", *arguments, "--json"]) == code
    said = json.loads(capsys.readouterr().out)
    if code:
        assert said["code"] == "no-evidence" and "--yes" in said["hint"] and product.read_bytes() == before
    else:
        assert said["phase"] == "ats-only"


def test_a_list_for_a_product_fails_for_a_distrusted_root_and_shows_no_other(product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trust", "list", "--product", str(product), "--on", "2026-07-01", "--fail-within", "1d", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    used = {"AmazonRootCA1", "AmazonRootCA3", "VeriSign-Class3-Public-Primary-G5"}
    assert {row["name"] for row in said["roots"]} == used
    assert [row["root"] for row in said["failing"]] == ["VeriSign-Class3-Public-Primary-G5"] and "distrusted" in said["failing"][0]["what"]
    assert run(["migrate", "plan", str(product), "--next", "--yes"]) == 0
    assert run(["trust", "list", "--product", str(product), "--on", "2026-07-01", "--fail-within", "1d"]) == 0
    assert run(["trust", "list", "--on", "2026-07-01", "--fail-within", "1d"]) == 0  # nobody's product


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=6)
ANYTHING = st.recursive(LEAVES, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=6), x, max_size=3), max_leaves=8)
KEYS = st.sampled_from(["device", "health", "last", "roots", "routes", "good", "err", "x"])
NEAR = st.recursive(LEAVES, lambda x: st.lists(x, max_size=2) | st.dictionaries(KEYS, x, max_size=6), max_leaves=20)


@given(st.lists(ANYTHING | NEAR | st.fixed_dictionaries({"device": NEAR, "last": NEAR, "roots": NEAR, "routes": NEAR}), max_size=4))
def test_reports_that_are_none(reports: list[object]) -> None:
    """What devices, brokers and editors make of health reports ends in a sum or in one sentence."""
    try:
        fleet_module.add_up(reports, {"AmazonRootCA1"})  # type: ignore[arg-type]
    except InputError as error:
        assert error.code == "bad-health"
