"""mbedTLS's verification as a function (chain.py) against mbedTLS itself: random chains, most of them with something wrong, met by the real
MicroPython. Whatever the function says, the device must do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from provisioning.trust import der
from provisioning.trust.probe.chain import verify
from tests.device import matrix
from tests.device.jail import Board
from tests.device.scenarios import FUTURE, PAST, Scenario, Site
from tests.device.server import Behaviour, echo
from tests.device.sha1 import resigned
from tests.support import pki
from tests.support.pki import Cert

COUNT = 80  # chains a run


def signer_options(rng: random.Random) -> dict[str, Any]:
    """Of an intermediate: mostly good."""
    options: dict[str, Any] = {
        "ca": rng.random() < 0.93,
        "kind": rng.choice(["ec", "ec", "rsa", "ec384", "rsa1024"] if rng.random() < 0.4 else ["ec"]),
    }
    if rng.random() < 0.25:
        options["path_length"] = rng.randrange(3) if options["ca"] else None
    if rng.random() < 0.3:
        options["key_usage"] = rng.choice([{"key_cert_sign": True}, {"key_cert_sign": True, "crl_sign": True}, {"digital_signature": True}])
    options |= rng.choice([{}] * 12 + [PAST, FUTURE])
    return options


def leaf_options(rng: random.Random, host: str) -> dict[str, Any]:
    tail = host.split(".", 1)[1]
    names = [(host,)] * 12 + [(f"*.{tail}",), ("a.example", host.upper()), ("other.example",), (f"*.x.{tail}",), ("*",), ("127.0.0.1",), ()]
    options: dict[str, Any] = {"hosts": rng.choice(names), "kind": rng.choice(["ec", "ec", "rsa"])}
    if rng.random() < 0.3:
        # Not keyEncipherment alone: an OpenSSL server does not even offer such a certificate for ephemeral keys.
        options["key_usage"] = rng.choice([{"digital_signature": True}, {"digital_signature": True, "key_agreement": True}])
    if rng.random() < 0.3:
        server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
        options["extended"] = rng.choice([(server,), (server, client), (client,), (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)])
    return options | rng.choice([{}] * 12 + [PAST, FUTURE])


def random_chain(rng: random.Random, site: Site) -> list[Cert]:
    """Leaf first. Built downwards from the root, from the other route's root, or from a twin of the root's name."""
    twin = pki.make(site.root.certificate.subject, kind=site.kind, label="twin", ca=True)
    top = rng.choice([site.root] * 8 + [site.other, twin])
    signers = [top]
    for level in range(rng.choice([0, 1, 1, 1, 2, 2, 3])):
        made = pki.make(pki.name(f"Level {level}"), signers[-1], label=f"level {level} {rng.randrange(2)}", **signer_options(rng))
        signers.append(resigned(made, signers[-1]) if rng.random() < 0.05 else made)
    leaf = pki.server(site.host, signers[-1], **leaf_options(rng, site.host))
    above = signers[:0:-1]
    if rng.random() < 0.15 and above:
        above.pop(rng.randrange(len(above)))
    if rng.random() < 0.2:
        rng.shuffle(above)
    if rng.random() < 0.15:
        above.insert(rng.randrange(len(above) + 1), rng.choice([site.root, site.other, twin, *signers]))
    return [leaf, *above]


def scenario(seed: int, number: int) -> Scenario:
    """The chain is built when the site is known, and the function is asked then; the row's expectation is filled in."""

    def serve(site: Site) -> Behaviour:
        chain = random_chain(random.Random(f"{seed}/{number}"), site)
        anchors = {"Own": der.certificate(site.root.der)}
        found = verify([der.certificate(c.der) for c in chain], anchors, site.host, datetime.now(timezone.utc))
        said = {None: "ok", "trust": "change"}.get(found.kind, str(found.kind))
        object.__setattr__(row, "right", said)
        return echo(site.context(*chain))

    row = Scenario(f"random chain {seed}/{number}", "", "", "", serve)
    return row


def compare(folder: Path, seed: int, kind: str) -> Counter[str]:
    """The device's own harness with other rows in its table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrix, "SCENARIOS", tuple(scenario(seed, n) for n in range(COUNT)))
        cases = matrix.run(Board(folder / "board"), folder, "right", "preferred", kind)
    wrong = [f"{c.scenario.name}: the function says {c.scenario.right}, the device {c.got}. {c.detail}" for c in cases if not c.ok]
    assert not wrong, "\n".join(wrong)
    return Counter(c.got for c in cases)


@pytest.fixture
def count(capsys: pytest.CaptureFixture[str]) -> Callable[[Counter[str]], None]:
    def show(found: Counter[str]) -> None:
        with capsys.disabled():
            print(f" {dict(found)} ", end="")

    return show


def test_random_chains_end_as_the_function_says(tmp_path: Path) -> None:
    found = compare(tmp_path, 1, "ec")
    assert found["ok"] >= 10 and found["change"] >= 10 and found["clock"] and found["hostname"], found


@pytest.mark.long
@pytest.mark.parametrize("kind", ["ec", "rsa"])
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random_chains(tmp_path: Path, seed: int, kind: str, count: Callable[[Counter[str]], None]) -> None:
    count(compare(tmp_path, seed, kind))
