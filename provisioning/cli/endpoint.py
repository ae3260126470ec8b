"""`twinroot endpoint HOST…`: what a host name says."""

from __future__ import annotations

import click

from provisioning.cli._output import conclude
from provisioning.errors import InputError
from provisioning.trust.endpoint import classify
from provisioning.trust.providers import Endpoint
from provisioning.trust.related import related
from provisioning.untrusted_text import one_line


@click.command()
@click.argument("hosts", metavar="HOST…", nargs=-1, required=True)
def command(hosts: tuple[str, ...]) -> int:
    """Class, region, partition, roots, and the other endpoint of the pair. Asks nobody: the name alone decides.

    Exit code 2 when one of the hosts cannot be an endpoint.
    """
    found = [classify(host) for host in hosts]
    return conclude({"endpoints": [_row(e) for e in found]}, lambda: "\n\n".join(map(_text, found)), _failure(found))


def _failure(found: list[Endpoint]) -> InputError | None:
    wrong = [e.host for e in found if e.cls == "invalid"]
    if not wrong:
        return None
    return InputError("invalid-host", f"Not an endpoint's name: {', '.join(wrong)}.", "The note of each says what is wrong with it.")


def _row(e: Endpoint) -> dict[str, object]:
    return {
        "host": e.host,
        "class": e.cls,
        "provider": e.provider,
        "region": e.region,
        "partition": e.partition,
        "pair": e.pair,
        "roots": list(e.roots),
        "notes": list(e.notes),
        "related": [{"what": r.what, "host": r.host, "how": r.how, "note": r.note} for r in related(e)],
    }


def _text(e: Endpoint) -> str:
    rows = [("class", e.cls)]
    if e.provider and not e.region:
        rows += [("provider", e.provider), ("roots", ", ".join(e.roots) or "name them in the product")]
    if e.region:
        rows += [("region", f"{e.region} ({e.partition})"), ("pair", e.pair or "none"), ("roots", ", ".join(e.roots) or "none")]
    rows += [(r.what, f"{r.host or 'unknown'}  ({r.how}: {r.note})") for r in related(e) if r.what != "pair"]
    rows += [("note", note) for note in e.notes]
    return "\n".join([one_line(e.host), *(f"  {name:<19}{value}" for name, value in rows)])
