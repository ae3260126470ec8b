"""The security-properties file that lets a Java client connect to a VeriSign endpoint, and a check of it with a JVM.

JDK 8u212, 7u221, 11.0.3 and later reject certificates issued after 2019-04-16 that chain to a Symantec root: the policy SYMANTEC_TLS of the
security property `jdk.security.caDistrustPolicies`. The file sets the property to a value that names no policy, so it switches off every
other distrust policy of that JVM too. Moving the client to the ATS endpoint is the better answer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from provisioning import atomic_files
from provisioning.errors import InputError, StationError

PROPERTY = "jdk.security.caDistrustPolicies"
SYMANTEC = "SYMANTEC_TLS"
ADVICE = "Moving the Java client to the ATS endpoint needs no such file and keeps every distrust policy: do that where you can."

CONTENT = f"""\
# Lets a Java client accept certificates that chain to a Symantec (VeriSign) root. Use it for that one client alone:
#   java -Djava.security.properties=<this file> …
# It switches off every distrust policy of that JVM, not Symantec's alone.
{PROPERTY}=null
"""

# A JVM on a slow machine takes about 2 s to compile and run one class.
_TIMEOUT = 60.0
_CLASS = "TwinrootPolicy"
_SOURCE = f"""
public class {_CLASS} {{
    public static void main(String[] arguments) {{
        System.out.println("version=" + System.getProperty("java.version"));
        System.out.println("policies=" + java.security.Security.getProperty("{PROPERTY}"));
    }}
}}
"""


@dataclass(frozen=True)
class JvmCheck:
    """What a JVM says about the property without and with the file."""

    java: str
    version: str
    without: tuple[str, ...]
    with_file: tuple[str, ...]

    @property
    def works(self) -> bool:
        """With the file, Symantec's policy is off."""
        return SYMANTEC not in self.with_file

    @property
    def was_needed(self) -> bool:
        """Without the file, it is on."""
        return SYMANTEC in self.without

    @property
    def also_off(self) -> tuple[str, ...]:
        """The other policies that the file switches off."""
        return tuple(p for p in self.without if p != SYMANTEC and p not in self.with_file)


def write(out: Path, *, force: bool = False) -> bool:
    """Write the file; False when it was there already. Raises InputError: another file is there, or it cannot be written."""
    content = CONTENT.encode()
    try:
        if out.exists():
            if out.is_file() and out.read_bytes() == content:
                return False
            if not force or not out.is_file():
                raise InputError(
                    "file-there", f"{out} is there already, and it is another file.", "Name another file with --out, or add --force."
                )
        atomic_files.replace(out, content)
    except OSError as e:
        raise InputError("not-writable", f"{out} cannot be written: {e.strerror}.", "Name a file in a folder that exists.") from e
    return True


def find_java(given: str | None = None) -> str | None:
    """The `java` to ask: the given one, JAVA_HOME's, the path's; None when there is none. Raises InputError when the given one is none."""
    if given:
        found = shutil.which(given)
        if found is None:
            raise InputError("no-java", f"{given} is not a program.", "Give the path of the java program of the client's JVM.")
        return found
    home = os.environ.get("JAVA_HOME")
    return (shutil.which("java", path=str(Path(home) / "bin")) if home else None) or shutil.which("java")


def check(java: str, file: Path) -> JvmCheck:
    """Ask a JVM for the property, without and with the file. Raises StationError when the JVM does not answer."""
    with tempfile.TemporaryDirectory(prefix="twinroot-jdk-") as folder:
        source = Path(folder) / f"{_CLASS}.java"
        source.write_text(_SOURCE, "ascii")
        version, without = _ask(java, [str(source)])
        _, with_file = _ask(java, [f"-Djava.security.properties={file.resolve()}", str(source)])
    return JvmCheck(java, version, without, with_file)


def _ask(java: str, arguments: list[str]) -> tuple[str, tuple[str, ...]]:
    try:
        done = subprocess.run([java, *arguments], capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise StationError("java-failed", f"{java} did not answer: {e}.", "Check the file on the client's own machine.") from e
    answer = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if done.returncode or "policies" not in answer:
        reason = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise StationError(
            "java-failed",
            f"{java} could not compile and run a class: {reason[:200]}.",
            "The check needs a JDK of version 11 or later; without one, print Security.getProperty in the client itself.",
        )
    named = "" if answer["policies"] == "null" else answer["policies"]
    return answer.get("version", "unknown"), tuple(p.strip() for p in named.split(",") if p.strip())
