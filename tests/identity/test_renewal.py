"""Certificates for longer over the same keys: who a device is stays, the old one is never lost, nothing is made twice."""

from __future__ import annotations

import itertools
import pkgutil
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from provisioning.config.device import Device, single_device
from provisioning.config.load import load_product
from provisioning.errors import InputError, StationError, TwinrootError
from provisioning.identity import renewal
from provisioning.identity.factory import authority, make_ca
from provisioning.identity.issue import issue, sign
from provisioning.identity.keys import KeyKind, make_key
from provisioning.identity.pair import load_pair
from provisioning.identity.signer import Authority, from_files
from provisioning.job import renewed_certificates as work
from provisioning.job.renewed_certificates import Order, Row, renew
from provisioning.ledger.entry import RENEWAL, Entry
from provisioning.ledger.store import Ledger
from tests.support import pki
from tests.support.command import InProcess
from tests.support.product_files import PRODUCT, key_pem, write_product

NOW = work.now()
SOON = NOW + timedelta(days=90)
ISSUE = "  issue: {ca: ca/ca.crt.pem, ca_key: ca/ca.key.pem, days: 400}\n"


class Line:
    """A folder with a CA, and devices whose certificates end in a month; their keys are on their boards, and only there."""

    def __init__(self, folder: Path, count: int = 1, kind: KeyKind = "p256") -> None:
        self.folder = folder
        make_ca("Test factory", folder / "ca", kind)
        self.product = load_product(write_product(folder, PRODUCT + ISSUE))
        ca = self.ca
        self.devices = [single_device(f"ws-{n:04}") for n in range(1, count + 1)]
        for device in self.devices:
            certificate, key = self.files(device)
            issue(device.id, certificate, key, ca, kind=kind, days=30)
            key.rename(folder / f"{device.id}.board")

    @property
    def ca(self) -> Authority:
        found = authority(self.product)
        assert found is not None
        return found

    def files(self, device: Device) -> tuple[Path, Path]:
        home = self.folder / "devices"
        return home / f"{device.id}.crt.pem", home / f"{device.id}.key.pem"

    def order(self, days: int = 400, now: datetime | None = None, before: datetime | None = None) -> Order:
        now = now or work.now()
        return Order.of(self.product, self.ca, days, now, before or now + timedelta(days=31))

    def renew(self, order: Order | None = None) -> list[Row]:
        with Ledger.open(self.folder / "ledger.sqlite") as ledger:
            return renew(order or self.order(), self.devices, ledger)

    def rows(self) -> list[Entry]:
        with Ledger.open(self.folder / "ledger.sqlite") as ledger:
            return list(ledger.entries(kind=RENEWAL))

    def names(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "devices").iterdir())


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_the_same_key_and_names_for_longer(tmp_path: Path, kind: KeyKind) -> None:
    line = Line(tmp_path, kind=kind)
    path = line.files(line.devices[0])[0]
    before, old = path.read_bytes(), x509.load_pem_x509_certificate(path.read_bytes())
    [row] = line.renew()
    new = x509.load_pem_x509_certificate(path.read_bytes())
    assert (row.result, row.not_after) == ("renewed", f"{new.not_valid_after_utc:%Y-%m-%d}")
    assert new.public_key() == old.public_key() and new.subject == old.subject and new.serial_number != old.serial_number
    assert timedelta(0) <= work.now() - (new.not_valid_after_utc - timedelta(days=400)) < timedelta(minutes=5)
    new.verify_directly_issued_by(x509.load_pem_x509_certificate((tmp_path / "ca" / "ca.crt.pem").read_bytes()))
    assert line.names() == ["ws-0001.crt.pem", f"ws-0001.replaced-{row.replaces[:16]}.pem"]
    assert (tmp_path / "devices" / line.names()[1]).read_bytes() == before
    # With the key that only the board has, it is the device's identity.
    assert load_pair(path, tmp_path / "ws-0001.board").name == "ws-0001"
    [entry] = line.rows()
    assert entry.fields["certificate_serial"] == f"{new.serial_number:x}"
    assert (entry.fields["replaces"], entry.fields["certificate_sha256"]) == (row.replaces, row.sha256)
    # Once more: nothing.
    assert [row.result for row in line.renew()] == ["valid"]
    assert len(line.rows()) == 1 and len(line.names()) == 2


