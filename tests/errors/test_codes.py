"""The table of codes against the sources that name them, and the documents that are made from it."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict

import pytest

from provisioning.aws import iot_api
from provisioning.errors import InputError, StationError, documents, technician_page
from provisioning.errors.row import Retry
from provisioning.errors.table import ROWS, SUBJECTS, by_code, may_pass_again
from provisioning.link.transport import base
from provisioning.resources import folder
from provisioning.trust.device_code import device_module
from provisioning.virtual import error_reply
from tests.errors.sources import EXITS, Site, Sources

# Tables whose codes are looked up by what somebody said, and the place that raises them: (table's codes, exit code).
TABLES = {
    "provisioning/link/transport/base.py": ({row[1] for row in base._DEVICE}, 1),
    "provisioning/virtual/error_reply.py": ({row[0] for row in error_reply._SYSTEM.values()}, 3),
    "provisioning/aws/iot_api.py: input": ({row[1] for row in iot_api._SENTENCES.values() if issubclass(row[0], InputError)}, 2),
    "provisioning/aws/iot_api.py: station": ({row[1] for row in iot_api._SENTENCES.values() if issubclass(row[0], StationError)}, 3),
    "provisioning/cli/_probe.py": (set(device_module("errors").HELP) - {"memory"}, 1),  # a computer has the memory
}
# `verify` was asked whether the board is that device, and a line without the rate is a broken line: the same code from another class.
RAISED_AGAIN = {"other-device": 1, "other-certificate": 1, "rate-refused": 1}
# Who raises what a technician sees.
BENCH_SOURCES = (
    "flash/rom.py",
    "flash/loader_access.py",
    "flash/esptool.py",
    "flash/preflight.py",
    "flash/esptool_errors.py",
    "job/flash.py",
    "job/many.py",
    "job/assign.py",
    "job/ports.py",
    "ledger/claims.py",
    "ledger/store.py",
    "link/board_messages.py",
    "link/repl.py",
    "link/transport/frames.py",
    "link/transport/stream.py",
)
# Not of a board on the line: where a person types, stops the run, or tests code of their own, the sentence is enough.
TYPED = {
    "program-overdue",
    "program-restarted",
    "no-port",
    "port-twice",
    "not-bound",
    "no-ledger",
    "ledger-driver",
    "ledger-not-empty",
    "interrupted",
}


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources()


@pytest.fixture(scope="module")
def sites(sources: Sources) -> list[Site]:
    tables = [Site(code, exit_code, where) for where, (codes, exit_code) in TABLES.items() for code in codes]
    return sources.sites + tables + [Site(code, exit_code, "raised again") for code, exit_code in RAISED_AGAIN.items()]


def test_every_code_of_the_sources_has_a_row(sites: list[Site]) -> None:
    missing = [f"{site.where}: {site.code}" for site in sites if site.code not in ROWS]
    assert not missing, "add a row in provisioning/errors/codes/"


def test_every_row_is_used(sites: list[Site]) -> None:
    unused = sorted(set(ROWS) - {site.code for site in sites})
    assert not unused, "no source names these: remove the rows"


def test_every_code_can_be_read_in_the_sources(sources: Sources) -> None:
    unread = [place for place in sources.unread if place.partition(":")[0] not in TABLES]
    assert not unread, "write the code down, or name its table here"


def test_a_row_has_the_exit_codes_of_what_raises_it(sites: list[Site]) -> None:
    found: dict[str, set[int | None]] = defaultdict(set)
    for site in sites:
        found[site.code].add(site.exit_code)
    rows = {code: set(ROWS[code].exits) for code in found}
    differ = {code: (rows[code], exits) for code, exits in found.items() if exits - {None} != rows[code] and exits != {None}}
    assert not differ, "code: (exit codes of its row, of the classes that raise it)"


def test_a_code_with_a_class_of_its_own_is_raised_as_that_everywhere(sites: list[Site]) -> None:
    """Else who catches the class misses the place that raises its parent."""
    kinds: dict[tuple[str, int | None], set[str]] = defaultdict(set)
    for site in sites:
        if site.kind:
            kinds[site.code, site.exit_code].add(site.kind)
    assert not {code: found for code, found in kinds.items() if len(found) > 1 and found - set(EXITS)}


def test_nothing_asks_an_error_for_its_code(sources: Sources) -> None:
    assert not sources.compared, "catch a class of its own instead"


def test_the_scan_sees_each_way_of_naming_a_code(sites: list[Site]) -> None:
    """A raised class, a subclass, a helper with its kind, a row with its class, a result, a fault, a field, a condition."""
    seen = {(site.code, site.exit_code) for site in sites}
    assert {
        ("bad-selftest", 1), ("rate-late", 1), ("device-exception", 1), ("file-missing", 2), ("flash-mismatch", 1), ("secure-boot", 1),
        ("unchanged", 0), ("chain-broken", 1), ("settled", None), ("other-python", 1), ("readback", 1), ("disk-full", 3),
    } <= seen  # fmt: skip


def test_two_rows_of_one_code_are_refused() -> None:
    row = ROWS["no-answer"]
    with pytest.raises(ValueError, match="no-answer"):
        by_code([row, row])


def test_each_row_says_what_it_means_and_what_next() -> None:
    for row in ROWS.values():
        assert row.means.endswith("."), row.code
        assert row.next or 0 in row.exits or row.code == "not-run", f"{row.code}: a failure has a next step"
        assert "|" not in row.means + row.next, f"{row.code}: it would break the document's table"
        assert row.retry is Retry.NO or 0 not in row.exits, row.code


def test_lines_of_the_bench_are_used() -> None:
    assert {row.bench for row in ROWS.values()} - {None} == set(technician_page.ORDER)


def test_the_technicians_page_has_every_word_that_a_run_at_the_bench_ends_in(sites: list[Site]) -> None:
    seen = {site.code for site in sites if site.where.partition(":")[0].removeprefix("provisioning/") in BENCH_SOURCES}
    unnamed = sorted(code for code in seen - TYPED if ROWS[code].bench is None)
    assert not unnamed, "name a line of the technician's page (errors/technician_page.py) in their rows"


def test_what_a_machine_tries_again() -> None:
    assert may_pass_again("line-errors")
    assert not may_pass_again("wrong-chip")  # it stays so
    assert not may_pass_again("port-busy")  # a person closes the other program first
    assert not may_pass_again("interrupted")  # a person has stopped it
    assert not may_pass_again("nobody-knows-this")


@pytest.mark.parametrize("name", ["errors.md", "technician-codes.md"])
def test_committed_documents_are_current(name: str) -> None:
    wanted = documents.pages(folder("docs"))[folder("docs") / name]
    assert (folder("docs") / name).read_text("utf-8") == wanted, "run: python -m provisioning.errors"


def test_the_reference_has_every_subject_and_code() -> None:
    text = documents.reference()
    assert all(f"\n## {subject}\n" in text for subject in SUBJECTS)
    assert all(text.count(f"\n| `{code}` |") == 1 for code in ROWS)


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="made by"):
        documents.placed("# A page\n")
    with pytest.raises(ValueError, match="end of"):
        documents.placed(documents.BEGIN + "\n")


def test_raising_an_error_loads_no_table() -> None:
    program = (
        "import sys, provisioning.cli.main, provisioning.link.repl; print([m for m in sys.modules if m.startswith('provisioning.errors.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
