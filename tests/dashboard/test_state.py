"""What the page's figures are made of: every board once an hour, every attempt once a code, a slot for each port of a station."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from provisioning.dashboard.search import search
from provisioning.dashboard.state import CODES, SLOTS, State
from provisioning.ledger import tail
from provisioning.ledger.entry import CLAIM, INTENT, OUTCOME, RELEASE, TASK, Entry
from provisioning.ledger.store import Ledger
from provisioning.ledger.tasks import open_tasks
from tests.dashboard.support import certificate_of, fill, mac_of

NOW = datetime.datetime(2026, 5, 4, 12, 30, tzinfo=datetime.timezone.utc)


def row(state: State, kind: str, attempt: str, minutes: float, **fields: Any) -> None:
    """A row that was written `minutes` before NOW."""
    at = (NOW - datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    state.take(state.seq + 1, Entry(state.seq + 1, at, kind, attempt, {"station": "s", "port": "p1", **fields}, ""))


def end(state: State, attempt: str, minutes: float, mac: str, outcome: str, code: str = "pass", **fields: Any) -> None:
    row(state, OUTCOME, attempt, minutes, mac=mac, outcome=outcome, code=code, job="flash", **fields)


def test_a_board_that_is_tried_again_counts_once_and_its_failure_too() -> None:
    state = State()
    end(state, "a", 100, "m1", "fail", "readback")
    end(state, "b", 90, "m1", "pass")
    end(state, "c", 20, "m2", "fail", "readback")
    end(state, "d", 10, "m3", "error", "no-answer")
    shown = state.snapshot(NOW)
    assert shown["totals"] == {"boards": 3, "pass": 1, "fail": 1, "error": 1, "yield": 50.0}
    hours = {hour["hour"][11:13]: hour for hour in shown["hours"] if hour["pass"] + hour["fail"] + hour["error"]}
    assert {name: (hour["pass"], hour["fail"], hour["error"], hour["yield"]) for name, hour in hours.items()} == {
        "10": (0, 1, 0, 0.0),
        "11": (1, 0, 0, 100.0),
        "12": (0, 1, 1, 0.0),
    }
    assert [(failure["code"], failure["count"]) for failure in shown["failures"]] == [("readback", 2), ("no-answer", 1)]
    assert shown["failures"][0]["means"]


def test_slots_follow_claim_intent_and_outcome_and_what_is_settled_is_no_ones_slot() -> None:
    state = State()
    row(state, CLAIM, "a", 3, mac="m1", device="d1")
    assert [slot["state"] for slot in state.snapshot(NOW)["slots"]] == ["claimed"]
    row(state, INTENT, "a", 2, mac="m1", device="d1")
    row(state, CLAIM, "b", 2, mac="m2", device="d2", port="p2")
    assert [(slot["port"], slot["state"], slot["device"]) for slot in state.snapshot(NOW)["slots"]] == [
        ("p1", "writing", "d1"),
        ("p2", "claimed", "d2"),
    ]
    row(state, CLAIM, "c", 1, mac="m1", device="d1")
    end(state, "a", 1, "m1", "error", "interrupted", settles="c")  # the run before died; this one says so, and is at work
    assert state.snapshot(NOW)["slots"][0]["state"] == "claimed"
    end(state, "c", 0, "m1", "pass")
    assert (state.snapshot(NOW)["slots"][0]["state"], state.snapshot(NOW)["totals"]["pass"]) == ("pass", 1)


def test_a_label_is_shown_until_it_is_done(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        for number in (1, 2, 3):
            about = {"mac": mac_of(number), "device": f"ws-{number}"}
            ledger.append(OUTCOME, f"{number:032x}", {**about, "outcome": "pass", "tasks": ["label", "on_pass"]})
            ledger.append(TASK, f"{number:032x}", {**about, "task": "on_pass", "result": "done"})
        ledger.append(TASK, f"{1:032x}", {"mac": mac_of(1), "device": "ws-1", "task": "label", "result": "failed", "message": "no paper"})
        state = State(hours=1, tasks=ledger.read(open_tasks))
        assert [(task["device"], task["state"], task["message"]) for task in state.snapshot(NOW)["tasks"]] == [
            ("ws-1", "failed", "no paper"),
            ("ws-3", "pending", ""),
            ("ws-2", "pending", ""),
        ]
        entry = ledger.append(TASK, f"{1:032x}", {"mac": mac_of(1), "device": "ws-1", "task": "label", "result": "done"})
        state.take(entry.seq, entry)
        entry = ledger.append(RELEASE, "e" * 32, {"mac": mac_of(2), "device": "ws-2", "reason": "scrapped"})
        state.take(entry.seq, entry)
        assert [task["device"] for task in state.snapshot(NOW)["tasks"]] == ["ws-3"]
        assert [task.device for task in ledger.read(open_tasks).tasks.values()] == ["ws-3"]


def test_what_is_old_or_odd_is_not_shown_and_memory_is_bounded() -> None:
    state = State(hours=2)
    for number in range(3 * SLOTS):
        end(state, f"old{number}", 600, f"old{number}", "fail", f"code-{number}", port=f"p{number}")
    for number in range(CODES + 5):
        end(state, f"new{number}", 1, f"m{number}", "fail", f"code-{number}", port=f"p{number}")
    state.take(state.seq + 1, None)
    row(state, OUTCOME, "x", 0, outcome=["pass"])
    shown = state.snapshot(NOW)
    assert shown["unreadable"] == 2
    assert shown["totals"]["boards"] == CODES + 5 == len(shown["slots"])
    assert (len(shown["failures"]), shown["failures"][-1]["code"], shown["failures"][-1]["count"]) == (CODES + 1, "5 others", 5)
    assert len(shown["hours"]) == 2


def test_the_tail_of_a_ledger_is_found_by_its_time(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        assert ledger.read(lambda connection: tail.first_since(connection, "2026")) == 0
        fill(ledger, 40, hours=40.0)
        times = [entry.at for entry in ledger.entries()]
        for wanted in (0, 1, 17, 119):
            found = ledger.read(lambda connection, at=times[wanted]: tail.first_since(connection, at))  # type: ignore[misc]
            assert found == times.index(times[wanted])
        assert ledger.read(lambda connection: tail.first_since(connection, "9999")) == 120
        assert [seq for seq, _, _ in ledger.read(lambda connection: tail.after(connection, 117, 2))] == [118, 119]


def test_search_takes_what_is_in_hand(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        fill(ledger, 20)
        mac = mac_of(7)

        def devices(question: str) -> list[str]:
            return [found["device"] for found in ledger.read(lambda connection: search(connection, question))]

        for question in (mac, mac.upper(), mac.replace(":", ""), mac.replace(":", "-"), f"  {mac} ", "ws-00007", certificate_of(7)):
            assert devices(question) == ["ws-00007"], question
        with_colons = ":".join(certificate_of(7)[n : n + 2] for n in range(0, 64, 2)).upper()
        assert devices(with_colons) == devices(certificate_of(7)[:12]) == ["ws-00007"]
        assert devices("ws-0000") == [f"ws-{n:05d}" for n in range(9, -1, -1)]
        for question in ("", "ws", "%", "ws-%", "ws_0", "' OR 1=1 --", "x" * 5000):
            assert devices(question) == [], question
