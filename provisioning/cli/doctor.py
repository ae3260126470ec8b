"""`twinroot doctor`: what this station has, and what it lacks. Exit code 3 when something that the main job needs is missing."""

from __future__ import annotations

from dataclasses import asdict

import click

from provisioning.cli._output import conclude
from provisioning.doctor import examine
from provisioning.errors import StationError


@click.command()
def command() -> int:
    """Say what this station has, what it lacks, and what to do about it."""
    findings = list(examine())
    missing = [finding for finding in findings if finding.needed and not finding.ok]

    def text() -> str:
        lines = []
        for finding in findings:
            sign = "ok " if finding.ok else ("-- " if not finding.needed else "NO ")
            lines.append(f"{sign} {finding.name:<14} {finding.found}")
            if finding.hint:
                lines.append(f"    {'':<14} next: {finding.hint}")
        return "\n".join(lines)

    failure = None
    if missing:
        names = ", ".join(finding.name for finding in missing)
        failure = StationError("station-unfit", f"This station lacks what the main job needs: {names}.", missing[0].hint)
    return conclude({"ok": not missing, "checks": [asdict(finding) for finding in findings]}, text, failure)
