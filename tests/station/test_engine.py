"""Slots as state machines, from events alone."""

from __future__ import annotations

import pytest

from provisioning.errors import InputError
from provisioning.job.many import exit_code
from provisioning.job.report import Report
from provisioning.job.worker import End
from provisioning.station.advice import advice
from provisioning.station.engine import NATIVE_GONE
from provisioning.station.slot import State
from provisioning.station.summary import lines_of
from tests.station.bench import Bench, bad_board, bad_line, mac, stopped


def test_plugged_in_it_starts_and_unplugged_the_slot_is_free() -> None:
    bench = Bench(3)
    assert advice(bench.engine) == "Plug a board in: it starts by itself."
    bench.plug(2)
    assert bench.words == ["FREE", "BUSY", "FREE"] and bench.crew.started == [("2", 2, "/dev/ttyUSB2", None)]
    assert advice(bench.engine) == "Leave the boards in: 1 at work."
    bench.plug(2)
    assert len(bench.crew.started) == 1, "once a board"
    bench.claims(2)
    assert (bench.slot(2).shown_mac, bench.slot(2).shown_device) == (mac(2), "ws-0002"), "from the moment of the claim"
    bench.says(2, "bytes", done=30, total=120)
    assert bench.slot(2).progress.percent == 25 and bench.slot(2).progress.step == "write"
    bench.now += 12
    bench.ends(2)
    assert bench.words[1] == "PASS" and bench.slot(2).seconds == 12.0
    assert advice(bench.engine) == "Take out and label slot 2: ws-0002."
    bench.plug()
    assert bench.words == ["FREE", "FREE", "FREE"] and bench.slot(2).shown_device == ""
    bench.plug(2)
    assert bench.slot(2).boards == 2 and len(bench.crew.started) == 2


def test_chance_is_tried_again_and_a_key_tries_what_failed() -> None:
    bench = Bench(2)
    bench.plug(1, 2)
    bench.ends(1, bad_line())
    assert bench.words == ["BUSY", "BUSY"] and len(bench.crew.started) == 3, "once more, by itself"
    bench.ends(1, bad_line())
    bench.ends(2, bad_board())
    assert bench.words == ["ERROR", "FAIL"] and len(bench.crew.started) == 4 - 1, "a wrong chip stays one"
    assert advice(bench.engine) == "Slot 1: another cable or port, then again. Then slot 2."
    assert exit_code(list(bench.engine.counts.rows.values())) == 3
    assert bench.engine.retry("2") == 1 and bench.words == ["ERROR", "BUSY"]
    bench.ends(2)
    assert bench.engine.retry() == 1 and bench.engine.retry() == 0
    bench.ends(1)
    counts = bench.engine.counts
    assert (counts.count("pass"), counts.count("fail"), counts.count("error"), counts.yield_percent) == (2, 0, 0, 100.0)
    assert exit_code(list(counts.rows.values())) == 0, "what a board ended in counts"


def test_the_yield_is_of_boards_and_not_of_attempts() -> None:
    bench = Bench(1)
    for board in (1, 2, 3):
        bench.plug(1)
        bench.now += 10
        bench.ends(1, bad_board() if board == 2 else None, board=board)
        bench.plug()
    counts = bench.engine.counts
    assert (counts.count("pass"), counts.count("fail")) == (2, 1) and round(counts.yield_percent or 0) == 67
    assert bench.slot(1).cycle.mean == 10.0 and bench.slot(1).boards == 3
    assert exit_code(list(counts.rows.values())) == 1
    bench.plug(1)  # the one that failed, once more
    bench.ends(1, board=2)
    assert counts.count("fail") == 0 and counts.count("pass") == 3


def test_a_board_that_is_pulled_out_stays_on_the_screen_until_the_next() -> None:
    bench = Bench(1)
    bench.plug(1)
    bench.claims(1)
    bench.plug()
    assert bench.words == ["BUSY"], "the worker finds out"
    bench.ends(1, bad_line())
    assert bench.words == ["ERROR"] and len(bench.crew.started) == 1, "not tried again: there is nothing"
    bench.plug()
    assert bench.words == ["ERROR"] and bench.engine.retry() == 0
    bench.plug(1)
    assert bench.words == ["BUSY"] and bench.slot(1).boards == 2
    bench.ends(1, bad_board())
    bench.plug(1)
    bench.plug()
    assert bench.words == ["FREE"]