def test_other_names_stay(line: Line) -> None:
    path, _ = line.files(line.devices[0])
    own = make_key("p256")
    alternative = x509.Extension(
        x509.SubjectAlternativeName.oid, True, x509.SubjectAlternativeName([x509.DNSName("ws-0001.example"), x509.RFC822Name("a@b")])
    )
    subject = x509.Name(
        [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Wetter"), x509.NameAttribute(x509.NameOID.COMMON_NAME, "ws-0001")]
    )
    path.write_bytes(sign(subject, own.public_key(), line.ca, 30, alternative=alternative).public_bytes(Encoding.PEM))
    line.renew()
    new = x509.load_pem_x509_certificate(path.read_bytes())
    assert new.subject == subject
    found = new.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert (found.critical, found.value) == (True, alternative.value)


def test_a_chain_follows_and_a_successor_of_the_ca_signs(line: Line, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "ca")
    make_ca("Test factory 2", tmp_path / "ca")
    line.product = load_product(write_product(tmp_path, PRODUCT + ISSUE.replace("days", "chain: true, days")))
    [row] = line.renew()
    assert (row.result, row.issuer) == ("renewed", "CN=Test factory 2")
    chain = x509.load_pem_x509_certificates(line.files(line.devices[0])[0].read_bytes())
    assert [each.subject.rfc4514_string() for each in chain] == ["CN=ws-0001", "CN=Test factory 2"]


def test_what_is_due(line: Line) -> None:
    old = renewal.current(line.files(line.devices[0])[0])
    life = old.not_after - old.not_before
    assert not renewal.is_due(old, old.not_after - life / 3)
    assert renewal.is_due(old, old.not_after - life / 3 + timedelta(seconds=1))
    assert renewal.is_due(old, NOW, old.not_after + timedelta(days=1)) and not renewal.is_due(old, NOW, old.not_after)
    # A certificate of twenty years is due half a year before its end, not seven years.
    long = renewal.leaf(pki.make(pki.name("x"), start=NOW - timedelta(days=6000), end=NOW + timedelta(days=181)).pem, Path("x"))
    assert not renewal.is_due(long, NOW) and renewal.is_due(long, NOW + timedelta(days=2))


def test_cut_off_anywhere_it_goes_on_and_makes_nothing_twice(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run dies at each change that it makes to a disk, one after the other; the old certificate is never lost."""
    path = line.files(line.devices[0])[0]
    before, signed = path.read_bytes(), []
    steps = ["provisioning.identity.renewal.write_new", "pathlib.Path.replace", "provisioning.ledger.store.Ledger.append"]
    for at in itertools.count():
        left = at

        def dies(real: object) -> object:
            def call(*arguments: object, **options: object) -> object:
                nonlocal left
                if left == 0:
                    raise KeyboardInterrupt
                left -= 1
                return real(*arguments, **options)  # type: ignore[operator]

            return call

        path.write_bytes(before)
        for rest in (line.folder / "devices").glob("*.re*"):
            rest.unlink()
        (line.folder / "ledger.sqlite").unlink(missing_ok=True)
        order = line.order()
        counted = Order(order.product, lambda old, order=order: signed.append(1) or order.make(old), order.now, order.before)
        signed.clear()
        with monkeypatch.context() as patch:
            for name in steps:
                owner, _, attribute = name.rpartition(".")
                patch.setattr(name, dies(getattr(pkgutil.resolve_name(owner), attribute)))
            try:
                line.renew(counted)
                whole = True
            except KeyboardInterrupt:
                whole = False
        assert before in [each.read_bytes() for each in (line.folder / "devices").iterdir()]
        is_there = whole or line.files(line.devices[0])[0].with_name("ws-0001.renewed.pem").exists()
        [row] = line.renew(counted)
        assert sum(signed) == (1 if is_there else 2) and row.result == ("valid" if whole else "renewed")
        assert len(line.rows()) == 1 and line.rows()[0].fields["certificate_sha256"] == row.sha256
        assert line.names()[1:] == [f"ws-0001.replaced-{line.rows()[0].fields['replaces'][:16]}.pem"]
        if whole:
            break
    assert at >= 4


def test_what_is_refused(line: Line, tmp_path: Path) -> None:
    certificate, key = line.files(line.devices[0])
    before = certificate.read_bytes()

    def refused(order: Order | None = None) -> str:
        [row] = line.renew(order)
        assert row.result == "refused" and row.message and row.hint
        return row.code

    key.write_bytes(key_pem(make_key("p256")))
    assert refused() == "key-mismatch"
    key.unlink()
    other = Line(tmp_path / "other")
    shutil.copy(other.files(other.devices[0])[0], certificate.with_name("ws-0001.renewed.pem"))
    assert refused() == "not-a-renewal"
    certificate.with_name("ws-0001.renewed.pem").unlink()
    order = line.order()
    assert refused(Order(line.product, renewal.issued_by(line.ca, 20, order.now, chain=False), order.now, order.before)) == "not-a-renewal"
    line.devices = [single_device("ws-0009")]
    certificate.rename(certificate.with_name("ws-0009.crt.pem"))
    assert refused() == "certificate-of-another"
    assert certificate.with_name("ws-0009.crt.pem").read_bytes() == before
    assert line.names() == ["ws-0009.crt.pem"] and not line.rows()


def test_what_no_certificate_could_be_made_right_for(line: Line, tmp_path: Path) -> None:
    for days, before, code in ((9000, None, "ca-ends-first"), (30, SOON, "renewal-too-short")):
        with pytest.raises(InputError) as caught:
            line.order(days, before=before)
        assert caught.value.code == code, caught.value.message
    late = NOW + timedelta(days=8000)
    [row] = line.renew(line.order(now=late))
    assert (row.result, row.code) == ("refused", "ca-not-valid")
    for wrong in (datetime(2025, 1, 1, tzinfo=timezone.utc), datetime(2060, 1, 1, tzinfo=timezone.utc)):
        with pytest.raises(StationError) as odd:
            work.check_clock(wrong)
        assert odd.value.code == "clock-implausible"
    work.check_clock(NOW)
    line.renew()
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        work.check_clock(work.now() - timedelta(minutes=30), ledger)
        with pytest.raises(StationError, match="the newest row of the ledger"):
            work.check_clock(NOW - timedelta(days=1), ledger)
    with pytest.raises(TwinrootError, match="was made after that"):
        line.renew(line.order(500, NOW - timedelta(hours=2), NOW + timedelta(days=401)))


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    line, run = Line(tmp_path, 3), InProcess(capsys)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWINROOT_LEDGER", str(tmp_path / "ledger.sqlite"))
    (tmp_path / "devices.csv").write_text("device\nws-0001\nws-0002\nws-0003\nws-0004\n")
    ends = f"{NOW + timedelta(days=32):%Y-%m-%d}"
    ask = ("identity", "renew", "product.yaml", "--devices", "devices.csv", "--before")
    code, first, said = run(*ask, ends)
    assert (code, first["counts"]) == (0, {"renewed": 3, "absent": 1}), said
    assert run(*ask, ends)[1]["counts"] == {"valid": 3, "absent": 1}
    rows = run("ledger", "show", "--kind", "renewal")[1]["entries"]
    assert [row["device"] for row in rows] == ["ws-0001", "ws-0002", "ws-0003"] and all("same key" in row["message"] for row in rows)
    # What would end before the date again is refused before anything is made.
    code, short, _ = run(*ask, "2099-01-01")
    assert (code, short["code"]) == (2, "renewal-too-short")
    code, none, _ = run("identity", "renew", "product.yaml", "--device", "ws-0004")
    assert (code, none["code"]) == (2, "file-missing")
    write_product(tmp_path)
    code, elsewhere, _ = run("identity", "renew", "product.yaml", "--device", "ws-0001")
    assert (code, elsewhere["code"]) == (2, "no-issuer")
    # `aws register --renewed` and `sign renewal` would send people back here: they take what was renewed, and make nothing.
    assert "--renewed" not in elsewhere["hint"] and "docs/renewal.md" in elsewhere["hint"]
    assert line.names()[0] == "ws-0001.crt.pem"


def test_a_key_in_a_token_or_behind_a_command_signs(line: Line, tmp_path: Path) -> None:
    (tmp_path / "ca" / "ca.key.pem").rename(tmp_path / "token.pem")
    block = ISSUE.replace("ca_key: ca/ca.key.pem", "signer: [openssl, dgst, -sha256, -sign, token.pem]")
    line.product = load_product(write_product(tmp_path, PRODUCT + block))
    assert [row.result for row in line.renew()] == ["renewed"]


@pytest.mark.long
def test_a_thousand_devices(tmp_path: Path) -> None:
    line = Line(tmp_path, 1000)
    rows = line.renew()
    assert {row.result for row in rows} == {"renewed"} and len({row.sha256 for row in rows}) == 1000
    assert len(line.rows()) == 1000


def test_no_ca_is_asked_for_what_is_not_due(tmp_path: Path) -> None:
    line = Line(tmp_path)
    signed = []
    order = Order(line.product, lambda _old: signed.append(1) or b"", NOW, NOW)
    assert [row.result for row in line.renew(order)] == ["valid"] and not signed
    assert from_files(tmp_path / "ca" / "ca.crt.pem", tmp_path / "ca" / "ca.key.pem").certificate
