"""Station files: what is bound to which slot, and what is refused with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.config.station import SlotPlace, load_slots
from provisioning.errors import InputError


def slots(folder: Path, text: str) -> list[SlotPlace]:
    file = folder / "line1.yaml"
    file.write_text(text, encoding="utf-8")
    return load_slots(file)


def test_what_a_slot_is_bound_to(tmp_path: Path) -> None:
    made = slots(
        tmp_path,
        """\
slots:
  - {name: 1, port: usbpath:1-2.3}
  - {name: 2, port: usb:1-2.4}
  - {name: A, port: serial:0001}
  - {name: B7, port: usb:A50285BI}
  - {name: 5, port: COM5}
  - {name: 6, port: /dev/ttyUSB0}
  - {name: 7, port: "rfc2217://10.0.0.7:4000"}
""",
    )
    assert [(slot.name, slot.kind, slot.value) for slot in made] == [
        ("1", "socket", "1-2.3"),
        ("2", "socket", "1-2.4"),
        ("A", "serial", "0001"),
        ("B7", "serial", "A50285BI"),
        ("5", "port", "COM5"),
        ("6", "port", "/dev/ttyUSB0"),
        ("7", "port", "rfc2217://10.0.0.7:4000"),
    ]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("slots: []\n", "line1.yaml:1: key 'slots': "),
        ("slots:\n  - {name: 1, port: usbpath:hub}\n", "line1.yaml:2: key 'slots[0].port': "),
        ("slots:\n  - {name: 1, port: 'serial:'}\n", "line1.yaml:2: key 'slots[0].port': "),
        ("slots:\n  - {name: 1, port: auto}\n", "line1.yaml:2: key 'slots[0].port': "),
        ("slots:\n  - {name: 1, port: 'mac:24:0a:c4:00:00:01'}\n", "line1.yaml:2: key 'slots[0].port': "),
        ("slots:\n  - {name: 1, port: /dev/ttyUSB*}\n", "line1.yaml:2: key 'slots[0].port': "),
        ("slots:\n  - {name: far too long a name, port: COM5}\n", "line1.yaml:2: key 'slots[0].name': "),
        ("slots:\n  - {name: true, port: COM5}\n", "line1.yaml:2: key 'slots[0].name': "),
        ("slots:\n  - {name: 1, port: COM5}\n  - {name: 1, port: COM6}\n", "line1.yaml:3: key 'slots[1].name': "),
        ("slots:\n  - {name: 1, port: COM5}\n  - {name: 2, port: COM5}\n", "line1.yaml:3: key 'slots[1].port': "),
        ("slots:\n  - {nam: 1, port: COM5}\n", "line1.yaml:2: key 'slots[0].nam' is not known"),
        ("slot: 1\n", "line1.yaml:1: key 'slot' is not known"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        slots(tmp_path, text)
    assert caught.value.message.startswith(where) and caught.value.exit_code == 2
