"""The calendar: read back by another reader, line by line as RFC 5545 has it, the same each time."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.migration.icalendar import Event, calendar, folded
from provisioning.trust.roots import load_roots
from tests.support.command import InProcess
from tests.support.product_files import PRODUCT, write_identity, write_product

STAMP = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    command = InProcess(capsys)

    def ask(*arguments: str) -> tuple[dict[str, Any], bytes, str]:
        out = tmp_path / "trust.ics"
        code, result, said = command("trust", "calendar", *arguments, "--ics", str(out))
        assert code == 0, said
        return result, out.read_bytes(), said

    return ask


def events(content: bytes) -> list[Any]:
    """By the other reader, which raises for what it cannot read."""
    read = icalendar.Calendar.from_ical(content)
    assert not read.errors and read["VERSION"] == "2.0" and read["PRODID"]
    return list(read.walk("VEVENT"))


def test_all_roots_with_their_ends_and_dates(run: Any) -> None:
    result, content, _ = run()
    read = events(content)
    roots = load_roots()
    expected = {(root.not_after.date(), "root") for root in roots.values()}
    expected |= {(policy.date, "policy") for root in roots.values() for policy in root.policy}
    assert {(each["DTSTART"].dt, str(each["CATEGORIES"].cats[0])) for each in read} == expected
    assert len(read) == len(result["events"]) == len({str(each["UID"]) for each in read})
    for each in read:
        assert type(each["DTSTART"].dt) is date and each["DTEND"].dt - each["DTSTART"].dt == timedelta(days=1)
        assert each["DTSTAMP"].dt == datetime(1970, 1, 1, tzinfo=timezone.utc)
        assert [alarm["TRIGGER"].dt < timedelta(0) for alarm in each.walk("VALARM")] == [True] * 3
    lines = content.split(b"\r\n")
    assert all(len(line) <= 75 and b"\n" not in line for line in lines) and lines[-1] == b""


def test_devices_whose_certificates_are_here(run: Any, tmp_path: Path) -> None:
    for device in ("ws-0001", "ws-0002"):
        write_identity(tmp_path, device, end=timedelta(days=400))
    write_identity(tmp_path, "ws-0003", end=timedelta(days=500))
    product = write_product(tmp_path)
    result, content, _ = run(str(product))
    read = {str(each["SUMMARY"]): each for each in events(content)}
    together, alone = (next(each for text, each in read.items() if what in text) for what in ("2 device certificates end", "ws-0003"))
    day = (datetime.now(timezone.utc) + timedelta(days=400)).date()
    assert day - timedelta(days=1) <= together["DTSTART"].dt <= day
    assert "ws-0001" in together["DESCRIPTION"] and "ws-0002" in together["DESCRIPTION"]
    assert f"twinroot identity renew product.yaml --before {together['DTEND'].dt}" in together["DESCRIPTION"]
    assert alone["DTSTART"].dt - together["DTSTART"].dt == timedelta(days=100)
    assert result["certificates"] == 3
    # What a renewal lays aside, or has begun, is no device, whatever the product's template fits.
    (tmp_path / "all").mkdir()
    for name in ("ws-0001", "ws-0001.replaced-3fa94c1e22b07d15", "ws-0001.retired-3fa94c1e22b07d15", "ws-0001.renewed"):
        (tmp_path / "all" / f"{name}.pem").write_bytes((tmp_path / "devices" / "ws-0001.crt.pem").read_bytes())
    write_product(tmp_path, PRODUCT.replace("devices/{device}.crt.pem", "all/{device}.pem"))
    assert run(str(product))[0]["certificates"] == 1
    write_product(tmp_path)
    used = {"AmazonRootCA1", "AmazonRootCA3", "VeriSign-Class3-Public-Primary-G5"}
    assert {text.split()[1].rstrip(":") for text in read if text.startswith("Root ")} == used
    (tmp_path / "devices.csv").write_text("device\nws-0001\nws-0009\n")
    result, _, said = run(str(write_product(tmp_path, more="devices: devices.csv\n")))
    assert (result["certificates"], result["absent"]) == (1, 1) and "not in the calendar: 1" in said


def test_the_same_content_is_the_same_calendar(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_identity(tmp_path, "ws-0001")
    product = str(write_product(tmp_path))
    _, first, _ = run(product)
    assert run(product)[1] == first
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    timed = run(product)[1]
    assert [str(each["UID"]) for each in events(timed)] == [str(each["UID"]) for each in events(first)]
    assert {each["DTSTAMP"].dt for each in events(timed)} == {STAMP}


def test_a_certificate_that_is_none(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    certificate, _ = write_identity(tmp_path, "ws-0001")
    certificate.write_text("nothing")
    code, result, said = InProcess(capsys)("trust", "calendar", str(write_product(tmp_path)), "--ics", str(tmp_path / "a.ics"))
    assert code == 2 and str(certificate) in result["message"] and len(said.strip().splitlines()) == 2
    assert not (tmp_path / "a.ics").exists()


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\n,;\\:"'), max_size=200)


@given(TEXTS, TEXTS, st.dates())
def test_any_text_comes_back(summary: str, description: str, day: date) -> None:
    content = calendar("a, b; c", [Event("k", day, summary, description, "root", (30,))], STAMP)
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))
    (event,) = events(content)
    assert (str(event["SUMMARY"]), str(event["DESCRIPTION"]), event["DTSTART"].dt) == (summary, description, day)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")))
def test_folding_is_undone_by_taking_the_folds_out(line: str) -> None:
    made = folded(line)
    assert made.replace(b"\r\n ", b"") == line.encode() + b"\r\n"
    for piece in made.removesuffix(b"\r\n").split(b"\r\n"):
        assert len(piece) <= 75
        piece.decode()  # no character is parted


def test_what_a_calendar_cannot_hold_is_shown_as_a_question_mark() -> None:
    (event,) = events(calendar("", [Event("k", date(2030, 1, 1), "a\x1b[31mb\rc", "", "root", ())], STAMP))
    assert str(event["SUMMARY"]) == "a?[31mb?c"
