"""Signed heads in a second place, and pages for an auditor: a thousand edits of ledger and anchor are each found."""

from __future__ import annotations

import copy
import json
import random
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from provisioning.cli.main import run as twinroot
from provisioning.errors import InputError
from provisioning.ledger import anchor, seal
from provisioning.ledger.chain_check import verify
from provisioning.ledger.entry import GENESIS, Entry, parse
from provisioning.ledger.store import Ledger
from provisioning.ota import signed_set
from provisioning.pem.public_key import load_public
from tests.support.ledger_rows import MACS, run, tamper

WORD = "canary-of-the-sealing-key"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with day.key.pem and day.pub.pem, and another public key."""
    folder = tmp_path_factory.mktemp("keys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINROOT_SIGNING_PASSPHRASE", WORD)
        for name in ("day", "other"):
            assert twinroot(["sign", "new-key", str(folder / f"{name}.key.pem")]) == 0
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a ledger of 8 boards."""
    monkeypatch.setenv("TWINROOT_SIGNING_PASSPHRASE", WORD)
    monkeypatch.setenv("TWINROOT_LEDGER", str(tmp_path / "ledger.sqlite"))
    with Ledger.open() as ledger:
        for n in range(8):
            run(ledger, f"{n:032x}", MACS[n], [f"ws-{n}"], outcome=["pass", "fail", "error"][n % 3])
    return tmp_path


def sealed(place: Path, keys: Path) -> Path:
    file = place / "elsewhere.seals"
    assert twinroot(["ledger", "seal", "--out", str(file), "--key", str(keys / "day.key.pem")]) == 0
    return file


def ledger_verify(keys: Path, file: Path, capsys: pytest.CaptureFixture[str], public: str = "day") -> tuple[int, set[str]]:
    capsys.readouterr()
    code = twinroot(["ledger", "verify", "--json", "--seals", str(file), "--public", str(keys / f"{public}.pub.pem")])
    said = json.loads(capsys.readouterr().out)
    return code, {fault["code"] for fault in said.get("faults", [])} or {said.get("code", "")}


