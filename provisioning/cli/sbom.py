"""`twinroot sbom`: what is put on a board, as CycloneDX or SPDX, and what is known against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from provisioning.cli import _options as option
from provisioning.cli._options import FILE
from provisioning.cli._output import conclude, mode, say


@click.command()
@option.product
@option.one_device("With the certificate of this unit.")
@click.option("--firmware-version", metavar="VERSION", help="Of the MicroPython that a board says it runs, instead of the board file's.")
@click.option("--format", "form", type=click.Choice(["cyclonedx", "spdx"]), default="cyclonedx", show_default=True, help="The standard.")
@click.option("--out", type=FILE, metavar="FILE", help="Where to write it; default: standard output.")
@click.option("--timestamp", metavar="TIME", help="When it was made (RFC 3339); default: SOURCE_DATE_EPOCH, else no time at all.")
@click.option("--known-vulnerabilities", "advisories", type=FILE, metavar="FILE", help="Advisories (OSV): exit code 1 when one matches.")
def command(
    product: Path,
    device: str | None,
    firmware_version: str | None,
    form: str,
    out: Path | None,
    timestamp: str | None,
    advisories: Path | None,
) -> int:
    """The software bill of materials of what a product puts on a board."""
    import hashlib
    import json
    import os

    from provisioning import output_file
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose
    from provisioning.errors import BoardError
    from provisioning.moment import moment_of
    from provisioning.sbom import advisories as known
    from provisioning.sbom import document
    from provisioning.sbom.libraries import release
    from provisioning.sbom.parts import TOOL, inventory

    moment = moment_of(timestamp, os.environ)
    listed = known.load(advisories) if advisories else []
    loaded = load_product(product)
    running = release(firmware_version) if firmware_version is not None else None
    made = inventory(loaded, choose(loaded, device)[0] if device else None, running=running)
    text = document.text(made, form, moment)
    findings = known.match(listed, made.versioned())
    if out:
        output_file.write(out, text, output_file.BILL)
    matched = [each for each in findings if not each.undecided]
    for note in made.notes:
        say(f"note: {note}")
    for each in findings:
        say(f"{'undecided' if each.undecided else 'known'}: {each}")
    failure = None
    if matched:
        about = ", ".join(dict.fromkeys(f"{each.part} {each.version}" for each in matched))
        where = "what is on the board" if any(each.kind != TOOL for each in matched) else "the twinroot of this computer"
        failure = BoardError(
            "known-vulnerability",
            f"{loaded.name}: {len({each.id for each in matched})} of {len(listed)} advisories are about {where}: {about}.",
            known.remedy(matched),
        )
    data: dict[str, Any] = {
        "product": loaded.name,
        "device": device,
        "format": form,
        "sha256": hashlib.sha256(text).hexdigest(),
        "file": str(out) if out else None,
        "notes": list(made.notes),
        "known": [vars(each) for each in matched],
        "undecided": [vars(each) for each in findings if each.undecided],
    }
    if mode.json and not out:
        data["sbom"] = json.loads(text)
    count = sum(1 for outer in made.parts for _ in outer.every())
    return conclude(data, f"{out}: {count} parts, SHA-256 {data['sha256']}" if out else text.decode().rstrip("\n"), failure)
