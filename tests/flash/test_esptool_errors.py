"""Whatever esptool, or what was installed in its place, prints at its end: one error of ours with one sentence and a next step."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from provisioning.errors import TwinrootError
from provisioning.flash.esptool_errors import ESPTOOL_ERRORS, explain

WORDS = st.sampled_from(
    [
        "A fatal error occurred: ",
        "port is busy or doesn't exist",
        "Errno 2",
        "Errno 13",
        "Could not open ",
        "{port}",
        "{}",
        "{0}",
        "%s",
        "Failed to connect to ESP32",
        "No serial data received",
        "Traceback (most recent call last):",
        "\x1b[31m",
        "\x00",
        "\r",
        "\n",
        "MD5 of file does not match",
    ]
)
OUTPUT = st.lists(WORDS | st.text(max_size=40), max_size=30).map("".join)


@given(OUTPUT)
def test_any_output_is_one_error_of_ours(output: str) -> None:
    error, _ = explain(output, "/dev/ttyUSB0", 921600, "run.log")
    assert isinstance(error, TwinrootError) and error.hint
    assert error.message.isprintable() and error.message.endswith((".", ")"))


@given(st.binary(max_size=400))
def test_bytes_that_are_no_text(data: bytes) -> None:
    error, _ = explain(data.decode("utf-8", "replace"), "COM5", 115200, "run.log")
    assert isinstance(error, TwinrootError)


def test_sentences_take_what_their_pattern_finds() -> None:
    """A sentence with a field that its pattern may leave empty would say None to a technician."""
    for saying in ESPTOOL_ERRORS:
        names = set(re.compile(saying.pattern).groupindex)
        used = set(re.findall(r"{(\w+)}", saying.sentence)) - {"port", "baud"}
        assert used <= names, saying.code