def test_a_chip_that_is_its_own_usb_device_goes_away_with_each_reset() -> None:
    bench = Bench(1, native=True)
    bench.plug(1)
    bench.plug()
    bench.now += 1.0
    bench.plug(1)
    bench.ends(1)
    bench.plug()
    bench.now += NATIVE_GONE - 0.1
    bench.plug()
    assert bench.words == ["PASS"]
    bench.plug(1)
    assert len(bench.crew.started) == 1, "it has only started its program"
    bench.plug()
    bench.now += NATIVE_GONE
    bench.plug()
    assert bench.words == ["FREE"]


def test_slots_without_a_file_take_sockets_as_they_come_and_remember_them() -> None:
    bench = Bench(2, bound=False)
    bench.plug(7, 5)
    assert [port for _, _, port, _ in bench.crew.started] == ["/dev/ttyUSB7", "/dev/ttyUSB5"]
    bench.ends(1)
    bench.ends(2)
    bench.plug()
    bench.plug(5)
    assert bench.words == ["FREE", "BUSY"]
    bench.plug(5, 9)
    assert bench.words == ["BUSY", "BUSY"] and bench.slot(1).port == "/dev/ttyUSB9", "more sockets than slots: a free one is given anew"
    bench.plug(5, 9, 3)
    assert len(bench.crew.started) == 4, "no slot is free"


def test_leaving_says_of_each_board_how_it_was_left() -> None:
    bench = Bench(3)
    bench.plug(1, 2, 3)
    bench.claims(1)
    bench.ends(1)
    bench.says(2, "board", mac=mac(2), chip="esp32")
    bench.claims(3)
    bench.engine.leave()
    assert bench.crew.left and advice(bench.engine).startswith("Leaving: slots 2 and 3 ")
    for slot in (2, 3):
        bench.engine.said(str(slot), End(Report().failed(stopped()).as_dict(), 130))
    again = "Plug the board in again, or run the same command again."
    half = "Its flash is half written, and it does not start before it is written again."
    assert lines_of(bench.engine) == [
        "slot 1: ws-0001: PASS ok",
        f"slot 2: {mac(2)}: ERROR Interrupted before it began. Nothing was written to it. {again}",
        f"slot 3: ws-0003: ERROR Interrupted in write. {half} {again}",
    ]
    assert exit_code(list(bench.engine.counts.rows.values())) == 130
    bench.plug()
    bench.plug(1)
    assert len(bench.crew.started) == 3 and bench.engine.retry() == 0, "nothing is begun any more"


def test_a_set_that_was_being_changed_is_said_to_be_active_or_not() -> None:
    bench = Bench(1)
    bench.plug(1)
    bench.says(1, "claim", device="ws-0001")
    bench.says(1, "active", active="old")
    bench.says(1, "step", name="transfer")
    bench.ends(1, stopped())
    assert bench.slot(1).report["message"] == "Interrupted in transfer. The set that was active before still is."


# --- the scanner ------------------------------------------------------------------------------------------------------


def scan(bench: Bench, code: str, used: str | None = None) -> None:
    device = bench.engine.scan(code)
    if device is not None:
        bench.engine.label(device.id, used)


def refused(bench: Bench, code: str, used: str | None = None) -> InputError:
    started = len(bench.crew.started)
    with pytest.raises(InputError) as caught:
        scan(bench, code, used)
    assert len(bench.crew.started) == started and caught.value.hint
    return caught.value


def test_scan_then_plug_and_the_other_way_round() -> None:
    bench = Bench(3, scan=r"SN:(ws-\d{4})")
    scan(bench, "SN:ws-0004")
    assert advice(bench.engine) == "ws-0004 is scanned: plug its board in."
    bench.plug(2)
    assert bench.crew.started == [("2", 2, "/dev/ttyUSB2", "ws-0004")] and bench.engine.in_hand is None
    bench.plug(2, 3)
    assert bench.words == ["FREE", "BUSY", "SCAN"] and len(bench.crew.started) == 1, "nothing is written before the scan"
    assert advice(bench.engine) == "Scan the label of the board at slot 3."
    scan(bench, "SN:ws-0007")
    assert bench.crew.started[-1] == ("3", 3, "/dev/ttyUSB3", "ws-0007")
    bench.ends(3, bad_line(), board=7)
    bench.ends(3, bad_line(), board=7)
    bench.engine.retry()
    assert bench.crew.started[-1] == ("3", 3, "/dev/ttyUSB3", "ws-0007"), "a retry stays the device of its label"


