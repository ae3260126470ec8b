"""The pictures of docs/technician.md say what the station's screen says now."""

from __future__ import annotations

import re
import sys

import pytest

from tests.docs import pictures
from tests.station import svg


def test_each_picture_is_what_the_screen_says_now() -> None:
    notes = pictures.read_notes()
    for name in pictures.PICTURES:
        committed = (pictures.FOLDER / f"{name}.svg").read_text("utf-8")
        assert svg.lines(committed) == svg.lines(pictures.draw(name, notes)), "run: python -m tests.docs.pictures --again"
        assert "url(http" not in committed and "@import" not in committed, "read without a network"


def test_each_picture_is_shown() -> None:
    page = (pictures.FOLDER.parent / "technician.md").read_text("utf-8")
    assert (
        set(re.findall(r"\(pictures/(.*)\.svg\)", page)) == set(pictures.PICTURES) == {file.stem for file in pictures.FOLDER.glob("*.svg")}
    )


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")
def test_boards_say_what_is_noted_of_them() -> None:
    """The notes are of real workers: the same boards say the same now, whatever time it takes."""

    def of(notes: list[pictures.Note]) -> dict[str, list[object]]:
        kinds = ("step", "board", "claim", "end")
        return {slot: [data for _, own, kind, data in notes if own == slot and kind in kinds] for slot in "1234"}

    assert of(pictures.noted()) == of(pictures.read_notes())
