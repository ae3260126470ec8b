"""Windows has no fcntl, no termios, no fork: nothing that serves a real board may need them. Here they are taken away from Linux."""

from __future__ import annotations

import subprocess
import sys

# The virtual board and the cloud stand-in are for Linux (and macOS): their commands say so when they are run.
PROGRAM = """
import importlib, os, pkgutil, signal, socket, sys

AWAY = {"fcntl", "termios", "tty", "pty", "pwd", "grp", "resource", "syslog"}
for name in "fork forkpty openpty geteuid setsid chown fchmod mkfifo killpg sched_getaffinity statvfs pread".split():
    delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGALRM", "SIGCHLD"):
    delattr(signal, name)
del socket.AF_UNIX


class Away:
    def find_spec(self, name, path=None, target=None):
        if name in AWAY:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


for name in AWAY:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Away())

import provisioning
from provisioning.cli.main import COMMANDS, cli

for name in COMMANDS:
    assert cli.get_command(None, name) is not None, name
apart = ("provisioning.virtual", "provisioning.standin.", "provisioning.demo.app", "provisioning._wheel", "provisioning.__main__")
count = 0
for found in pkgutil.walk_packages(provisioning.__path__, "provisioning.", onerror=lambda name: None):
    if not found.name.startswith(apart) or found.name.startswith("provisioning.aws"):
        importlib.import_module(found.name)
        count += 1
print(count)
"""


def test_what_serves_a_real_board_needs_nothing_of_posix() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 80
