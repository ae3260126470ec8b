"""Reports of a fleet whose evidence is of every kind, the same each time: as lines of a file, as rows of a ledger, as a list of devices."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from provisioning.ledger.entry import GENESIS, INTENT, OUTCOME, Entry

ATS, LEGACY = "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com", "a1b2c3d4e5f6g7.iot.us-east-1.amazonaws.com"
A1, A3, G5 = "AmazonRootCA1", "AmazonRootCA3", "VeriSign-Class3-Public-Primary-G5"
DAY = 86400

PRODUCT = f"""\
product: fleet
version: 3
board: esp32-generic
cloud:
  region: us-east-1
  endpoint: {ATS}
  phase: ats-first
identity:
  certificate: "devices/{{device}}.crt.pem"
  key: "devices/{{device}}.key.pem"
devices: devices.csv
"""
# version -> routes of its set, in order
ROUTES = {1: ("legacy",), 2: ("legacy", "ats"), 3: ("ats", "legacy")}


def name(number: int) -> str:
    return f"ws-{number:06}"


def csv(count: int) -> str:
    return "device,site\n" + "".join(f"{name(n)},site-{n % 40}\n" for n in range(count))


def reports(count: int, now: int) -> Iterator[dict[str, Any]]:
    """One report a device, of those that report: of a hundred devices 95. Eight in ten have connected by an Amazon root."""
    for n in range(count):
        if n % 100 < 5:
            continue
        at = now - (n % 20) * DAY // 2 - (40 * DAY if n % 50 == 7 else 0)
        proven = n % 10 < 8
        good, old = 1 + n % 400, 1 + n % 900
        if n % 3:  # health()
            routes: dict[str, Any] = {"legacy": {"good": old, "bad": n % 4, "at": at - 3 * DAY}}
            roots = {G5: {"good": old, "at": at - 3 * DAY}}
            if n % 7 == 0:
                routes["legacy"] |= {"err": "network"}
            if proven:
                routes["ats"] = {"good": good, "bad": 0, "at": at - 60}
                roots[A1 if n % 5 else A3] = {"good": good, "at": at - 60}
            last = "ats" if proven else "legacy"
            health = {"v": 1, "proven": 2, "last": last, "since": 0, "day": [1, 1], "routes": routes, "roots": roots}
            yield {"device": name(n), "at": at, "version": 3 if proven else 2, "firmware": f"1.2{n % 6}.0", "health": health}
        else:  # telemetry.text()
            told: dict[str, Any] = {"t": at, "s": 2, "p": 2, "l": "ats" if proven else "legacy", "v": 3 if proven else 2, "m": "1.25.0"}
            told["r"] = {"legacy": [old, 0], **({"ats": [good, 0]} if proven else {})}
            told["a"] = {G5: old, **({A1: good} if proven else {})}
            told["o"] = ",".join(ROUTES[told["v"]])
            yield {"device": name(n), "health": told}


def lines(count: int, now: int) -> str:
    return "".join(json.dumps(report) + "\n" for report in reports(count, now))


def delivered(count: int, now: int) -> Iterator[Entry]:
    """An intent and an outcome for each board, a year ago, with the set of version 2."""
    at = datetime.fromtimestamp(now - 365 * DAY, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    previous, seq = GENESIS, 0
    files = {f"/trust/1/{n}.pem": hashlib.sha256(str(n).encode()).hexdigest() for n in range(9)}
    endpoints = [f"{LEGACY}:8883", f"{ATS}:8883"]
    for n in range(count):
        about = {"product": "fleet", "job": "flash", "device": name(n), "mac": f"24:0a:c4:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}"}
        intent = {"version": 2, "endpoints": endpoints, "roots": {G5: "0" * 64, A1: "1" * 64, A3: "3" * 64}, "firmware_version": "1.25.0"}
        for kind, more in ((INTENT, intent), (OUTCOME, {"outcome": "pass", "wrote": True, "files": files})):
            seq += 1
            entry = Entry(seq, at, kind, f"{n:032x}", {**about, **more}, previous)
            previous = entry.hash
            yield entry
