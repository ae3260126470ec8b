"""What a field engineer relies on: whole or not at all, nothing twice, nothing that is not ours."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from provisioning.config.device import single_device
from provisioning.job.rollback import rollback
from provisioning.job.update import update
from provisioning.job.verify import verify
from tests.hil.bench import Bench, passed
from tests.hil.product import OTHER_PREFIX, Maker
from tests.support.product_files import write_identity

_HASHES = """import hashlib, json
print(json.dumps({p: hashlib.sha256(open(p, 'rb').read()).digest().hex() for p in %r}))
"""


def test_from_nothing_to_pass(bench: Bench, make: Maker) -> None:
    report = update(make(), make.device, bench.port)
    assert (report.outcome, report.code, report.exit_code) == ("pass", "pass", 0), report.message
    assert (report.generation, report.previous, report.device) == (1, None, make.device.id)
    assert report.selftest["ok"] and report.selftest["bad"] == []
    # Not the report's word for it: the files as another program reads them.
    assert bench.ask(_HASHES % list(report.files)) == report.files
    assert report.mac == report.selftest["uid"][:2] + "".join(f":{report.selftest['uid'][at : at + 2]}" for at in range(2, 12, 2))


def test_the_second_update_writes_nothing(bench: Bench, make: Maker) -> None:
    product = make()
    passed(update(product, make.device, bench.port))
    before = bench.flash_operations()
    report = update(product, make.device, bench.port)
    assert (report.outcome, report.code, report.written) == ("pass", "unchanged", [])
    assert bench.flash_operations() == before


def test_verify_says_what_is_there_and_writes_nothing(bench: Bench, make: Maker) -> None:
    empty = verify(bench.port)
    assert (empty.outcome, empty.code, empty.exit_code) == ("fail", "no-package", 1)
    product = make()
    passed(update(product, make.device, bench.port))
    before = bench.flash_operations()
    report = verify(bench.port, product, make.device)
    assert report.outcome == "pass", report.message
    other = verify(bench.port, make(OTHER_PREFIX), make.device)
    assert (other.outcome, other.code, other.exit_code) == ("fail", "other-set", 1)
    assert bench.flash_operations() == before


def test_damage_is_seen_and_repaired(bench: Bench, make: Maker) -> None:
    product = make()
    passed(update(product, make.device, bench.port))
    bench.run("f=open('/trust/1/AmazonRootCA1.pem','r+b');f.seek(100);f.write(b'XXXX');f.close()")
    seen = verify(bench.port, product, make.device)
    assert (seen.outcome, seen.code) == ("fail", "bad-files")
    assert "AmazonRootCA1.pem" in seen.message
    passed(update(product, make.device, bench.port))
    passed(verify(bench.port, product, make.device))


def test_a_changed_endpoint_sends_set_json_alone(bench: Bench, make: Maker) -> None:
    first = passed(update(make(), make.device, bench.port))
    second = passed(update(make(OTHER_PREFIX), make.device, bench.port))
    assert (second.generation, second.previous) == (2, 1)
    # Roots and identity are copied on the board; nothing of the package is written at all.
    assert not [path for path in second.written if path.startswith("/lib/")]
    # The receiver and a set.json of about a kilobyte cross the wire, the rest of the set does not.
    assert second.wire["sent"] < first.wire["sent"] / 2


def test_back_and_forward(bench: Bench, make: Maker) -> None:
    passed(update(make(), make.device, bench.port))
    passed(update(make(OTHER_PREFIX), make.device, bench.port))
    back = rollback(bench.port)
    assert (back.outcome, back.generation, back.written) == ("pass", 1, ["/trust/active"]), back.message
    passed(verify(bench.port, make(), make.device))
    again = rollback(bench.port)
    assert (again.outcome, again.code, again.written) == ("fail", "no-previous-set", [])
    forward = update(make(OTHER_PREFIX), make.device, bench.port)
    assert (forward.outcome, forward.generation, forward.written) == ("pass", 2, ["/trust/active"])


@pytest.mark.parametrize("transport", ["stream", "paste", "ampy"])
def test_each_transport_writes_the_same(bench: Bench, make: Maker, transport: str) -> None:
    product = make()
    report = update(product, make.device, bench.port, transport=transport)
    assert (report.outcome, report.transport) == ("pass", transport), report.message
    assert verify(bench.port, product, make.device).files == report.files


def test_two_boards_at_once(bench: Bench, other_bench: Bench, make: Maker) -> None:
    product = make()
    write_identity(make.folder, "hil-0002")
    with ThreadPoolExecutor(2) as both:
        jobs = [
            both.submit(update, product, make.device, bench.port),
            both.submit(update, product, single_device("hil-0002"), other_bench.port),
        ]
    reports = [job.result() for job in jobs]
    assert [(report.outcome, report.device) for report in reports] == [("pass", "hil-0001"), ("pass", "hil-0002")]
    assert reports[0].mac != reports[1].mac
    assert [board.holds()["client_id"] for board in (bench, other_bench)] == ["hil-0001", "hil-0002"]  # type: ignore[index]


def test_a_dry_run_says_what_it_would_write(bench: Bench, make: Maker) -> None:
    before = bench.flash_operations()
    would = update(make(), make.device, bench.port, dry_run=True)
    assert (would.outcome, would.code) == ("pass", "dry-run")
    assert bench.flash_operations() == before
    assert bench.holds() is None
    assert update(make(), make.device, bench.port).written == would.written


def test_set_json_is_what_the_report_says(bench: Bench, make: Maker) -> None:
    report = update(make(), make.device, bench.port)
    text = bench.ask("import json\nprint(json.dumps(open('/trust/1/set.json').read()))")
    assert hashlib.sha256(text.encode()).hexdigest() == report.files["/trust/1/set.json"] == report.selftest["set_sha256"]
