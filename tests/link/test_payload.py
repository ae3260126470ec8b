"""The pieces without a board: small code, PEM as DER, frames, plans."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.link import agent
from provisioning.link.minify import Minifier
from provisioning.link.payload import Item, Payload, pem_parts
from provisioning.link.transport.frames import MAX_PAYLOAD, MIN_PAYLOAD, NO_LENGTH, cut, frame
from provisioning.pem.read import encode
from provisioning.resources import folder


def test_small_code_does_the_same() -> None:
    source = '''"""Docstring."""
limit = 3  # a global


def total(values, start=0):
    """Another."""
    result = start
    for value in values:
        if value > limit:
            continue
        result += value
    return result


class Box(list):
    def push(self, value):
        self.append(total([value]))


kept = Box()
kept.push(2)
kept.push(9)
'''
    small = Minifier({"x": source}, frozenset(["kept"])).small("x")
    assert len(small) < len(source) / 2 and '"""' not in small and "#" not in small
    space: dict[str, object] = {}
    exec(small, space)
    assert space["kept"] == [2, 0]


def test_small_code_is_deterministic() -> None:
    base = folder("firmware") / "link"
    sources = {name: (base / f"{name}.py").read_text(encoding="utf-8") for name in agent.FILES}
    assert Minifier(sources, agent.KEEP).small("sets") == Minifier(sources, agent.KEEP).small("sets")


def test_every_file_is_sent_small_and_compiles() -> None:
    for name in (*agent.FILES, *agent.ALONE):
        compile(agent.small(name), name, "exec")


def test_what_runs_at_the_raw_prompt_fits_the_receive_ring() -> None:
    assert len(agent.raised(2000000, 115200)) < 256
    assert len(agent.held("0" * 8, [None, "/main.py", "/lib/app/settings.py"])) < 200, "an app has more files than the loader"


@given(st.binary(max_size=600))
def test_literal_is_the_bytes(data: bytes) -> None:
    text = agent.literal(data)
    assert not set(text) & {0, 1, 2, 3, 4, 5, 10, 13, 17, 19}
    assert eval(text[1:].decode("latin-1"), {}) == data.decode("latin-1")


@pytest.mark.parametrize("path", sorted((folder("certs")).glob("*.pem")), ids=lambda path: path.stem)
def test_roots_travel_as_der(path: object) -> None:
    content = path.read_bytes()  # type: ignore[attr-defined]
    parts = pem_parts(content)
    assert parts is not None
    assert encode(parts[0].decode(), parts[1]) == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no PEM",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        b"-----BEGIN X-----\nQUJD\n-----END X-----\nand more\n",
        b"-----BEGIN X-----\r\nQUJD\r\n-----END X-----\r\n",
        b"-----BEGIN X-----\nQU*JD\n-----END X-----\n",
        b"-----BEGIN X-----\n" + base64.b64encode(bytes(60)) + b"\n-----END X-----\n",
    ],
)
def test_what_cannot_be_written_again_travels_as_it_is(content: bytes) -> None:
    assert pem_parts(content) is None


@pytest.mark.parametrize("more", range(0, 2 * MAX_PAYLOAD, MAX_PAYLOAD))
def test_payloads_of_frames(more: int) -> None:
    """Of every length: the last ones have lengths that mean something else."""
    for length in range(more + MIN_PAYLOAD, more + MAX_PAYLOAD + MIN_PAYLOAD):
        data = bytes(index & 255 for index in range(length))
        parts = cut(data)
        assert b"".join(parts) == data
        assert all(MIN_PAYLOAD <= len(part) <= MAX_PAYLOAD and len(part) != NO_LENGTH for part in parts), length


def test_frame_layout() -> None:
    """docs/frame-format.md, "Host to device"."""
    made = frame(7, b"payload")
    assert made[:2] == bytes((7, 7)) and made[2:9] == b"payload"
    assert made[9:] == (zlib.crc32(made[:9]) & 0xFFFFFF).to_bytes(3, "little")
    assert len(frame(0, bytes(MAX_PAYLOAD))) == 128


def test_order_of_files() -> None:
    trust = {"b.pem": b"b", "a.pem": b"a", "set.json": b'{"files":{"b.pem":"1","a.pem":"2","/lib/twinroot/p/core.mpy":"3"}}'}
    lib = {"/lib/twinroot/p/core.mpy": b"c", "/lib/twinroot/__init__.py": b"l", "/main.py": b"m"}
    payload = Payload(trust, lib)
    assert [item.name for item in payload.items] == ["/lib/twinroot/p/core.mpy", "a.pem", "b.pem", "/lib/twinroot/__init__.py", "/main.py"]
    assert not payload.keeps_home
    assert payload.blank_set_json == b'{"files":{"b.pem":"@","a.pem":"@","/lib/twinroot/p/core.mpy":"@"}}'
    assert Item("a.pem", b"a").path(4) == "/trust/4/a.pem"
