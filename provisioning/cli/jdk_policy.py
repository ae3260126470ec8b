"""`twinroot jdk-policy`: the file for Java clients of a VeriSign endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from provisioning.cli._options import FILE
from provisioning.cli._output import emit, say


@click.command()
@click.option("--out", type=FILE, required=True, metavar="FILE", help="Where to write it: symantec.policy.")
@click.option("--java", metavar="PROGRAM", help="The JVM to check it with; by default JAVA_HOME's, then the path's.")
@click.option("--no-check", is_flag=True, help="Do not start a JVM.")
@click.option("--force", is_flag=True, help="Replace another file.")
def command(out: Path, java: str | None, no_check: bool, force: bool) -> int:
    """Write the file that lets a Java client accept a VeriSign chain, and check it with a JVM when one is there."""
    from provisioning.errors import BoardError, StationError
    from provisioning.migration import jdk

    found = None if no_check else jdk.find_java(java)
    written = jdk.write(out, force=force)
    checked, unchecked = None, "" if no_check else "no JVM was found (JAVA_HOME, path)"
    try:
        checked = jdk.check(found, out) if found else None
    except StationError as error:
        if java:
            raise
        unchecked = error.message  # nobody asked for this JVM: the file is written, and that is what was asked for
    use = f"-Djava.security.properties={out}"
    data: dict[str, Any] = {
        "file": str(out),
        "written": written,
        "property": jdk.PROPERTY,
        "option": use,
        "advice": jdk.ADVICE,
        "checked": None,
    }
    lines = [f"{out}: {'written' if written else 'already there'}.  Start the client with  java {use} …"]
    if checked:
        data["checked"] = {
            "java": checked.java,
            "version": checked.version,
            "without": list(checked.without),
            "with": list(checked.with_file),
            "works": checked.works,
            "needed": checked.was_needed,
            "also_off": list(checked.also_off),
        }
        without, with_file = (", ".join(policies) or "none" for policies in (checked.without, checked.with_file))
        lines.append(f"Checked with Java {checked.version}: policies without the file: {without}; with it: {with_file}.")
        if not checked.works:
            raise BoardError(
                "policy-ignored",
                f"Java {checked.version} still distrusts Symantec with {out}.",
                "Is java.security.overridePropertiesFile=false?",
            )
        if checked.also_off:
            say(f"warning: it also switches off {', '.join(checked.also_off)} for that client.")
        if not checked.was_needed:
            say(f"note: Java {checked.version} does not distrust Symantec by itself; this JVM needs no such file.")
    else:
        say(f"note: not checked with a JVM{': ' if unchecked else ''}{unchecked}".rstrip(".") + ".")
    say(f"advice: {jdk.ADVICE}")
    emit(data, "\n".join(lines))
    return 0