def test_what_a_scan_is_refused_for() -> None:
    bench = Bench(3, scan=r"SN:(ws-\d{4})")
    assert refused(bench, "ws-0004").code == "scan-format"
    assert refused(bench, "SN:ws-00041").code == "scan-format", "the whole code"
    assert refused(bench, "SN:ws-0999").code == "scan-unknown"
    assert refused(bench, "SN:ws-0001", "it passed on 2026-11-30 as the board 24:0a:c4:00:00:99.").code == "scan-used"
    scan(bench, "SN:ws-0004")
    assert refused(bench, "SN:ws-0004").code == "scan-twice"
    assert refused(bench, "SN:ws-0005").code == "scan-twice", "one label in hand"
    bench.engine.put_back()
    scan(bench, "SN:ws-0005")
    bench.plug(1)
    assert "slot 1" in refused(bench, "SN:ws-0005").message
    bench.ends(1, board=5)
    assert refused(bench, "SN:ws-0005").code == "scan-twice", "its board is still there"
    assert refused(Bench(1), "SN:ws-0001").code == "scan-off"


def test_two_boards_that_wait_need_a_slot_to_be_chosen() -> None:
    bench = Bench(3, scan=r"ws-\d{4}")
    bench.plug(1, 3)
    assert bench.words == ["SCAN", "FREE", "SCAN"] and "slots 1 and 3" in advice(bench.engine)
    assert refused(bench, "ws-0001").code == "scan-slot"
    scan(bench, "slot:3")
    assert advice(bench.engine) == "Scan the label of the board at slot 3."
    scan(bench, "ws-0001")
    assert bench.crew.started == [("3", 3, "/dev/ttyUSB3", "ws-0001")] and bench.engine.chosen is None
    assert refused(bench, "slot:9").code == "scan-unknown"
    scan(bench, "slot:3")
    assert refused(bench, "ws-0002").code == "scan-slot", "a board is at work there"


def test_a_board_in_another_slot_than_the_one_it_was_scanned_for_is_not_written() -> None:
    bench = Bench(3, scan=r"ws-\d{4}")
    scan(bench, "slot:1")
    scan(bench, "ws-0001")
    bench.plug(2)
    assert bench.words == ["FREE", "WRONG", "FREE"] and not bench.crew.started
    assert advice(bench.engine).startswith("Take the board out of slot 2: ws-0001 was scanned for slot 1")
    bench.plug()
    bench.plug(1)
    assert bench.crew.started == [("1", 1, "/dev/ttyUSB1", "ws-0001")]


def test_two_boards_after_one_scan_are_both_not_written() -> None:
    bench = Bench(3, scan=r"ws-\d{4}")
    scan(bench, "ws-0001")
    bench.plug(1, 2)
    assert bench.words == ["WRONG", "WRONG", "FREE"] and not bench.crew.started
    bench.plug(2)
    bench.plug(2, 3)
    assert bench.crew.started == [("3", 3, "/dev/ttyUSB3", "ws-0001")] and bench.slot(2).state is State.WRONG


def test_a_label_that_was_not_printed_is_shown_until_the_board_is_taken_out() -> None:
    """The board has passed all the same, and counts as that."""
    bench = Bench(2)
    bench.plug(1, 2)
    for slot in (1, 2):
        bench.claims(slot)
    bench.says(1, "task", task="label", result="failed", device="ws-0001", message="The printer on tcp://10.0.0.7 has no paper.")
    bench.says(2, "task", task="label", result="done", device="ws-0002", message="")
    for slot in (1, 2):
        bench.ends(slot)
    assert bench.words == ["PASS", "PASS"] and bench.engine.counts.yield_percent == 100.0
    assert (bench.slot(1).sentence, bench.slot(2).sentence) == ("label failed: The printer on tcp://10.0.0.7 has no paper.", "")
    assert advice(bench.engine) == "Slot 1: no label for ws-0001. See to the printer, then plug in again."
    bench.engine.scans = True
    assert advice(bench.engine).endswith("then `twinroot label retry PRODUCT`."), "a label that was scanned is used up"
    bench.engine.scans = False
    bench.plug(2)
    assert advice(bench.engine) == "Take out and label slot 2: ws-0002."


def test_a_command_after_a_pass_that_failed_is_no_label() -> None:
    bench = Bench(1)
    bench.plug(1)
    bench.claims(1)
    bench.says(1, "task", task="on_pass", result="failed", device="ws-0001", message="exit code 2")
    bench.ends(1)
    assert advice(bench.engine) == "Slot 1: PASS, and the command after it failed for ws-0001: call who set the station up."


def test_a_board_that_had_passed_needs_no_label() -> None:
    bench = Bench(2)
    bench.plug(1, 2)
    bench.ends(1)
    bench.slot(1).report["code"] = "unchanged"
    assert advice(bench.engine) == "Slot 1 passed before: ws-0001. Take out."
    bench.ends(2, bad_board())
    assert advice(bench.engine).endswith("Take out and label slot 1."), "a bad board hides no good one"
