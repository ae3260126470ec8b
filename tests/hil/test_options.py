"""The options as documented, without a board."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.hil.engines import is_real
from provisioning.hil.options import wanted


@pytest.mark.parametrize(
    ("given", "environment", "ports", "count"),
    [
        ({}, {}, (), None),
        ({"port": "virtual"}, {"ESPPORT": "COM5"}, (), None),
        ({"port": "/dev/ttyUSB0"}, {}, ("/dev/ttyUSB0",), 1),
        ({"port": "COM5|COM6"}, {}, ("COM5", "COM6"), 2),
        ({"port": "COM5|COM6", "count": "1"}, {}, ("COM5",), 1),
        ({"port_mac": "24:0a:c4:00:00:01"}, {}, ("mac:24:0a:c4:00:00:01",), 1),
        ({"port_serial_number": "0001|0002"}, {}, ("usb:0001", "usb:0002"), 2),
        ({}, {"ESPPORT": "COM5"}, ("COM5",), 1),
        ({}, {"ESPPORT": "COM5", "TWINROOT_PORT": "COM6"}, ("COM6",), 1),
        ({"port": "COM7"}, {"TWINROOT_PORT": "COM6"}, ("COM7",), 1),
        ({"count": "3"}, {}, (), 3),
        ({"port": "COM5|COM6", "count": 1}, {}, ("COM5", "COM6"), 2),  # pytest-embedded's default, which says nothing
        ({"port_serial_number": "0001,0002"}, {}, ("usb:0001", "usb:0002"), 2),  # as pytest-embedded splits it
        ({}, {"TWINROOT_ENGINE": "virtual", "ESPPORT": "COM5"}, (), None),
        ({"engine": "serial"}, {"ESPPORT": "COM5"}, ("COM5",), 1),
    ],
)
def test_options_name_boards(given: dict[str, str], environment: dict[str, str], ports: tuple[str, ...], count: int | None) -> None:
    asked = wanted(given, environment)
    assert (asked.ports, asked.count, is_real(asked)) == (ports, count, bool(ports))


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"port": "COM5", "port_mac": "24:0a:c4:00:00:01"}, "--port and --port-mac"),
        ({"port": "COM5", "count": "2"}, "more boards than the 1"),
        ({"count": "many"}, "--count many"),
        ({"count": "0"}, "--count 0"),
        ({"baud": "fast"}, "--baud fast"),
        ({"engine": "virtual", "port": "COM5"}, "--engine virtual makes its own"),
    ],
)
def test_what_cannot_be_is_a_sentence(given: dict[str, str], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        wanted(given, {})


def test_a_port_that_does_not_exist_ends_the_run_with_one_sentence() -> None:
    command = [sys.executable, "-m", "pytest", str(Path(__file__).parent / "test_update.py"), "-q", "-p", "no:cacheprovider", "--port"]
    run = subprocess.run([*command, "/dev/not-there"], capture_output=True, text=True, timeout=100, cwd=Path(__file__).parents[2])
    assert run.returncode == 2
    assert run.stdout.count("There is no port /dev/not-there.") == 1 and "Traceback" not in run.stdout + run.stderr
