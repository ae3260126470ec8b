"""Plan files: what is wrong with one is said by file and line, what belongs together is checked, who is in no wave is said beforehand."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provisioning.config.load import load_product
from provisioning.errors import InputError
from provisioning.fleet import offer as offers
from provisioning.fleet import plan as plans
from provisioning.fleet.carrier import DONE
from provisioning.fleet.device import Anchor, Device
from provisioning.fleet.membership import Terms, resolve, unfit
from provisioning.fleet.plan import ByJobs, Rules, Wave
from provisioning.fleet.store import FleetStore
from provisioning.fleet.wave import enough, verdict
from provisioning.ledger.store import Ledger
from tests.fleet.field import AT, ATS, LEGACY, NAME, Field, devices, sign, write_product
from tests.support.command import InProcess

TERMS = Terms(2, frozenset({LEGACY, ATS}), False, True, ByJobs(), AT)
LEAVES = replace(TERMS, roots=frozenset({ATS}), leaves=True)
WELL = next(devices(1))
UNPROVEN = replace(WELL, anchored={LEGACY: Anchor(9), ATS: Anchor(0)})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Field:
    folder = tmp_path_factory.mktemp("plan")
    made = Field(folder, str(folder / "ledger.sqlite"))
    made.make(devices(30))
    return made


@pytest.fixture
def field(made: Field, tmp_path: Path) -> Field:
    """One of its own."""
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    return Field(tmp_path, str(tmp_path / "ledger.sqlite"))


def edit(field: Field, before: str, after: str) -> int:
    """The line that was edited."""
    text = field.file.read_text()
    assert before in text
    field.file.write_text(text.replace(before, after))
    return text[: text.index(before)].count("\n") + 1


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("failed: 5%", "failed: 5", "key 'rules.failed': found 5, expected a share"),
        ("silent_after: 3d", "silent_after: soon", "key 'rules.silent_after': found 'soon', expected a time"),
        ("minimum: 10", "minimun: 10", "key 'rules.minimun' is not known"),
        ("rest: true", "rest: true, canary: 3", "found rest and canary, expected a list"),
        (", rest: true", "", "names no devices, expected a list"),
        ("name: rest", "name: canary", "'canary' is another wave's, too"),
        ("by: jobs, rest", "by: post, rest", "found 'post', expected one of jobs, cable"),
        ("rest: true", "devices: [ws-1, ws-1]", "'ws-1' is in wave rest already"),
        ("by: jobs, rest: true", "by: jobs, devices: [ws-none]", ""),
    ],
)
def test_what_is_wrong_is_said_by_line(field: Field, before: str, after: str, what: str) -> None:
    line = edit(field, before, after)
    if not what:
        assert plans.load(field.file).waves[-1].devices == ("ws-none",)
        return
    with pytest.raises(InputError) as error:
        plans.load(field.file)
    assert what in error.value.message and f"plan.yaml:{line}" in error.value.message, error.value.message


def test_sets_that_do_not_belong_to_the_plan(field: Field) -> None:
    folder = field.folder
    wanted, back = folder / "product.ats-first.yaml", folder / "product.back.yaml"
    good = (folder / "forward.bin").read_bytes()

    def refused(code: str, what: str) -> None:
        with pytest.raises(InputError) as error:
            offers.load(plans.load(field.file), field.clock)
        assert error.value.code == code and what in error.value.message, error.value.message
        assert "plan.yaml:" in error.value.message

    assert offers.load(plans.load(field.file), field.clock).sets["forward"].manifest["version"] == 2
    (folder / "forward.bin").write_bytes((folder / "back.bin").read_bytes())
    refused("plan-set", "forward.bin is version 3 of weather-station")
    (folder / "forward.bin").write_bytes(b"TWSET1\n")
    refused("no-signed-set", "not a signed set")
    (folder / "forward.bin").unlink()
    refused("plan-set", "forward.bin cannot be read")
    sign(wanted, folder / "forward.bin", days=-1)
    with pytest.raises(InputError, match="has expired"):
        offers.load(plans.load(field.file), lambda: 4e9)
    sign(wanted, folder / "forward.bin", device="ws-1")
    refused("plan-set", "is for the device ws-1 alone")
    sign(wanted, folder / "forward.bin", days=3700)
    refused("plan-set", "cannot go back")
    (folder / "forward.bin").write_bytes(good)
    edit(field, 'forward: {file: "forward.bin"}', f'forward: {{file: "forward.bin", sha256: "{"0" * 64}"}}')
    refused("plan-set", "has the SHA-256")
    edit(field, f', sha256: "{"0" * 64}"', "")
    edit(field, "  topic: updates/move\n", "")
    refused("plan-set", "AWS IoT takes 32,768")
    edit(field, "jobs:\n", 'jobs:\n  stream: {bucket: firmware, role: "arn:aws:iam::123456789012:role/iot"}\n')
    text = back.read_text()
    back.write_text(text.replace("version: 3", "version: 2"))
    refused("plan-version", "expected more than 2")
    back.write_text(text.replace("phase: legacy-first", "phase: legacy-only"))
    refused("plan-back", "it is not the way back")
    back.write_text(text)
    wanted.write_text(wanted.read_text().replace("phase: ats-first", f"phase: ats-only\n  retired: [{LEGACY}]"))
    refused("plan-retires", f"retires {LEGACY}")


@pytest.mark.parametrize(
    ("device", "terms", "jobs", "cable"),
    [
        (WELL, TERMS, "", ""),
        (replace(WELL, version=2), TERMS, "has-it", "has-it"),
        (replace(WELL, version=7), TERMS, "newer", "newer"),
        (replace(WELL, version=None), TERMS, "", ""),
        (replace(WELL, refused=2), TERMS, "rolled-back", ""),
        (replace(WELL, refused=1), TERMS, "", ""),
        (replace(WELL, seen=None), TERMS, "never-seen", ""),
        (replace(WELL, seen=AT - 40 * 86400), TERMS, "silent", ""),
        (replace(WELL, firmware="v1.19.1"), TERMS, "old-firmware", ""),
        (replace(WELL, firmware="1.22.0-preview"), TERMS, "", ""),
        (WELL, replace(TERMS, signed=False), "no-updates", ""),
        (WELL, LEAVES, "", ""),
        (UNPROVEN, LEAVES, "no-evidence", "no-evidence"),
        (UNPROVEN, replace(LEAVES, leaves=False), "", ""),
        # What a device is known to trust says more than the phase that the others are in.
        (replace(UNPROVEN, trusts=(LEGACY, ATS)), replace(LEAVES, leaves=False), "no-evidence", "no-evidence"),
        (replace(WELL, trusts=(LEGACY, ATS)), LEAVES, "", ""),
        (replace(UNPROVEN, trusts=(ATS,)), LEAVES, "", ""),
        (replace(UNPROVEN, trusts=(LEGACY,)), TERMS, "", ""),
    ],
)
def test_who_is_not_served(device: Device, terms: Terms, jobs: str, cable: str) -> None:
    assert (unfit(device, "jobs", terms), unfit(device, "cable", terms)) == (jobs, cable)


def test_every_device_is_in_one_wave_or_in_none_for_a_reason() -> None:
    fleet = [
        replace(device, firmware="1.26.0" if n < 4 else "1.25.0", seen=None if n % 7 == 0 else device.seen)
        for n, device in enumerate(devices(100))
    ]
    waves = [
        Wave("canary", "jobs", canary=6),
        Wave("berlin", "jobs", where={"site": frozenset(["berlin"])}),
        Wave("bench", "cable", devices=("ws-7", "ws-14", "ws-unknown")),
        Wave("rest", "jobs", rest=True),
    ]
    made = resolve("p", waves, fleet, TERMS)
    everybody = [device for members in made.waves.values() for device in members] + list(made.absent)
    assert sorted(everybody) == sorted([*(d.device for d in fleet), "ws-unknown"])
    assert made.waves["bench"] == ["ws-14", "ws-7", "ws-unknown"] and made.unknown == {"ws-unknown": "bench"}
    firmware = {device.device: device.firmware for device in fleet}
    assert len(made.waves["canary"]) == 6 and {firmware[device] for device in made.waves["canary"]} == {"1.25.0", "1.26.0"}
    assert made.reasons() == {"never-seen": 13}
    assert resolve("p", waves, reversed(fleet), TERMS).sha256 == made.sha256
    assert resolve("another", waves, fleet, TERMS).sha256 != made.sha256


def test_a_plan_in_the_same_phase_brings_a_retired_root_to_those_alone_who_can_do_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    product, ledger, plan = write_product(tmp_path), str(tmp_path / "ledger.sqlite"), tmp_path / "leave.yaml"
    product.write_text(product.read_text().replace("phase: legacy-first", f"phase: ats-only\n  retired: [{LEGACY}]"))
    with Ledger.open(ledger) as opened:
        FleetStore(opened).put(replace(one, seen=int(time.time())) for one in [*devices(3), replace(UNPROVEN, device="ws-firewall")])
    command = InProcess(capsys)
    code, said, _ = command("migrate", "plan", str(product), "--waves", str(plan), "--ledger", ledger)
    assert code == 0 and said["devices"] == 3 and said["not_served_devices"] == {"ws-firewall": "no-evidence"}
    for version in (2, 3):
        made = load_product(tmp_path / f"product.v{version}.yaml")
        assert made.version == version and list(made.retired) == [LEGACY] and [route.name for route in made.routes] == ["ats"]
    code, said, _ = command("migrate", "plan", str(plan), "--ledger", ledger)
    assert code == 0 and said["devices"] == 3
    other = str(tmp_path / "other.yaml")
    code, said, _ = command("migrate", "plan", str(product), "--to", "ats-only", "--waves", other, "--ledger", ledger)
    assert (code, said["code"]) == (2, "same-phase") and "leave --to out" in said["hint"]


def test_files_of_an_earlier_plan_are_not_taken_for_new_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    product, ledger = write_product(tmp_path), str(tmp_path / "ledger.sqlite")
    with Ledger.open(ledger) as opened:
        FleetStore(opened).put(devices(3))
    command = InProcess(capsys)

    def plan(name: str) -> tuple[int, Any, list[str]]:
        argv = ("migrate", "plan", str(product), "--to", "ats-first", "--waves", str(tmp_path / name), "--ledger", ledger)
        code, said, _ = command(*argv)
        return code, said, sorted(path.name for path in tmp_path.glob("product.*.yaml"))

    code, said, files = plan("nowhere/a.yaml")
    assert (code, said["code"], files) == (2, "no-folder", [])
    assert plan("a.yaml")[2] == ["product.ats-first.yaml", "product.back.yaml"]
    assert plan("b.yaml")[2] == ["product.ats-first.yaml", "product.back.yaml"]  # they are the same still
    product.write_text(product.read_text() + "# another application\n")
    code, _, files = plan("c.yaml")
    assert code == 0 and files == ["product.ats-first.yaml", "product.back.yaml", "product.v2.yaml", "product.v3.yaml"]
    assert plans.load(tmp_path / "c.yaml").wanted.name == "product.v2.yaml"
    # A version that a device has, or that another plan gave away, is nobody's next one.
    with Ledger.open(ledger) as opened:
        FleetStore(opened).put([replace(WELL, device="ws-ahead", version=6)])
    assert plan("d.yaml")[2][-2:] == ["product.v7.yaml", "product.v8.yaml"]
    (tmp_path / "product.v7.yaml").write_text("product: another\n")
    code, said, _ = plan("e.yaml")
    assert (code, said["code"]) == (2, "file-exists") and "product.v7.yaml" in said["message"]


def test_a_small_wave_counts_all_of_its_answers() -> None:
    rules = Rules(failed=0.4, minimum=10)
    assert not verdict(rules, {"offered": 1, "failed": 1, "done": 1}).stop
    assert "2 of 3" in verdict(rules, {"failed": 2, DONE: 1}).stop
    assert not verdict(rules, {"offered": 90, "failed": 9}).stop and verdict(rules, {"offered": 90, "failed": 10}).stop
    assert (enough(Rules(success=0.9), 10), enough(Rules(success=0.9), 11), enough(Rules(success=1.0), 3), enough(Rules(), 0)) == (
        9,
        10,
        3,
        0,
    )


def test_the_first_plan_says_who_is_not_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the command line; run again it leaves the file that people may have reviewed, and with the file it counts anew."""
    product, ledger = write_product(tmp_path), str(tmp_path / "ledger.sqlite")
    plan = tmp_path / "move.yaml"
    with Ledger.open(ledger) as opened:
        FleetStore(opened).put(
            [
                *devices(40, seen=int(time.time()) - 40 * 86400),
                replace(WELL, device="ws-old", firmware="1.20"),
                replace(WELL, device="ws-away", seen=None),
            ]
        )
    command = InProcess(capsys)
    asked = ("migrate", "plan", str(product), "--to", "ats-only", "--waves", str(plan), "--ledger", ledger)
    code, said, _ = command(*asked)
    assert code == 0 and said["not_served"] == {"silent": 40, "old-firmware": 1, "never-seen": 1}
    assert "2 devices are in no wave" not in plan.read_text() and "40 devices are in no wave: it has been silent" in plan.read_text()
    code, said, _ = command(*asked)
    assert (code, said["code"]) == (2, "file-exists")
    code, said, _ = command("migrate", "plan", str(product), "--to", "ats-only", "--ledger", ledger)
    assert (code, said["code"]) == (2, "bad-arguments")
    with Ledger.open(ledger) as opened:
        FleetStore(opened).put(replace(device, seen=int(time.time())) for device in devices(40))
    code, said, _ = command("migrate", "plan", str(plan), "--ledger", ledger)
    assert code == 0 and said["devices"] == 40 and said["not_served_devices"] == {"ws-away": "never-seen", "ws-old": "old-firmware"}
    loaded = plans.load(plan)
    assert loaded.devices == 40 and loaded.members == said["members"] and sum(wave.count or 0 for wave in loaded.waves) == 40
    assert loaded.product == NAME
    code, said, _ = command("migrate", "status", str(plan), "--ledger", ledger)
    assert (code, said["code"]) == (2, "plan-not-started")


@pytest.mark.long
def test_a_hundred_thousand_devices(tmp_path: Path, url: str) -> None:
    """First plan, plan taken on, status: each command, as a process, in its memory and its processor time."""
    import resource
    import subprocess

    from tests.support.command import twinroot_command

    field = Field(tmp_path, url)
    field.make(devices(100_000, seen=int(time.time())))
    field.file.unlink()
    ahead = ("--to", "ats-first", "--waves", field.file, "--forward", "forward.bin", "--back-set", "back.bin")
    for what in (("plan", tmp_path / "product.yaml", *ahead), ("start", field.file), ("status", field.file)):
        if what[0] == "start":
            field.file.write_text(field.file.read_text().replace("jobs:\n", "jobs:\n  topic: updates/move\n"))
        began = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        subprocess.run(twinroot_command("migrate", *what, "--ledger", url), check=True, capture_output=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        lasted, most = used.ru_utime + used.ru_stime - began, used.ru_maxrss / 1024
        print(f"{what[0]}: {lasted:.1f} s, {most:.0f} MB")
        assert lasted < 10 and most < 500
