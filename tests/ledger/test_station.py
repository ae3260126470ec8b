"""`station` with 8 boards at once on a PostgreSQL server that goes away while they are written."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provisioning.ledger.chain_check import verify
from provisioning.ledger.store import Ledger
from provisioning.virtual import VirtualBoard
from tests.flash import products
from tests.support import postgres


@pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")
def test_eight_boards_at_once_and_a_server_that_is_restarted(server: postgres.Server, tmp_path: Path) -> None:
    url = server.url(server.database())
    made = products.make(tmp_path / "p")
    with ThreadPoolExecutor(4) as pool:
        boards = list(pool.map(lambda _: VirtualBoard(paced=False, blank=True).start(), range(8)))
    try:
        ports = [f"--port={board.port}" for board in boards]
        command = [sys.executable, "-m", "provisioning", "station", str(made.product), "--devices", str(made.devices), *ports, "--json"]
        station = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**made.environment(), "TWINROOT_LEDGER": url}
        )
        assert station.stdout is not None and station.stderr is not None
        said: list[str] = []
        cut = False
        for line in station.stderr:
            said.append(line)
            if line.endswith(": write\n") and not cut:
                # The first board has its intent; the others are anywhere before or after theirs.
                server.stop()
                cut = True
            elif "away, waiting" in line and server.stopped:
                server.start()
        code, result = station.wait(110), json.loads(station.stdout.read())
    finally:
        if server.stopped:
            server.start()
        for board in boards:
            board.close()
    text = "".join(said)
    assert code == 0 and result["passed"] == 8, (result, text)
    assert "is away, waiting up to" in text and "is back after" in text
    assert len({row["device"] for row in result["rows"]}) == len({row["mac"] for row in result["rows"]}) == 8
    assert [row["device"] for row in result["rows"]] == [f"ws-{number:04d}" for number in range(1, 9)], "in the order of the ports"
    with Ledger.open(url) as ledger:
        verdict, rows = verify(ledger.rows(), {}), list(ledger.entries())
    assert verdict.ok and [sum(row.kind == kind for row in rows) for kind in ("claim", "intent", "outcome")] == [8, 8, 8]
    assert {row.fields["outcome"] for row in rows if row.kind == "outcome"} == {"pass"}
    assert "kanary" not in text + json.dumps(result) + "".join(row.canonical() for row in rows)
    assert not (made.folder / "ledger.sqlite").exists(), "there is one truth"
    logs = "".join(file.read_text("utf-8", "replace") for file in (made.folder / "cache").rglob("*.log"))
    assert logs and "kanary" not in logs
