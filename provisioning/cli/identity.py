"""`twinroot identity`: keys and certificates of devices, made on this host."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioning.cli import _options as option
from provisioning.cli._options import PATH
from provisioning.cli._output import conclude, emit, say

if TYPE_CHECKING:
    from provisioning.identity.keys import KeyKind
    from provisioning.job.renewed_certificates import Row


@click.group()
def command() -> None:
    """Keys, requests and certificates of devices, made on this host."""


@command.command("make")
@option.product
@option.one_device("The device's id.")
@option.devices("A CSV of devices.")
def make_command(product: Path, device: str | None, devices: Path | None) -> None:
    """Make the identities that are missing, as the product's `identity.issue` block says; what is there stays."""
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose
    from provisioning.errors import InputError
    from provisioning.identity.factory import authority, check_pin, ensure_identity

    loaded = load_product(product)
    ca = authority(loaded, first=True)
    if ca is None:
        raise InputError(
            "no-issuer",
            f"{product} has no 'identity.issue' block, so its certificates come from elsewhere.",
            "Add `issue: {ca: …, ca_key: …}` under identity; docs/yaml.md shows it.",
        )
    check_pin(loaded)
    rows: list[dict[str, str | bool]] = []
    for each in choose(loaded, device, devices):
        made = ensure_identity(loaded, each, ca)
        assert made is not None  # noqa: S101  there is a CA
        rows.append(
            {"device": each.id, "made": made.made_certificate, "sha256": made.pair.sha256, "not_after": made.pair.not_after.isoformat()}
        )
    emit(
        {"outcome": "pass", "identities": rows},
        lambda: "\n".join(
            f"{r['device']}: {'made' if r['made'] else 'there already'}, valid until {str(r['not_after'])[:10]}" for r in rows
        ),
    )


@command.command("renew")
@option.product
@option.one_device("Only this device.")
@option.devices("A CSV of devices; default: the product's own.")
@click.option("--before", metavar="DATE", help="Those that end before DATE; by default, those in their last third and last half-year.")
@click.option("--days", type=click.IntRange(1), metavar="N", help="Validity of the new ones; default: the product's `days`.")
@option.ledger
def renew_command(
    product: Path, device: str | None, devices: Path | None, before: str | None, days: int | None, location: str | None
) -> int:
    """Make new certificates over the same keys for devices whose certificates end soon.

    The keys may be on the boards alone; subject and names stay. The old certificate is laid aside, the ledger has both. Run again, or after
    it was cut off, it makes nothing twice. `twinroot update` brings the new one by cable, `twinroot sign renewal` over the air.
    """
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose
    from provisioning.errors import FileMissing, InputError
    from provisioning.identity.factory import authority, check_pin
    from provisioning.job import renewed_certificates as work
    from provisioning.ledger.store import Ledger
    from provisioning.moment import moment_of

    loaded = load_product(product)
    ca, now = authority(loaded), work.now()
    if ca is None or loaded.identity.issue is None:
        raise InputError(
            "no-issuer",
            f"{product} has no 'identity.issue' block, so its certificates come from elsewhere.",
            "Where this computer reaches the CA's key (a file, a token, a command), name it as `issue: …` under identity. Another CA signs "
            "the same public keys: docs/renewal.md says where its files go. What AWS issued ends in 2049 and has no renewal.",
        )
    with Ledger.open(location) as ledger:
        work.check_clock(now, ledger)
        order = work.Order.of(loaded, ca, days or loaded.identity.issue.days, now, moment_of(before, {}))
        check_pin(loaded)
        rows = work.renew(order, choose(loaded, device, devices), ledger, progress=lambda row: say(_line(row)) if row.message else None)
    if device is not None and rows[0].result == "absent":
        hint = "It lies where its board was made; a device that never had one gets it from `twinroot identity make`."
        raise FileMissing("file-missing", f"There is no certificate of {device} here to renew.", hint)
    counts = Counter(row.result for row in rows)
    summary = f"{len(rows)} devices: " + ", ".join(f"{counts[name]} {words}" for name, words in _RESULTS.items() if counts[name])
    lines = islice((_line(row) for row in rows if row.result == "renewed"), _MOST_LINES)
    text = "\n".join([*lines, summary])
    refused = next((row for row in rows if row.result == "refused"), None)
    failure = (
        InputError("not-renewed", f"{counts['refused']} of {len(rows)} certificates were not renewed: {refused.message}", refused.hint)
        if refused is not None
        else None
    )
    return conclude({"renewals": [row.as_dict() for row in rows], "counts": dict(counts)}, text, failure)


_RESULTS = {"renewed": "renewed", "valid": "not due", "absent": "without a certificate here", "refused": "refused"}
_MOST_LINES = 20


def _line(row: Row) -> str:
    if row.message:
        return f"{row.device}: {row.message} {row.hint}"
    issuer = f", by {row.issuer}" if row.issuer else ""
    return f"{row.device}: valid until {row.not_after} instead of {row.was}{issuer}"


@command.command("csr")
@option.product
@option.one_device("The device's id.")
@option.devices("A CSV of devices.")
@option.key_kind("Kind of the keys.")
def csr_command(product: Path, device: str | None, devices: Path | None, kind: KeyKind) -> None:
    """Make keys, and signing requests beside the certificates' paths (….csr.pem) for a CA that is elsewhere."""
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose, unit
    from provisioning.identity.issue import request, request_path

    loaded = load_product(product)
    rows = []
    for each in choose(loaded, device, devices):
        one = unit(loaded, each)
        path = request_path(one.certificate)
        made_key, made = request(each.id, one.key, path, kind=kind)
        rows.append({"device": each.id, "request": str(path), "made": made, "made_key": made_key})
    emit({"outcome": "pass", "requests": rows}, lambda: "\n".join(f"{r['device']}: {r['request']}" for r in rows))


@command.command("ca")
@click.option("--name", default="Factory CA", show_default=True, help="The CA's common name.")
@click.option("--out", type=PATH, help="The folder for ca.crt.pem and ca.key.pem.")
@click.option("--product", type=PATH, help="Instead: the product whose token has the CA's key; its certificate is made where `ca` says.")
@option.key_kind("Kind of the key.")
def ca_command(name: str, out: Path | None, product: Path | None, kind: KeyKind) -> None:
    """Make a factory CA: with a key in a file, for benches and pilot runs, or of the key in a product's token, for a line."""
    from provisioning.errors import InputError
    from provisioning.identity.factory import make_ca, make_token_ca

    if (out is None) == (product is None):
        raise InputError(
            "bad-arguments", "Give --out or --product, one of them.", "--out makes a key, --product uses the one in its token."
        )
    if product is not None:
        from provisioning.config.load import load_product

        made = make_token_ca(load_product(product), name)
        emit({"outcome": "pass", "certificate": str(made), "key": None}, f"{made} (its key is in the token)")
        return
    assert out is not None  # noqa: S101  one of the two is given
    certificate, key = make_ca(name, out, kind)
    emit({"outcome": "pass", "certificate": str(certificate), "key": str(key)}, f"{certificate}\n{key} (readable by you only)")
