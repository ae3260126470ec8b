"""Labels in ZPL: no text of a row can leave its field, whatever the template and the text are; and QR codes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.labels import qr, zpl

PLAIN = "^XA\n^FO20,20^A0N,30,30^FD{device}^FS\n^FO20,60^FDMAC {mac}^FS\n^XZ\n"
FIELDS = {"device": "ws-0001", "mac": "24:0a:c4:00:00:01", "product": "p"}


def printed(label: bytes, indicator: str = "_") -> list[str]:
    """What a printer puts into the fields: ^FH decoded, as the programming guide says."""
    found = re.findall(rf"\^FH{re.escape(indicator)}?\^FD(.*?)\^FS", label.decode(), re.DOTALL)
    decoded = []
    for data in found:
        raw = re.sub(rf"{re.escape(indicator)}([0-9A-F]{{2}})".encode(), lambda m: bytes.fromhex(m[1].decode()), data.encode())
        decoded.append(raw.decode())
    return decoded


def test_a_plain_template() -> None:
    label = zpl.render(PLAIN, FIELDS)
    assert label.startswith(b"^XA^CI28") and printed(label) == ["ws-0001", "MAC 24:0a:c4:00:00:01"]
    assert b"^PQ" not in label and b"^PQ3^XZ" in zpl.render(PLAIN, FIELDS, copies=3)
    assert zpl.fields_in(PLAIN) == {"device", "mac"}


@given(st.text(max_size=40))
def test_no_text_leaves_its_field(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    for template, indicator in ((PLAIN, "_"), (PLAIN.replace("^FD", "^FH\\^FD"), "\\"), (PLAIN.replace("^FD", "^FH^FD"), "_")):
        label = zpl.render(template, {**FIELDS, "device": text})
        assert label.isascii()
        assert re.findall(rb"[\^~][A-Z@0-9]{2}", label) == re.findall(rb"[\^~][A-Z@0-9]{2}", zpl.render(template, FIELDS))
        assert printed(label, indicator)[0] == text


def test_what_the_template_says_itself_stays_as_it_is() -> None:
    template = "^XA^FDQA,{device}_x {{y}} ü^FS^FD plain_41 ^FS^FH^FD_41{device}^FS^XZ"
    label = zpl.render(template, FIELDS)
    assert printed(label) == ["QA,ws-0001_x {y} ü", "Aws-0001"] and b"^FD plain_41 ^FS" in label


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("hello", "^XA"),
        ("^XA^FD{nothing}^FS^XZ", "nothing"),
        ("^XA\n^FO{device},1^FDx^FS^XZ", "line 2"),
        ("^XA^CC!^FD{device}^FS^XZ", "^CC"),
        ("^XA~CT+^FD{device}^FS^XZ", "CT"),
        ("^XA^CI13^FD{device}^FS^XZ", "^CI28"),
        ("^XA^FD{device^FS^XZ", "single"),
    ],
)
def test_templates_that_cannot_be_used(template: str, words: str) -> None:
    with pytest.raises(zpl.BadTemplate, match=re.escape(words)):
        zpl.check(template)
    zpl.check(PLAIN)


def test_a_field_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        zpl.render("^XA^FD{chip}^FS^XZ", FIELDS)


def test_a_qr_code_is_a_picture() -> None:
    assert qr.render("ws-0001", "png").startswith(b"\x89PNG\r\n")
    root = ET.fromstring(qr.render('<ws & "é">', "svg"))
    assert root.tag.endswith("svg")
    with pytest.raises(ValueError, match=r"fit|large|data"):
        qr.render("x" * 5000, "svg")
