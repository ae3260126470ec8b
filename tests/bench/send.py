"""One transfer of the reference payload as a process of its own, as a peer's command is: `python -m tests.bench.send PORT RATE`."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from provisioning.link import agent
from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from provisioning.link.transport.stream import StreamSession
from tests.bench.board import process
from tests.bench.payload import reference


def send(port: str, rate: int) -> dict[str, Any]:
    """Everything of a transfer: prompt, receiver, files, hashes read back, commit. Seconds from opening to closing the port."""
    payload = reference()
    agent.ready()
    started = time.perf_counter()
    with open_port(port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        session = StreamSession(repl, rate=rate)
        session.prepare(payload)
        session.transfer()
        session.close()
        resends = session.frames.resends
    return {**wire.counters(), "seconds": time.perf_counter() - started, "resends": resends}


def process_of(port: str, rate: int) -> dict[str, Any]:
    """The same as a process."""
    found: dict[str, Any] = json.loads(process(sys.executable, "-m", "tests.bench.send", port, str(rate)))
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(send(sys.argv[1], int(sys.argv[2]))) + "\n")
