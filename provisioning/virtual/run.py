"""From options to running boards: resolves the board type, then becomes the hardware process.

The hardware process is started by exec, so that it carries nothing of the command line's imports: each interpreter is a fork of it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from provisioning.errors import StationError
from provisioning.virtual.named import named_board
from provisioning.virtual.options import VirtualOptions
from provisioning.virtual.spec import BoardSpec


def resolve(options: VirtualOptions) -> BoardSpec:
    """What is to run, as plain values. Raises InputError for what is not there or not valid, StationError for a QEMU that does not run."""
    named = named_board(options)
    if options.replay is not None:
        from provisioning.link.recording import read

        read(options.replay)  # said before a process is started for it
        return replace(named, engine="replay", replay=str(options.replay.absolute()))
    if options.engine == "qemu":
        from provisioning.virtual.qemu.resolve import resolve as emulated

        return emulated(options, named)
    return named


def check_platform(engine: str = "micropython") -> None:
    """Raises StationError where the board cannot run."""
    import platform

    if engine == "qemu" and sys.platform == "linux":
        return
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise StationError(
            "virtual-needs-linux",
            f"The virtual board runs on Linux x86-64 only, this is {sys.platform} {platform.machine()}",
            "Use a real board here, or run it in a Linux container or virtual machine.",
        )


def hardware_command(spec: BoardSpec, options: VirtualOptions, *more: str) -> list[str]:
    """The command line of the hardware process."""
    command = [sys.executable, "-m", "provisioning.virtual.hardware", "--spec", spec.dumps(), "--count", str(options.count)]
    command += ["--link", options.link, "--port", str(options.port)]
    if options.state is not None:
        command += ["--state", str(options.state)]
    if options.json:
        command.append("--json")
    return [*command, *more]


def run(options: VirtualOptions) -> None:
    """Becomes the hardware process, which ends by SIGTERM, SIGINT or SIGHUP. Returns only after --inject.

    Raises InputError and StationError before that.
    """
    options.check()
    check_platform(options.engine)
    if options.injects and options.state is not None:
        from provisioning.virtual import inject

        inject.report(inject.inject(options.injects, options.state), options.state, options.json)
        return
    spec = resolve(options)
    command = hardware_command(spec, options)
    for note in spec.notes:
        sys.stderr.write(f"twinroot: {note}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, command, environment())


def environment() -> dict[str, str]:
    """This process's environment, in which the hardware process finds this very package."""
    root = str(Path(__file__).resolve().parent.parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))}
