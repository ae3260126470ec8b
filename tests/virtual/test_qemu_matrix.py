"""What `make silicon` makes of images and of failures, without an emulator: what is expected of an image, and whose failure one is."""

from __future__ import annotations

import pytest

from tests.silicon import images
from tests.silicon.__main__ import main
from tests.silicon.matrix import Line, _tried
from tests.silicon.rig import EmulatorFailedError, Ran, RowFailedError
from tests.virtual.fake_emulator import image


@pytest.mark.parametrize(
    ("text", "version", "refused"),
    [
        (b"MicroPython v1.24.1 on 2024-11-29", "1.24.1", ()),
        (b"v1.22 on 2024-01-01", "1.22", ()),
        (b"v1.18 on 2022-01-17", "1.18", ("micropython-too-old",)),
        (b"CircuitPython 9.2.3 on 2025-01-01", "", ("circuitpython",)),
        (b"Tasmota ", "", ("other-firmware",)),
    ],
)
def test_an_image_says_what_is_expected_of_it(tmp_path, text, version, refused):
    file = image(tmp_path / "it.bin", "esp32")
    file.write_bytes(file.read_bytes() + text)
    found = images.of(file)
    assert (found.chip, found.offset, found.version, found.refused) == ("esp32", 0x1000, version, refused)


def test_a_broken_application_is_known(tmp_path):
    file = image(tmp_path / "it.bin", "esp32")
    content = bytearray(file.read_bytes())
    content[0x10000] ^= 1  # in the application, which begins at 0x10000 of the flash
    file.write_bytes(content)
    assert images.of(file).refused == ("no-firmware", "crash-loop")


class Silent:
    """A rig whose chip has said nothing."""

    def evidence(self):
        return "nothing"


def test_only_the_emulators_failures_are_tried_again():
    line = Line("image", "row", "title")
    tries = iter([EmulatorFailedError("no prompt"), RowFailedError("exit code 1"), EmulatorFailedError("not asked")])

    def job():
        raise next(tries)

    assert _tried(job, line, Silent()) is None
    assert (line.outcome, line.failed, line.emulator) == ("fail", ["exit code 1 The chip said: nothing"], ["no prompt"])


def test_a_row_that_never_ran_is_no_pass():
    line = Line("image", "row", "title")

    def job():
        raise EmulatorFailedError("no prompt")

    assert _tried(job, line, Silent()) is None
    assert (line.outcome, len(line.emulator)) == ("emulator", 3)


def test_a_report_that_differs_fails_the_row():
    ran = Ran(1.0, 0, {"outcome": "pass", "code": "pass", "generation": 2}, "")
    assert ran.must(generation=2) is ran
    for code, fields in (("unchanged", {}), ("pass", {"generation": 1})):
        with pytest.raises(RowFailedError):
            ran.must(code, **fields)


def test_a_row_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--qemu", "nowhere", "image.bin", "--rows", "update,melt"])
    assert caught.value.code == 2
    assert "melt" in capsys.readouterr().err
