"""What a board reports decides how an attempt ended whose process died."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioning.job.reconcile import reconcile
from provisioning.job.report import Report
from provisioning.ledger import claims
from provisioning.ledger.store import Ledger

MAC, SET = "24:0a:c4:00:00:01", "a" * 64
WHOLE = {"ok": True, "set_sha256": SET, "uid": "240ac4000001"}


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (WHOLE, "settled"),
        (WHOLE | {"set_sha256": "b" * 64}, "interrupted"),
        (WHOLE | {"ok": False}, "interrupted"),
        (WHOLE | {"uid": "240ac4000002"}, "interrupted"),
        (None, "interrupted"),
    ],
    ids=["its set", "another set", "damaged", "another board", "no report"],
)
def test_an_attempt_whose_process_died(tmp_path: Path, found: dict[str, Any] | None, code: str) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        claims.claim(ledger, "a" * 32, MAC, ["ws-0001"], {})
        claims.intend(ledger, "a" * 32, {"mac": MAC, "device": "ws-0001", "set_sha256": SET})
        reconcile(ledger, MAC, "b" * 32, found, Report())
        assert claims.open_attempts(ledger, MAC) == []
        assert [entry.fields["code"] for entry in ledger.entries(kind="outcome")] == [code]
