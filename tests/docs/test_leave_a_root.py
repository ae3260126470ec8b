"""The page "leave a root in an afternoon", pasted block by block into a shell: what it says is to be looked for is there."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.resources import folder

PAGE = folder("firmware").parent / "docs" / "leave-a-root.md"
_LIMIT = 100  # seconds of a block
_PASSED = ("LANG", "PYTHONPATH", "TMPDIR", "PYTHONDONTWRITEBYTECODE")
_BLOCK = re.compile(r"^```sh\n(?P<commands>.*?)^```\n(?:\n*```text\n(?P<seen>.*?)^```\n)?", re.M | re.S)


class Shell:
    """A terminal into which somebody pastes. What it starts in the background ends with it."""

    def __init__(self, home: Path) -> None:
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        self._process = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=home,
            env={**passed, "PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8"},
            text=True,
            start_new_session=True,
        )

    def paste(self, commands: str) -> tuple[int, str]:
        """Exit code of the last command, and what was printed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        end = secrets.token_hex(8)
        late = threading.Timer(_LIMIT, self._kill)
        late.start()
        self._process.stdin.write(f"{commands}\necho {end} $?\n")
        self._process.stdin.flush()
        lines = []
        for line in self._process.stdout:
            if end in line:
                late.cancel()
                before, _, code = line.rpartition(end)
                return int(code), "".join([*lines, before])
            lines.append(line)
        raise AssertionError(f"the shell ended, or took longer than {_LIMIT} s:\n{''.join(lines)}")

    def _kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)  # the shell's own way is the last block of the page
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            self._kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    made.close()


def _is_there(line: str, printed: str) -> bool:
    pattern = ".*".join(re.escape(part.strip()) for part in line.strip().split("…"))
    return re.search(pattern, printed) is not None


@pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")
@pytest.mark.timeout(300)
def test_the_page(shell: Shell) -> None:
    blocks = list(_BLOCK.finditer(PAGE.read_text("utf-8")))
    assert len(blocks) > 10 and sum(bool(block["seen"]) for block in blocks) > 8
    for block in blocks:
        if "pip install" in block["commands"]:
            continue
        code, printed = shell.paste(block["commands"])
        print(f"{block['commands']}----\n{printed}")
        assert code == 0, printed
        for line in (block["seen"] or "").splitlines():
            assert _is_there(line, printed), f"{line!r} is not in\n{printed}"
