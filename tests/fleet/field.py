"""A fleet for tests of waves: product files and signed sets as people make them, what is known of its devices, and a carrier that is a
folder of files."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from provisioning.bundle.bundle import build
from provisioning.config.device import single_device
from provisioning.config.load import load_product
from provisioning.fleet import draft
from provisioning.fleet import offer as offers
from provisioning.fleet import plan as plans
from provisioning.fleet.carrier import DONE, FAILED, OFFERED, ROLLED_BACK, WITHDRAWN, WRITING, Progress
from provisioning.fleet.device import Anchor, Device
from provisioning.fleet.plan_rows import PlanRows, Turn
from provisioning.fleet.session import Session, offer_of
from provisioning.fleet.store import FleetStore
from provisioning.ledger.store import Ledger
from provisioning.ota import signed_set
from provisioning.pem.public_key import public_numbers
from tests.support import product_files

NAME = "weather-station"
LEGACY, ATS = "VeriSign-Class3-Public-Primary-G5", "AmazonRootCA1"
AT = 1_800_000_000  # the tests' clock begins here
_PRODUCT = """\
product: weather-station
version: 1
board: esp32-generic
updates: {key: vendor.pub.pem}
cloud:
  region: us-east-1
  phase: legacy-first
  endpoint: a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com
identity:
  certificate: "devices/{device}.crt.pem"
  key: "devices/{device}.key.pem"
"""


@lru_cache(maxsize=1)
def vendor_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


class _Signer:
    def sign(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        return vendor_key().sign(data, PKCS1v15(), SHA256())


def write_product(folder: Path) -> Path:
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / "vendor.pub.pem").write_bytes(vendor_key().public_key().public_bytes(serialization.Encoding.PEM, spki))
    product_files.write_identity(folder, "ws-0")
    return product_files.write_product(folder, _PRODUCT)


def sign(product: Path, out: Path, *, days: int = 3650, device: str | None = None) -> None:
    """What `twinroot render` and `twinroot sign set` make. Valid by the tests' clock and by this computer's."""
    made = build(load_product(product), single_device("ws-0"))
    info = json.loads(made.trust["set.json"])
    files = {**made.trust, **made.lib}
    expires = max(int(time.time()), AT) + days * 86400
    text, contents = signed_set.manifest(info, files, expires=expires, device=device)
    out.write_bytes(signed_set.sign(text, contents, _Signer(), public_numbers(vendor_key().public_key())))


@lru_cache(maxsize=1)
def _files() -> dict[str, bytes]:
    """Product files and signed sets, made once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted, back = draft.product_files(write_product(folder), "ats-first")
        sign(wanted, folder / "forward.bin")
        sign(back, folder / "back.bin")
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def devices(count: int, *, sites: Sequence[str] = ("berlin", "hamburg"), seen: int | None = AT - 60) -> Iterator[Device]:
    """ws-0 to ws-(count-1), all well, on version 1 in legacy-first."""
    anchored = {LEGACY: Anchor(9, AT - 60), ATS: Anchor(1, AT - 60)}
    for n in range(count):
        where = {"site": sites[n % len(sites)]}
        yield Device(NAME, f"ws-{n}", "mqtt", seen, 1, phase="legacy-first", firmware="1.25.0", anchored=anchored, attributes=where)


class FolderCarrier:
    """Offers are files: KEY/DEVICE.offer, made once; a device answers in KEY/DEVICE.said. KEY/stopped ends it.

    `step`: called between any two file operations, for tests that kill there. `log`: a line for each offer that was made anew.
    """

    def __init__(self, folder: Path, step: Callable[[str], None] = lambda _what: None) -> None:
        self.folder = folder
        self._step = step

    def start(self, key: str, devices: Sequence[str]) -> None:
        home = self.folder / key
        home.mkdir(parents=True, exist_ok=True)
        for device in devices:
            self._step(f"offer {device}")
            if (home / "stopped").exists():
                return
            try:
                handle = os.open(home / f"{device}.offer", os.O_CREAT | os.O_EXCL)
            except FileExistsError:
                continue
            os.close(handle)
            with (home / "log").open("a") as log:
                log.write(f"{device}\n")

    def progress(self, key: str) -> Iterator[Progress]:
        home = self.folder / key
        self._step("progress")
        for offer in sorted(home.glob("*.offer")):
            said = offer.with_suffix(".said")
            state, _, detail = said.read_text().partition(" ") if said.exists() else (OFFERED, "", "")
            if (home / "stopped").exists() and state == OFFERED:
                state = WITHDRAWN
            yield Progress(offer.stem, state, detail, AT)

    def stop(self, key: str, reason: str) -> None:
        self._step("stop")
        (self.folder / key).mkdir(parents=True, exist_ok=True)
        (self.folder / key / "stopped").write_text(reason)
        self._step("stopped")

    # What devices and tests do.

    def offered(self, key: str) -> list[str]:
        """Devices, in the order in which they got an offer; twice where it was made twice."""
        log = self.folder / key / "log"
        return log.read_text().split() if log.exists() else []

    def say(self, key: str, state: str, who: Iterable[str], detail: str = "") -> None:
        for device in who:
            (self.folder / key / f"{device}.said").write_text(f"{state} {detail}".strip())


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = float(AT)

    def __call__(self) -> float:
        return self.now


class Field:
    """A fleet, its plan and this computer's part in it."""

    def __init__(self, folder: Path, url: str, step: Callable[[str], None] = lambda _what: None) -> None:
        self.folder, self.url = folder, url
        self.clock = Clock()
        self.carrier = FolderCarrier(folder / "air", step)
        self.file = folder / "plan.yaml"

    def make(self, fleet: Iterable[Device], rules: str = "", waves: str = "") -> None:
        """Product files, signed sets, evidence, the first plan; `rules` and `waves` in place of those of the draft."""
        for name, content in _files().items():
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_bytes(content)
        product, wanted, back = (self.folder / f"product{name}.yaml" for name in ("", ".ats-first", ".back"))
        with Ledger.open(self.url) as ledger:
            FleetStore(ledger).put(fleet)
            made = draft.draft(ledger, "move", product, wanted, back, self.file, ("forward.bin", "back.bin"), AT)
            text = made.text.replace("jobs:\n", "jobs:\n  topic: updates/move\n")  # sets with a package are larger than a job
            if rules:
                text = text[: text.index("rules:")] + f"rules: {rules}\n" + text[text.index("jobs:") :]
            if waves:
                text = text[: text.index("waves:")] + f"waves:\n{waves}\n" + text[text.index("planned:") :]
            draft.write(self.file, text)
            if waves:
                plan = plans.load(self.file)
                draft.refresh(ledger, plan, offers.load_products(plan), AT)

    def session(self, ledger: Ledger) -> Session:
        plan = plans.load(self.file)

        def no_aws(_offer: offers.Offer) -> object:
            raise AssertionError("these waves need no AWS")

        offer = offer_of(PlanRows(ledger), plan, ("forward", "back"), self.clock)
        return Session(ledger, plan, offer, no_aws, None, lambda *_: self.carrier, self.clock)  # type: ignore[arg-type]


class Mine(Turn):
    """The turn, in tests of one program."""

    def __init__(self, session: Session, holder: str = "test") -> None:
        self.plan, self.holder = session.plan.name, holder
        session.rows.take_turn(self.plan, holder, 3600)

    def check(self) -> None:
        return


__all__ = ["DONE", "FAILED", "ROLLED_BACK", "WRITING", "Field", "FolderCarrier", "Mine", "devices"]
