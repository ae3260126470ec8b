"""Calendars as RFC 5545 has them: all-day events with alarms. The same events are the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

_OCTETS = 75  # 3.1: of a line, without its end
_ESCAPED = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"})  # 3.3.11


@dataclass(frozen=True)
class Event:
    """Something on a day. `key`: what it stays known by when its text changes; `alarms`: how many days before."""

    key: str
    day: date
    summary: str
    description: str
    category: str
    alarms: tuple[int, ...]

    @property
    def uid(self) -> str:
        """The same for the same key and day: a calendar that is read again replaces the event instead of adding one."""
        return hashlib.sha256(f"{self.key}\n{self.day.isoformat()}".encode()).hexdigest()[:32] + "@twinroot"


def calendar(name: str, events: Iterable[Event], stamp: datetime) -> bytes:
    """A calendar of `events`, by day. `stamp`: its DTSTAMP, UTC."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//twinroot//trust calendar//EN", "CALSCALE:GREGORIAN", "METHOD:PUBLISH"]
    lines.append(f"X-WR-CALNAME:{_text(name)}")
    for event in sorted(events, key=lambda each: (each.day, each.key)):
        lines += _event(event, stamp)
    lines.append("END:VCALENDAR")
    return b"".join(folded(line) for line in lines)


def _event(event: Event, stamp: datetime) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{event.uid}"
    yield f"DTSTAMP:{stamp:%Y%m%dT%H%M%SZ}"
    yield f"DTSTART;VALUE=DATE:{_day(event.day)}"
    if event.day < date.max:  # without an end it is that day (3.6.1)
        yield f"DTEND;VALUE=DATE:{_day(event.day + timedelta(days=1))}"
    yield f"SUMMARY:{_text(event.summary)}"
    yield f"DESCRIPTION:{_text(event.description)}"
    yield f"CATEGORIES:{_text(event.category)}"
    yield "TRANSP:TRANSPARENT"
    for days in event.alarms:
        yield from ("BEGIN:VALARM", "ACTION:DISPLAY", f"DESCRIPTION:{_text(event.summary)}", f"TRIGGER:-P{days}D", "END:VALARM")
    yield "END:VEVENT"


def _day(day: date) -> str:
    return f"{day.year:04d}{day.month:02d}{day.day:02d}"


def _text(value: str) -> str:
    """TEXT of 3.3.11; control characters, which it cannot have, become "?"."""
    plain = "".join(c if c == "\n" or (c >= " " and c != "\x7f") else "?" for c in value.replace("\r\n", "\n"))
    return plain.encode("utf-8", "replace").decode().translate(_ESCAPED)


def folded(line: str) -> bytes:
    """A content line with its end, in pieces of at most 75 octets that never part a character (3.1)."""
    made, piece = [], b""
    for character in line:
        octets = character.encode()
        if len(piece) + len(octets) > _OCTETS:
            made.append(piece)
            piece = b" "
        piece += octets
    return b"\r\n".join([*made, piece]) + b"\r\n"
