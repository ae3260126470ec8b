"""Nothing that runs on the board reaches this computer's files or processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.virtual.board_io import repl

MPREMOTE = [sys.executable, "-m", "mpremote"]


@pytest.fixture
def canary(tmp_path):
    """A file that everybody may delete, and the digest of what surrounds it."""
    folder = tmp_path / "canary"
    folder.mkdir()
    file = folder / "alive"
    file.write_text("still here")
    for path in (folder, file):
        path.chmod(0o777)
    return file


@pytest.fixture
def board(virtual_board):
    return virtual_board


def test_rm_of_everything_through_mpremote_leaves_the_host_alone(board, canary):
    (canary.parent / "copied.py").write_text("x = 1\n")
    subprocess.run(
        [*MPREMOTE, "connect", board.pty, "cp", str(canary.parent / "copied.py"), ":copied.py"],
        check=True,
        timeout=60,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run([*MPREMOTE, "connect", board.pty, "rm", "-r", ":/"], timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    listing = subprocess.run([*MPREMOTE, "connect", board.pty, "ls"], check=True, timeout=60, capture_output=True, text=True)
    assert "copied.py" not in listing.stdout
    assert canary.read_text() == "still here"
    assert Path("/etc/passwd").exists()


ESCAPES = {
    "open a host file": "open({canary!r}, 'w')",
    "open without mounts": "import vfs; vfs.umount('/'); open({canary!r}, 'w')",
    "the posix file system": "import vfs; vfs.VfsPosix('/')",
    "remove": "import os; os.remove({canary!r})",
    "system": "import os; os.system('rm -rf ' + {canary!r})",
    "the native os through its old name": "import uos; uos.system('rm -rf ' + {canary!r})",
    "an inherited descriptor": "open(7, 'rb').read(1)",
    "a high descriptor": "open(200, 'rb').read(1)",
    "the next free descriptor": "open(6, 'rb').read(1)",
    "a local socket": "import socket; socket.socket(1, 1)",
    "environment": "import os; os.getenv('HOME')",
}


@pytest.mark.parametrize("name", ESCAPES)
def test_way_out_is_closed(board, canary, name):
    link = repl(board.pty)
    try:
        trace = link.error(ESCAPES[name].format(canary=str(canary)))
        assert "Traceback" in trace
    finally:
        link.close()
    assert canary.read_text() == "still here"


def interpreter_of(pid):
    """Process ids of the children of the hardware process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def status(pid, key):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return line.split(":", 1)[1].split()
    return []


def test_the_interpreter_is_locked_in_by_the_system(board):
    link = repl(board.pty)
    link.close()
    (pid,) = interpreter_of(board.pid)
    assert status(pid, "NoNewPrivs") == ["1"]
    assert status(pid, "Seccomp") == ["2"]
    if os.geteuid() == 0:
        assert set(status(pid, "Uid")) == {"65534"}
        assert status(pid, "Groups") == []
        assert list(Path(f"/proc/{pid}/root").iterdir()) == []
    # standard streams (0-2), control channel, raw output and input: nothing else
    assert sorted(int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir()) == [0, 1, 2, 3, 4, 5]


NATIVE = """
import os, sys
from pathlib import Path
from provisioning.virtual.interpreter import jail
empty = jail.make_empty_directory()
pid = os.fork()
if pid == 0:
    jail.enter(empty, keep=())
    bad = []
    def tried(name, what):
        try:
            what()
        except OSError:
            return
        bad.append(name)
    tried("open", lambda: open({canary!r}, "w"))
    tried("unlink", lambda: os.unlink({canary!r}))
    tried("list", lambda: os.listdir("/etc") or None)
    tried("fork", lambda: os._exit(0) if os.fork() == 0 else None)
    tried("kill", lambda: os.kill({victim}, 0))
    tried("exec", lambda: os.execv("/bin/true", ["true"]))
    tried("mkdir", lambda: os.mkdir("x"))
    os.write(1, repr(bad).encode())
    os._exit(0)
os.waitpid(pid, 0)
os.rmdir(empty)
"""


@pytest.mark.parametrize("user", ["root", "unprivileged"])
def test_native_code_finds_the_doors_shut(canary, user):
    """Even machine code of the board's program: the jail is the kernel's, not the interpreter's."""
    if user == "root" and os.geteuid() != 0:
        pytest.skip("not root")
    code = NATIVE.format(canary=str(canary), victim=os.getpid())
    options = {}
    if user == "unprivileged" and os.geteuid() == 0:
        code = "import os\nos.setgroups([]); os.setgid(65533); os.setuid(65533)\n" + code
        # an unprivileged user cannot read a root-only checkout: import first, then drop
        code = "from provisioning.virtual.interpreter import jail\n" + code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, **options)
    if "no-jail" in done.stderr:
        pytest.skip("no Landlock on this kernel")
    assert done.stdout == "[]", done.stdout + done.stderr
    assert canary.read_text() == "still here"
