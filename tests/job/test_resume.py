"""After a broken run: what is committed is not written again, what has arrived does not travel again."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.job.update import update
from provisioning.link.events import Event
from provisioning.link.repl import LinkBroken
from provisioning.link.transport.paste import PasteSession
from provisioning.link.transport.stream import StreamSession
from tests.job.conftest import Bench, blank

OTHER = {"a1b2c3d4e5f6g7": "z9y8x7w6v5u4t3"}
SESSIONS = {"stream": StreamSession, "paste": PasteSession}


def writes_of(bench: Bench, product: Any, transport: str, lost: int = 0) -> tuple[int, list[str], int | None]:
    """Flash operations of an update of a board that holds another set; the first `lost` answers to a commit do not arrive."""
    blank(bench.board)
    assert update(bench.product(), bench.device, bench.port, transport=transport).outcome == "pass"
    bench.restart()
    session = SESSIONS[transport]
    original = session.transfer
    left = lost

    def transfer(self: Any) -> int:
        nonlocal left
        number: int = original(self)
        left -= 1
        if left >= 0:
            raise LinkBroken("link-silent", "The answer to the commit is lost.", "")
        return number

    before = bench.flash_writes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "transfer", transfer)
        report = update(product, bench.device, bench.port, transport=transport)
    assert report.outcome == "pass", report.message
    return bench.flash_writes() - before, report.written, report.generation


@pytest.mark.parametrize("transport", SESSIONS)
def test_a_commit_whose_answer_is_lost_is_not_repeated(bench: Bench, transport: str) -> None:
    product = bench.product(**OTHER)
    golden = writes_of(bench, product, transport)
    assert golden[0] > 0 and golden[2] == 2
    assert writes_of(bench, product, transport, lost=1) == golden


@pytest.mark.usefixtures("brief")
def test_a_board_that_is_gone_in_the_commit_may_have_either_set(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be asked any more, so the report does not guess."""
    assert update(bench.product(), bench.device, bench.port).outcome == "pass"
    transfer = StreamSession.transfer

    def gone(session: StreamSession) -> int:
        transfer(session)
        bench.board.power_off()
        raise LinkBroken("link-silent", "The answer to the commit is lost.", "")

    monkeypatch.setattr(StreamSession, "transfer", gone)
    report = update(bench.product(**OTHER), bench.device, bench.port, max_baud=115200)
    assert (report.outcome, report.active) == ("fail", "unknown"), report.message
    assert "is not known" in report.message


@pytest.mark.usefixtures("brief")
def test_what_has_arrived_does_not_travel_again(bench: Bench) -> None:
    """The power goes when two thirds have arrived: files that were whole do not travel again."""
    product = bench.product()
    golden = update(product, bench.device, bench.port, max_baud=115200)
    blank(bench.board)
    files: dict[str, int] = {}

    def cut(event: Event) -> None:
        if event.kind == "bytes" and event.data["done"] > event.data["total"] * 2 // 3:
            bench.board.power_off()

    broken = update(product, bench.device, bench.port, max_baud=115200, events=cut)
    assert broken.outcome != "pass"
    bench.restart()
    there = bench.run(
        "import os\ndef w(d):\n for f in os.ilistdir(d):\n  p=d+'/'+f[0]\n  w(p) if f[1]==0x4000 else print(p,f[3])\n"
        "for d in ('/trust','/lib'):\n w(d)\n"
    )
    files = {line.split()[0]: int(line.split()[1]) for line in there.splitlines()}
    assert files
    resumed = update(product, bench.device, bench.port, max_baud=115200)
    assert resumed.outcome == "pass", resumed.message
    again = set(resumed.written) & set(files)
    assert len(again) <= 1, f"sent again: {again}"
    assert resumed.wire["sent"] < golden.wire["sent"], (resumed.wire, golden.wire)


@pytest.mark.parametrize("transport", SESSIONS)
def test_a_file_whose_beginning_has_arrived_is_gone_on_with(bench: Bench, transport: str) -> None:
    """The cable goes when nine tenths have arrived, and the board stays on: what it has of the package by then is not sent again."""
    product = bench.product()
    golden = update(product, bench.device, bench.port, max_baud=115200, transport=transport)
    blank(bench.board)

    def break_off(event: Event) -> None:
        if event.kind == "bytes" and event.data["done"] > event.data["total"] * 0.9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update(product, bench.device, bench.port, max_baud=115200, transport=transport, events=break_off)
    resumed = update(product, bench.device, bench.port, max_baud=115200, transport=transport)
    assert resumed.outcome == "pass", resumed.message
    assert resumed.files == golden.files
    assert resumed.wire["sent"] < golden.wire["sent"] * 0.4, (resumed.wire, golden.wire)
