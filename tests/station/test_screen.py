"""The application, driven by Textual's own pilot: what is on the screen, and what keys and the scanner do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from textual.message import Message
from textual.pilot import Pilot

from provisioning.link.events import Event
from provisioning.station.hub import WorkerEvent
from provisioning.station.screen import letters
from provisioning.station.screen.app import Left, Looked, Said, StationApp
from provisioning.station.screen.grid import columns
from provisioning.station.screen.keys import read
from provisioning.station.screen.panel import Panel
from provisioning.station.sockets import Plugged
from tests.station import svg
from tests.station.bench import Bench, bad_board, bad_line


class Source:
    """What feeds the application, by hand; `used`: devices that the ledger has."""

    def __init__(self, used: dict[str, str] | None = None) -> None:
        self.used = used or {}
        self.post: Callable[[Message], object] = lambda _message: None

    def start(self, post: Callable[[Message], object]) -> None:
        self.post = post

    def bound(self, device: str) -> str | None:
        return self.used.get(device)


App = StationApp


def on_screen(
    bench: Bench,
    what: Callable[[App, Pilot[None]], Awaitable[None]],
    *,
    size: tuple[int, int] = (80, 24),
    used: dict[str, str] | None = None,
) -> None:
    """Runs `what` with the application on a terminal of this size."""

    async def main() -> None:
        app = StationApp(bench.engine, Source(used), "weather-station", lambda: bench.now)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await what(app, pilot)

    asyncio.run(main())


def text(app: App) -> list[str]:
    return svg.lines(app.export_screenshot())


def shows(seen: list[str], word: str) -> int:
    """The scale in which a word is there in large letters; 0 where it is not."""
    drawn = {scale: letters.draw(word, scale)[0].strip() for scale in range(1, 9)}
    return max((scale for scale, line in drawn.items() if any(line in each for each in seen)), default=0)


def every_state(bench: Bench) -> None:
    bench.plug(1, 2, 3, 4)
    for slot in (1, 2, 3):
        bench.claims(slot)
    bench.says(1, "bytes", done=61, total=100)
    bench.now += 8.5
    bench.ends(2)
    bench.ends(3, bad_board())
    bench.ends(4, bad_line())
    bench.ends(4, bad_line())


@pytest.mark.parametrize(("slots", "size"), [(8, (80, 24)), (16, (80, 24)), (16, (200, 60)), (4, (120, 40))])
def test_every_slot_is_on_the_screen_with_its_word_in_large_letters(slots: int, size: tuple[int, int]) -> None:
    bench = Bench(slots)

    async def see(app: App, pilot: Pilot[None]) -> None:
        every_state(bench)
        await pilot.pause()
        panels = list(app.query(Panel))
        assert len(panels) == slots
        for panel in panels:
            assert app.screen.region.contains_region(panel.region) and panel.region.width >= 19 and panel.region.height >= 5
        seen = text(app)
        for word in ("61%", "PASS", "FAIL", "ERROR"):
            assert shows(seen, word) >= (1 if size[0] == 80 else 2), word
        assert "ws-0001" in seen[1], "the device, from the moment of the claim"
        assert seen[0].startswith("PASS 1  FAIL 1  ERROR 1   yield 50 %   8.5 s a board   round 1   shift 0:00")
        assert [panel.has_class(name) for panel, name in zip(panels, ("busy", "pass", "fail", "error"), strict=False)] == [True] * 4
        assert seen[-2].startswith("Slot 3: box for the supplier. Then slot 4.")

    on_screen(bench, see, size=size)


def test_errors_take_a_line_and_a_key_shows_the_whole_sentence() -> None:
    bench = Bench(16)

    async def see(app: App, pilot: Pilot[None]) -> None:
        every_state(bench)
        await pilot.pause()
        assert not any("the product's board has an esp32." in line for line in text(app))
        await pilot.press("d")
        await pilot.pause()
        page = "\n".join(text(app))
        for part in ("Slot 3  FAIL wrong-chip", "an esp32c3", "Next: Take the right board.", "Slot 4  ERROR line-errors"):
            assert part in page
        await pilot.press("escape", "3", "d")
        await pilot.pause()
        page = "\n".join(text(app))
        assert "Slot 3  FAIL" in page and "Slot 4  ERROR" not in page, "of the chosen slot"

    on_screen(bench, see)


def test_one_key_tries_once_more_what_did_not_pass() -> None:
    bench = Bench(4)

    async def see(app: App, pilot: Pilot[None]) -> None:
        every_state(bench)
        await pilot.pause()
        assert "R once more" in text(app)[-3]
        await pilot.press("r")
        await pilot.pause()
        assert bench.words == ["BUSY", "PASS", "BUSY", "BUSY"] and "R once more" not in text(app)[-3]

    on_screen(bench, see)


def test_settings_are_locked() -> None:
    bench = Bench(1)

    async def see(app: App, pilot: Pilot[None]) -> None:
        await pilot.press("s", "+")
        assert bench.engine.settings.retries == 1
        bench.engine.settings.locked = False
        await pilot.press("s", "+", "+", "b")
        await pilot.pause()
        assert bench.engine.settings.retries == 3 and "Rate: 2,000,000" in "\n".join(text(app))
        await pilot.press("escape")
        await pilot.pause()
        assert len(app.screen_stack) == 1

    on_screen(bench, see)


def test_an_end_while_boards_are_written_is_asked_for_twice_and_control_c_once() -> None:
    bench = Bench(2)

    async def see(app: App, pilot: Pilot[None]) -> None:
        bench.plug(1)
        await pilot.press("q")
        await pilot.pause()
        assert not bench.crew.left and "once more stops them" in text(app)[-2]
        await pilot.press("escape", "q")
        assert not bench.crew.left
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert bench.crew.left and text(app)[-2].startswith("Leaving: slot 1 ")
        app.post_message(Left())
        await pilot.pause()
        assert not app.is_running or app._exit

    on_screen(bench, see)


def test_control_c_is_heard_in_front_of_a_page_too() -> None:
    bench = Bench(1)

    async def see(app: App, pilot: Pilot[None]) -> None:
        bench.plug(1)
        for page in ("d", "s"):
            await pilot.press(page)
            assert len(app.screen_stack) == 2
            await pilot.press("q")
            assert len(app.screen_stack) == 1 and not bench.crew.left, "any other key closes the page only"
        await pilot.press("d", "ctrl+c")
        await pilot.pause()
        assert bench.crew.left and len(app.screen_stack) == 1

    on_screen(bench, see)


def test_what_workers_and_the_watcher_post_is_drawn() -> None:
    bench = Bench(2)

    async def see(app: App, pilot: Pilot[None]) -> None:
        app.post_message(Looked([Plugged("/dev/ttyUSB1", "1-1.1")]))
        await pilot.pause()
        assert shows(text(app), "BUSY")
        app.post_message(Said(WorkerEvent("1", Event("claim", {"device": "ws-0042"}), 0.0)))
        await pilot.pause()
        assert "ws-0042" in text(app)[1]

    on_screen(bench, see)


def test_a_scanner_types_a_code_and_enter() -> None:
    bench = Bench(3, scan=r"ws-\d{4}")

    async def see(app: App, pilot: Pilot[None]) -> None:
        await pilot.press(*"ws-0002")
        assert text(app)[-3] == "Code: ws-0002"
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert text(app)[-2].startswith("ws-0002 is scanned: plug its board in.")
        bench.plug(1)
        assert bench.crew.started == [("1", 1, "/dev/ttyUSB1", "ws-0002")]
        for code, why in (
            ("qrs", "'qrs' is not a label"),
            ("ws-0002", "ws-0002 is the board at slot 1"),
            ("ws-0003", "ws-0003 is used up: it passed"),
        ):
            await pilot.press(*code, "enter")
            await app.workers.wait_for_complete()
            await pilot.pause()
            assert text(app)[-2].startswith(why), text(app)
        assert len(bench.crew.started) == 1
        await pilot.press("escape")
        await pilot.pause()
        assert text(app)[-2].startswith("Leave the boards in")

    on_screen(bench, see, used={"ws-0003": "it passed on 2026-11-30 as the board 24:0a:c4:00:00:99."})


def test_where_codes_are_typed_a_letter_and_enter_is_a_key() -> None:
    code = ""
    for character in "q":
        action, code = read(character, character, code, True)
        assert action == "" and code == "q"
    assert read("enter", None, code, True) == ("quit", "")
    assert read("enter", None, "", True) == ("retry", "") and read("enter", None, "", False) == ("", "")
    assert read("q", "q", "", False) == ("quit", "") and read("ctrl+c", None, "ws", True) == ("stop", "ws")
    assert read("backspace", None, "ws", True) == ("", "w") and read("escape", None, "ws", True) == ("back", "")
    assert read("3", "3", "", False) == ("choose 3", "") and read("3", "3", "", True) == ("", "3")
    assert read("tab", "\t", "", True) == ("", "")


def test_colour_is_never_alone() -> None:
    """Without colours each state is another word; with them the pairs that people mix up differ in lightness."""
    from provisioning.station.slot import State

    assert len({letters.draw(state.value, 1) for state in State}) == len(State)


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    import re

    monkeypatch.setenv("NO_COLOR", "1")
    bench = Bench(4)

    async def see(app: App, pilot: Pilot[None]) -> None:
        every_state(bench)
        await pilot.pause()
        picture = app.export_screenshot()
        colours = set(re.findall(r"#[0-9a-f]{6}", picture)) - {"#c5c8c6", "#292929", "#ff5f57", "#febc2e", "#28c840"}  # the frame's own
        assert len(colours) > 3 and all(colour[1:3] == colour[3:5] == colour[5:7] for colour in colours), colours
        assert shows(svg.lines(picture), "PASS")

    on_screen(bench, see)


def test_panels_are_arranged_for_large_words() -> None:
    assert columns(8, 80, 20) == 4 and columns(16, 80, 20) == 4 and columns(1, 80, 20) == 1 and columns(4, 80, 20) == 2


def test_settings_hold_for_what_begins_after_them() -> None:
    from provisioning.station.screen.settings import change, said

    bench = Bench(1)
    settings = bench.engine.settings
    assert "Locked" in said(settings)
    settings.locked = False
    assert change(settings, "-") and change(settings, "b") and not change(settings, "x")
    bench.plug(1)
    bench.ends(1, bad_line())
    assert bench.words == ["ERROR"], "no retry any more" and bench.crew.rates == [2_000_000]