def test_rows_cut_off_with_their_anchor_are_found(place: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = sealed(place, keys)
    assert ledger_verify(keys, file, capsys)[0] == 0
    tamper(place / "ledger.sqlite", "DELETE FROM entries WHERE seq > 20")
    beside = place / "ledger.sqlite.anchor"
    beside.write_text("".join(beside.read_text().splitlines(keepends=True)[:20]))
    assert twinroot(["ledger", "verify"]) == 0, "the ledger alone does not show it"
    assert ledger_verify(keys, file, capsys) == (1, {"tail-missing"})
    assert twinroot(["ledger", "seal", "--out", str(file), "--key", str(keys / "day.key.pem")]) == 1, "that is not sealed over"
    assert len(seal.read(file)) == 1


def test_seals_are_a_chain_of_their_own(place: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = sealed(place, keys)
    for n in range(8, 10):
        with Ledger.open() as ledger:
            run(ledger, f"{n:032x}", MACS[n], [f"ws-{n}"])
        sealed(place, keys)
    lines = file.read_text().splitlines(keepends=True)
    assert [each.seq for each in seal.read(file)] == [24, 27, 30] and seal.read(file)[0].previous == GENESIS
    assert ledger_verify(keys, file, capsys)[0] == 0
    assert ledger_verify(keys, file, capsys, "other") == (1, {"seal-forged"})
    for left in (lines[0] + lines[2], lines[1] + lines[2]):  # without the second, without the first
        file.write_text(left)
        assert ledger_verify(keys, file, capsys) == (1, {"seal-missing"})
    file.write_text(lines[0].replace('"seq":24', '"seq":23'))
    assert {"seal-forged"} <= ledger_verify(keys, file, capsys)[1]
    file.write_text(lines[0] + "rubbish\n")
    assert ledger_verify(keys, file, capsys) == (2, {"bad-seal"})
    assert twinroot(["ledger", "verify", "--seals", str(file)]) == 2, "a seal that is not checked proves nothing"


@pytest.mark.skipif(sys.platform == "win32", reason="openssl of the system")
def test_a_token_behind_a_command_seals(place: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASS", WORD)
    program = f"openssl dgst -sha256 -sign {keys / 'day.key.pem'} -passin env:PASS"
    arguments = ["ledger", "seal", "--out", str(place / "x.seals"), "--command", program]
    assert twinroot([*arguments, "--public", str(keys / "day.pub.pem")]) == 0
    assert seal.check(seal.read(place / "x.seals"), load_public(keys / "day.pub.pem")) == []
    assert twinroot(arguments) == 2
    arguments[3] = str(place / "y.seals")
    assert twinroot([*arguments, "--public", str(keys / "other.pub.pem")]) == 2, "two halves of two keys"
    assert not (place / "y.seals").exists()


# A thousand edits. Rows are edited as SQLite gives them; the anchor as its file is.


def _rechained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What somebody with the toolkit's source does: numbers, hashes and columns of all rows made to fit again."""
    made: list[dict[str, Any]] = []
    previous = GENESIS
    for number, row in enumerate(rows, 1):
        old = parse(row["body"])
        entry = Entry(number, old.at, old.kind, old.attempt, old.fields, previous)
        made.append({**row, "seq": number, "body": entry.canonical(), "hash": entry.hash})
        previous = entry.hash
    return made


def _value(rng: random.Random, row: dict[str, Any], name: str) -> Any:
    """Another value for a column of a row."""
    old = row[name]
    if isinstance(old, str) and old:
        at = rng.randrange(len(old))
        return rng.choice([old[:at] + chr(ord(old[at]) ^ 1 << rng.randrange(5)) + old[at + 1 :], old[:at], old + "0", None])
    return rng.choice([value for value in (None, 7, "x") if value != old])


def _cell(rng: random.Random, rows: list[dict[str, Any]], heads: list[str]) -> None:
    row = rng.choice(rows)
    name = rng.choice([name for name in row if name not in ("body", "hash", "seq")] + ["body"] * 4 + ["hash", "seq"])
    row[name] = row["seq"] + rng.choice([-30, -1, 1, 100]) if name == "seq" else _value(rng, row, name)
    rows.sort(key=lambda each: each["seq"])


def _cut(rng: random.Random, rows: list[dict[str, Any]], heads: list[str]) -> None:
    """Rows from one on, and the anchor's lines of them."""
    left = rng.randrange(len(rows))
    del rows[left:], heads[left:]


def _remove(rng: random.Random, rows: list[dict[str, Any]], heads: list[str]) -> None:
    at = rng.randrange(len(rows))
    del rows[at : at + rng.randint(1, 3)]


def _swap(rng: random.Random, rows: list[dict[str, Any]], heads: list[str]) -> None:
    one, two = rng.sample(rows, 2)
    one["seq"], two["seq"] = two["seq"], one["seq"]
    rows.sort(key=lambda each: each["seq"])


def _double(rng: random.Random, rows: list[dict[str, Any]], heads: list[str]) -> None:
    """A row of one attempt put in once more, everything after it moved and made to fit."""
    at = rng.randrange(len(rows))
    rows[:] = _rechained([*rows[:at], rows[rng.randrange(len(rows))], *rows[at:]])


def _rewrite(rng: random.Random, rows: list[dict[str, Any]], heads: list[str]) -> None:
    """One field changed, then every hash after it and the whole anchor made to fit: only what lies elsewhere can show it."""
    row = rng.choice([row for row in rows if row["device"]])
    row["body"], row["device"] = row["body"].replace(f'"{row["device"]}"', '"ws-99"'), "ws-99"
    rows[:] = _rechained(rows)
    heads[:] = [f"{each['seq']} {each['hash']}" for each in rows]


def _drop_and_rewrite(rng: random.Random, rows: list[dict[str, Any]], heads: list[str]) -> None:
    """Some rows gone, and all that is left, the anchor too, made to fit."""
    at = rng.randrange(len(rows))
    del rows[at : at + rng.randint(1, 4)]
    rows[:] = _rechained(rows)
    heads[:] = [f"{each['seq']} {each['hash']}" for each in rows]


def _anchor(rng: random.Random, rows: list[dict[str, Any]], heads: list[str]) -> None:
    at = rng.randrange(len(heads) - 1)  # the last one is the seal's, too, and that stands
    number, digest = heads[at].split()
    heads[at] = rng.choice([f"{number} {digest[:-1]}{'0' if digest[-1] != '0' else '1'}", "rubbish", digest, f"{number} {digest.upper()}"])


EDITS = (_cell, _cell, _cell, _cut, _remove, _swap, _double, _rewrite, _drop_and_rewrite, _anchor)


def test_a_thousand_edits_are_each_found(place: Path, keys: Path) -> None:
    sealed(place, keys)
    with Ledger.open() as ledger:
        written = list(ledger.rows())
    beside = (place / "ledger.sqlite.anchor").read_text().splitlines()
    known = seal.heads(seal.read(place / "elsewhere.seals"))
    found: Counter[str] = Counter()
    missed = []
    file = place / "edited.anchor"
    for number in range(1000):
        rng = random.Random(number)
        rows, heads = copy.deepcopy(written), list(beside)
        edit = EDITS[number % len(EDITS)]
        edit(rng, rows, heads)
        assert (rows, heads) != (written, beside), f"edit {number} is none"
        file.write_text("\n".join(heads) + "\n" if heads else "")
        try:
            faults = verify(rows, {**anchor.read(file), **known}).faults
        except InputError as error:
            faults = (error,)
        found.update({fault.code for fault in faults})
        if not faults:
            missed.append((number, edit.__name__))
    assert missed == []
    assert len(found) >= 7, found
    assert verify(written, {**anchor.read(place / "ledger.sqlite.anchor"), **known}).ok


# Build records.


class _Page(HTMLParser):
    """Elements that would load something or run, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "img", "link", "iframe", "object") or any(
            name in ("src", "href") or name.startswith("on") for name, _ in attrs
        ):
            self.bad.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data + "\n"


def test_a_build_record_is_signed_and_shows_what_the_ledger_has(place: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger.open() as ledger:
        about = {"mac": MACS[20], "device": "ws-<20>", "station": "line <script>alert(1)</script>", "operator": 'Zoë "Z" & Co'}
        ledger.append("intent", "f" * 32, {**about, "roots": {"AmazonRootCA1": "8e" * 32}, "firmware_sha256": "ab" * 32})
        ledger.append("outcome", "f" * 32, {**about, "outcome": "pass", "wrote": True, "files": {"/trust/1/set.json": "cd" * 32}})
    out, public = place / "record.html", str(keys / "day.pub.pem")
    assert twinroot(["ledger", "record", "--mac", MACS[20].upper(), "--out", str(out), "--key", str(keys / "day.key.pem")]) == 0
    page = _Page(out.read_text("utf-8"))
    assert page.bad == [] and "PASS" in page.words
    for text in (
        MACS[20],
        "ws-<20>",
        "line <script>alert(1)</script>",
        'Zoë "Z" & Co',
        "8e" * 32,
        "ab" * 32,
        "/trust/1/set.json",
        "cd" * 32,
    ):
        assert text in page.words
    assert MACS[1] not in page.words, "one board"
    assert twinroot(["ledger", "check-record", str(out), "--public", public]) == 0
    assert twinroot(["ledger", "check-record", str(out), "--public", str(keys / "other.pub.pem")]) == 1
    signed = out.read_bytes()
    for edited in (signed.replace(b"PASS", b"FAIL"), signed + b"\n", signed[1:], re.sub(rb"<!-- signature.*", b"", signed)):
        out.write_bytes(edited)
        assert edited != signed and twinroot(["ledger", "check-record", str(out), "--public", public]) == 1
    assert WORD not in "".join(capsys.readouterr())


def test_a_page_for_every_board(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert twinroot(["ledger", "record", "--all", "--out", str(place / "records"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["files"]) == 8 == len(list((place / "records").iterdir()))
    assert twinroot(["ledger", "record", "--mac", MACS[50], "--out", str(place / "x.html")]) == 2
    assert twinroot(["ledger", "record", "--out", str(place / "x.html")]) == 2
    tamper(place / "ledger.sqlite", "UPDATE entries SET device='x' WHERE seq=3")
    assert twinroot(["ledger", "record", "--mac", MACS[0], "--out", str(place / "x.html")]) == 1
    assert not (place / "x.html").exists(), "nothing is attested of a ledger that was edited"


@pytest.mark.skipif(sys.platform == "win32", reason="openssl of the system")
def test_a_page_can_be_checked_without_this_toolkit(place: Path, keys: Path) -> None:
    """As docs/factory.md says: openssl over the words before the signature."""
    import base64

    out = place / "record.html"
    assert twinroot(["ledger", "record", "--device", "ws-0", "--out", str(out), "--key", str(keys / "day.key.pem")]) == 0
    content, _, rest = out.read_bytes().partition(b"<!-- signature RSASSA-PKCS1-v1_5 SHA-256 ")
    (place / "data").write_bytes(b"twinroot build record 1\n" + content)
    (place / "sig").write_bytes(base64.b64decode(rest.split()[0]))
    command = ["openssl", "dgst", "-sha256", "-verify", keys / "day.pub.pem", "-signature", place / "sig", place / "data"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"Verified OK\n"
    assert signed_set.MAGIC != b"twinroot build record 1\n"
