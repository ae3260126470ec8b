"""One `twinroot station` as a process: what it says line by line, the answer to its question between rounds, and its end."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

SILENCE = 600.0  # seconds without a word
_QUESTION = b"Go on?"
_WORD = re.compile(r"(\S+): (PASS|FAIL|ERROR) (.*)")


class Session:
    """Its standard input is a terminal, so that it asks whether the boards were changed; its output is not, so that it prints lines."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._hand, theirs = os.openpty()
        self._result = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by `close`
        self.process = subprocess.Popen(
            [sys.executable, "-m", "provisioning", "station", *arguments, "--json"],
            stdin=theirs,
            stdout=self._result,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        self.said: dict[str, str] = {}  # port -> the last result of this round
        self.rss: list[int] = []  # KB at each end of a round

    def lines(self) -> Iterator[str | None]:
        """Each line as it comes; None where it asks whether the boards were changed. Ends with the process and all that it started."""
        assert self.process.stderr is not None
        handle, rest = self.process.stderr.fileno(), b""
        while True:
            if not select.select([handle], [], [], SILENCE)[0]:
                raise TimeoutError(f"the station said nothing for {SILENCE:.0f} s")
            data = os.read(handle, 65536)
            if not data:
                return
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                text = line.decode("utf-8", "replace")
                if match := _WORD.fullmatch(text):
                    self.said[match[1]] = f"{match[2]} {match[3]}"
                yield text
            if _QUESTION in rest:
                rest = b""
                self.rss.append(self._rss())
                yield None

    def _rss(self) -> int:
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def answer(self, word: str) -> None:
        """To the question; a new round begins with "y"."""
        self.said = {}
        os.write(self._hand, word.encode() + b"\n")

    def kill(self) -> None:
        """Nothing is finished, nothing is said."""
        self.process.send_signal(signal.SIGKILL)

    def close(self) -> dict[str, Any]:
        """Its JSON, {} of one that was killed."""
        if self.process.poll() is None:
            until = time.monotonic() + 60
            while self.process.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
        os.close(self._hand)
        self._result.seek(0)
        text = self._result.read()
        self._result.close()
        return json.loads(text) if text.strip() else {}  # type: ignore[no-any-return]
