"""update, verify and rollback on a virtual board: a real MicroPython, real littlefs, real serial bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from provisioning.config.device import single_device
from provisioning.job.rollback import rollback
from provisioning.job.update import update
from provisioning.job.verify import verify
from provisioning.link.events import Event
from provisioning.link.payload import Payload
from provisioning.link.transport.base import TransferPlan
from provisioning.link.transport.stream import StreamSession
from tests.job.conftest import Bench, small_bench
from tests.support.product_files import write_identity

OTHER = {"a1b2c3d4e5f6g7": "z9y8x7w6v5u4t3"}


@pytest.mark.parametrize("transport", ["stream", "paste", "ampy"])
def test_first_set(bench: Bench, transport: str) -> None:
    report = update(bench.product(), bench.device, bench.port, transport=transport)
    assert (report.outcome, report.code, report.exit_code) == ("pass", "pass", 0), report.message
    assert (report.transport, report.generation, report.previous) == (transport, 1, None)
    assert (report.chip, report.mac) == ("esp32", bench.board.mac)
    assert report.selftest["ok"] and report.selftest["bad"] == []
    assert set(report.written) == {*report.files, "/trust/active"}
    for path, sha in report.files.items():
        found = bench.run(f"import hashlib\nprint(hashlib.sha256(open({path!r},'rb').read()).digest().hex())")
        assert found == sha, path


@pytest.mark.parametrize("transport", ["stream", "paste"])
def test_nothing_changed_writes_nothing(bench: Bench, transport: str) -> None:
    product = bench.product()
    assert update(product, bench.device, bench.port, transport=transport).outcome == "pass"
    bench.restart()
    before = bench.board.counters()
    report = update(product, bench.device, bench.port, transport=transport)
    assert (report.outcome, report.code, report.written) == ("pass", "unchanged", [])
    after = bench.board.counters()
    assert (after["flash_programs"], after["flash_erases"]) == (before["flash_programs"], before["flash_erases"])
    assert after["turns"] - before["turns"] <= 6


def test_only_what_is_missing_travels(bench: Bench) -> None:
    first = update(bench.product(), bench.device, bench.port)
    second = update(bench.product(**OTHER), bench.device, bench.port)
    assert second.outcome == "pass", second.message
    assert (second.generation, second.previous) == (2, 1)
    # Roots, identity and package are on the board already: what is sent is the receiver and set.json.
    assert second.wire["sent"] < first.wire["sent"] / 2
    assert not any(path.startswith("/lib/") for path in second.written)


def test_two_sets_stay(bench: Bench) -> None:
    for endpoint in ("aaaaaaaaaaaaaa", "bbbbbbbbbbbbbb", "cccccccccccccc"):
        assert update(bench.product(a1b2c3d4e5f6g7=endpoint), bench.device, bench.port).outcome == "pass"
    assert sorted(bench.run("import os\nprint(*os.listdir('/trust'))").split()) == ["2", "3", "active"]


def test_rollback_and_forward(bench: Bench) -> None:
    update(bench.product(), bench.device, bench.port)
    update(bench.product(**OTHER), bench.device, bench.port)
    report = rollback(bench.port)
    assert (report.outcome, report.generation, report.written) == ("pass", 1, ["/trust/active"])
    assert rollback(bench.port).code == "no-previous-set"
    again = update(bench.product(**OTHER), bench.device, bench.port)
    assert (again.outcome, again.generation) == ("pass", 2)
    assert again.written == ["/trust/active"]  # the set was still there, whole


def test_dry_run_writes_nothing(bench: Bench) -> None:
    writes = bench.flash_writes()
    report = update(bench.product(), bench.device, bench.port, dry_run=True)
    assert (report.outcome, report.code) == ("pass", "dry-run")
    assert "/trust/1/set.json" in report.written
    assert bench.flash_writes() == writes


def test_damage_is_seen_and_repaired(bench: Bench) -> None:
    product = bench.product()
    update(product, bench.device, bench.port)
    assert verify(bench.port, product, bench.device).outcome == "pass"
    bench.run("f=open('/trust/1/AmazonRootCA1.pem','r+b');f.seek(100);f.write(b'XXXX');f.close()")
    seen = verify(bench.port, product, bench.device)
    assert (seen.outcome, seen.code, seen.exit_code) == ("fail", "bad-files", 1)
    assert "AmazonRootCA1.pem" in seen.message
    repaired = update(product, bench.device, bench.port)
    assert repaired.outcome == "pass", repaired.message
    assert verify(bench.port, product, bench.device).outcome == "pass"


def test_damaged_package_is_repaired_without_touching_the_set_in_use(bench: Bench) -> None:
    product = bench.product()
    report = update(product, bench.device, bench.port)
    module = next(path for path in report.files if path.startswith("/lib/twinroot/") and "." not in path)
    bench.run(f"f=open({module!r},'r+b');f.seek(5000);f.write(b'XXXX');f.close()")
    repaired = update(product, bench.device, bench.port)
    assert repaired.outcome == "pass", repaired.message
    assert module in repaired.written and len([path for path in repaired.written if path.startswith("/lib/")]) == 1


def test_another_product_is_not_this_one(bench: Bench) -> None:
    update(bench.product(), bench.device, bench.port)
    report = verify(bench.port, bench.product(**OTHER), bench.device)
    assert (report.outcome, report.code) == ("fail", "other-set")


def test_leftovers_are_removed(bench: Bench) -> None:
    product = bench.product()
    update(product, bench.device, bench.port)
    bench.run("import os\nos.mkdir('/trust/7')\nopen('/trust/7/x.pem','w').close()\nopen('/trust/active.new','w').close()")
    report = update(product, bench.device, bench.port)
    assert (report.outcome, report.code) == ("pass", "tidied")
    assert report.firmware_version and report.firmware_version.startswith("1.")
    assert sorted(bench.run("import os\nprint(*os.listdir('/trust'))").split()) == ["1", "active"]


def test_verify_without_a_product(bench: Bench) -> None:
    assert verify(bench.port).code == "no-package"
    update(bench.product(), bench.device, bench.port)
    report = verify(bench.port)
    assert (report.outcome, report.product, report.device) == ("pass", "weather-station", "ws-0001")
    assert report.files["/trust/1/set.json"] == report.selftest["set_sha256"]


def test_the_users_program_runs_again_afterwards(bench: Bench) -> None:
    bench.run("f=open('main.py','w');f.write('f=open(\"/ran\",\"a\")\\nf.write(\"x\")\\nf.close()\\n');f.close()")
    update(bench.product(), bench.device, bench.port)
    assert bench.run("print(open('/ran').read())").count("x") >= 1
    assert bench.run("print(open('/main.py').read())").startswith("f=open")


def test_an_app_is_written_and_stays(bench: Bench) -> None:
    (bench.folder / "blink.py").write_text("print('hello from the app')\n")
    product = bench.product(more="app: {main: blink.py}\n")
    report = update(product, bench.device, bench.port)
    assert report.outcome == "pass", report.message
    assert bench.run("print(open('/main.py').read())") == "print('hello from the app')"
    assert report.files["/main.py"] == hashlib.sha256(b"print('hello from the app')\n").hexdigest()
    assert update(product, bench.device, bench.port).code == "unchanged"
    (bench.folder / "blink.py").write_text("print('another')\n")
    changed = update(product, bench.device, bench.port)
    assert (changed.outcome, changed.code) == ("pass", "pass")
    assert "/main.py" in changed.written
    assert bench.run("print(open('/main.py').read())") == "print('another')"


def test_control_c_works_after_an_update(bench: Bench) -> None:
    """micropython.kbd_intr is restored: a running loop can be interrupted."""
    update(bench.product(), bench.device, bench.port, transport="stream")
    from provisioning.link.port import open_port
    from provisioning.link.repl import RawRepl

    with open_port(bench.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        repl.start("while True: pass")
        repl.enter(patience=3.0)
        assert repl.run("print(6*7)").strip() == b"42"


def test_without_deflate_it_pastes(bench: Bench) -> None:
    """A MicroPython that lacks what the receiver needs gets the same set another way, and the report says why."""
    bench.run("f=open('boot.py','w');f.write('import sys\\nclass deflate: pass\\nsys.modules[\"deflate\"]=deflate\\n');f.close()")
    report = update(bench.product(), bench.device, bench.port)
    assert (report.outcome, report.transport) == ("pass", "paste"), report.message
    assert any("deflate" in note for note in report.notes)


def test_a_small_heap_is_enough(tmp_path: Path) -> None:
    """64 KB of free heap on the device: a set many times larger streams through in pieces."""
    with small_bench(tmp_path) as bench:
        report = update(bench.product(), bench.device, bench.port, transport="stream")
        assert report.outcome == "pass", report.message


def test_reports_name_the_chip(bench: Bench) -> None:
    product = bench.product()
    update(product, bench.device, bench.port)
    unchanged = update(product, bench.device, bench.port)
    assert (unchanged.code, unchanged.chip, unchanged.mac) == ("unchanged", "esp32", bench.board.mac)
    assert verify(bench.port).chip == "esp32"
    update(bench.product(**OTHER), bench.device, bench.port)
    assert rollback(bench.port).chip == "esp32"


def test_rollback_on_an_empty_board(bench: Bench) -> None:
    writes = bench.flash_writes()
    report = rollback(bench.port)
    assert (report.outcome, report.code, report.written) == ("fail", "no-set", [])
    assert "holds no set" in report.message
    assert bench.flash_writes() == writes


def test_another_device_is_said(bench: Bench) -> None:
    product = bench.product()
    update(product, bench.device, bench.port)
    assert not update(product, bench.device, bench.port).notes
    write_identity(bench.folder, "ws-0002")
    other = single_device("ws-0002")
    writes = bench.flash_writes()
    refused = update(product, other, bench.port)
    assert (refused.outcome, refused.code, refused.exit_code) == ("error", "other-certificate", 2)
    assert "ws-0001" in refused.message and "identity" not in refused.hint
    planned = update(product, other, bench.port, dry_run=True, new_identity=True)
    assert any("ws-0001" in note and "would make" in note for note in planned.notes)
    assert bench.flash_writes() == writes
    report = update(product, other, bench.port, new_identity=True)
    assert (report.outcome, report.device) == ("pass", "ws-0002"), report.message
    assert any("ws-0001" in note and "ws-0002" in note for note in report.notes)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("transport", ["stream", "paste"])
def test_nothing_is_said_to_be_written_before_the_commit(bench: Bench, transport: str) -> None:
    """The power goes in the middle of the transfer: no file is reported as written, and the next run reports all of them."""

    def cut(event: Event) -> None:
        if event.kind == "bytes" and event.data["done"] > event.data["total"] // 2:
            bench.board.power_off()

    product = bench.product()
    report = update(product, bench.device, bench.port, transport=transport, max_baud=115200, events=cut)
    assert report.outcome != "pass"
    assert report.written == []
    bench.restart()
    again = update(product, bench.device, bench.port)
    assert again.outcome == "pass", again.message
    assert again.written[-1] == "/trust/active"


def test_the_set_that_was_proven_last_stays(bench: Bench) -> None:
    """Whatever comes after it, until a handshake proves another one: the active set and the one before it are not enough to come home."""
    health = '{"v":1,"proven":1,"last":null,"since":0,"day":[0,0],"routes":{},"roots":{}}'
    assert update(bench.product(), bench.device, bench.port).outcome == "pass"
    bench.run(f"f=open('/trust/health.json','w');f.write({health!r});f.close()")
    for prefix in ("b", "c", "d"):
        assert update(bench.product(a1b2c3d4e5f6g7=prefix * 14), bench.device, bench.port).outcome == "pass"
    assert bench.run("import os\nprint(sorted(n for n in os.listdir('/trust') if n.isdigit()))") == "['1', '3', '4']"


def test_a_set_takes_no_more_blocks_than_its_plan_says(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `flash-full` is decided by, before the first write."""
    needed: list[int] = []
    prepare = StreamSession.prepare

    def watched(session: StreamSession, payload: Payload) -> TransferPlan:
        plan = prepare(session, payload)
        needed.append(plan.need)
        return plan

    monkeypatch.setattr(StreamSession, "prepare", watched)
    free = "import os\nprint(os.statvfs('/')[3])"
    assert update(bench.product(), bench.device, bench.port).outcome == "pass"
    before = int(bench.run(free))
    assert update(bench.product(**OTHER), bench.device, bench.port).outcome == "pass"
    assert 0 < before - int(bench.run(free)) <= needed[-1]
