"""What the ROM loader asks esptool: once, however often the board is reset meanwhile."""

from __future__ import annotations

import asyncio
import json

import pytest

from provisioning.errors import StationError
from provisioning.virtual import facts

ANSWER = json.dumps({"numbers": {"IMAGE_CHIP_ID": 5}, "stubs": {}, "regions": [[0, 16]]})


@pytest.fixture
def nothing_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(facts.EXTRA_ESPTOOL, raising=False)
    monkeypatch.setattr(facts, "_asked", {})


def test_who_gives_up_waiting_leaves_the_answer_to_the_next(nothing_kept, monkeypatch):
    """A host resets the board at each try to connect: a slow answer must not begin again each time."""
    asked = []

    async def reset_while_asking() -> facts.LoaderFacts:
        answered = asyncio.Event()

        async def slow(chip: str, checkout: str | None) -> str:
            asked.append(chip)
            await answered.wait()
            return ANSWER

        monkeypatch.setattr(facts, "_ask", slow)
        for _ in range(3):
            waiting = asyncio.ensure_future(facts.load("esp32c3"))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        answered.set()
        return await facts.load("esp32c3")

    assert asyncio.run(reset_while_asking()).address("IMAGE_CHIP_ID") == 5
    assert asked == ["esp32c3"]


def test_after_a_failure_it_is_asked_again(nothing_kept, monkeypatch):
    answers = ["nonsense", ANSWER]

    async def ask(chip: str, checkout: str | None) -> str:
        return answers.pop(0)

    async def twice() -> facts.LoaderFacts:
        monkeypatch.setattr(facts, "_ask", ask)
        with pytest.raises(StationError):
            await facts.load("esp32c3")
        return await facts.load("esp32c3")

    assert asyncio.run(twice()).regions == ((0, 16),)


def test_a_checkout_that_changes_is_asked_again(tmp_path):
    (tmp_path / "esptool" / "targets").mkdir(parents=True)
    file = tmp_path / "esptool" / "targets" / "esp32.py"
    names = set()
    for text in ("A = 1", "A = 2"):
        file.write_text(text)
        names.add(facts._cache_name("esp32", str(tmp_path)))
    assert len(names) == 2
