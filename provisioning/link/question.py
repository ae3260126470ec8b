"""Two questions to a board at its raw prompt, neither of which writes: does it hold this set, and who is it?

The first is the one of an update where nothing changed: whole, with nothing left over (firmware/link/held.py)? The second needs nothing
of ours on the board (firmware/link/who.py). The key itself never leaves the board.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from provisioning.identity.on_board import OnBoard
from provisioning.link import agent
from provisioning.link.answer_check import checked, fits
from provisioning.link.payload import Payload
from provisioning.link.repl import DeviceException, LinkBroken, RawRepl
from provisioning.link.staying_sets import staying
from provisioning.parsed import literal

_TEXT = (str, type(None))
# Unique id, number of the set, product, device, board, the certificate's file, four hashes, client id, the network's texts.
_ANSWER = (str, int, str, str, _TEXT, bytes, str, str, str, str, _TEXT, (dict, bool, int, type(None)))
# What others read of a device's report about itself (firmware/twinroot/check.py).
REPORT = {
    "set": int,
    "previous": (int, type(None)),
    "product": _TEXT,
    "device": _TEXT,
    "board": _TEXT,
    "set_sha256": _TEXT,
    "uid": _TEXT,
    "bad": [str],
    "ok": bool,
    "error": object,
}
_LOADER = "/lib/twinroot/__init__.py"


class HeldSet(NamedTuple):
    """What a board holds. `report`: its self-report when it is exactly the set that was asked for, else None; `left_over`: whether
    something of a broken run lies beside it; `device`: whose set it is, None when the board cannot tell; `strange`: it does not even
    understand the question."""

    report: dict[str, Any] | None = None
    left_over: bool = False
    device: str | None = None
    strange: bool = False


def holds(repl: RawRepl, payload: Payload, package: str) -> tuple[dict[str, Any], bool] | None:
    """(self-report, whether something is left over) when the board holds exactly `payload`; None when it holds anything else."""
    found = held(repl, payload, package)
    return (found.report, found.left_over) if found.report is not None else None


def held(repl: RawRepl, payload: Payload, package: str) -> HeldSet:
    """What the board holds, measured against `payload`.

    A board that cannot answer (blank, older package, too little heap) holds something else. Writes nothing.
    """
    program = agent.held(payload.set_sha256[:8], (None if item.name == _LOADER else item.name for item in payload.rest))
    for _ in range(2):
        try:
            text = repl.run(program, paced=True).decode("utf-8", "replace").strip()
            [answer] = literal(text.splitlines()[-1])
            if not answer or isinstance(answer, str):
                return HeldSet(device=answer or None)
            report, lib, hashes = answer
            trust = report["trust"]
            if not (fits(report, REPORT) and fits(lib, [str]) and fits(trust, [str])):
                continue
            whole = report["ok"] and report["set_sha256"] == payload.set_sha256 and report["set"] == report["active"]
            if not whole or hashes != [item.sha256 for item in payload.rest]:
                return HeldSet(device=report["device"])
            break
        except LinkBroken:
            repl.enter()
        except (TypeError, ValueError, KeyError, IndexError):
            continue  # the line changed the answer, which has no check sum: there is no space for one
        except DeviceException:
            return HeldSet(strange=True)
    else:
        return HeldSet()
    sets = {int(name) for name in trust if name.isdigit()}
    left_over = bool(sets - staying(report) or any(name.endswith(".new") for name in (*trust, *lib)))
    packages = [name for name in lib if len(name) == 12]
    return HeldSet(report, left_over or len(packages) > len(sets) or package not in packages, report["device"])


def who(repl: RawRepl, wifi: bool = False) -> tuple[str, OnBoard | None]:
    """(unique id, identity) of the board; None for one that holds no set. `wifi`: whether the texts of its network are wanted, too.

    Asked again when the line swallows or changes the answer. Raises BoardError when it cannot be had.
    """
    for _ in range(2):
        try:
            return _who(repl, wifi)
        except LinkBroken:
            repl.enter()
    return _who(repl, wifi)


def _who(repl: RawRepl, wifi: bool) -> tuple[str, OnBoard | None]:
    repl.run(agent.small("who"))
    answer = repl.value(f"who({int(wifi)})")
    if fits(answer, [str]) and len(answer) == 1:
        return str(answer[0]), None
    uid, *rest = checked(answer, _ANSWER, repl.wire.name)
    number, product, device, board, certificate, *hashes, client_id, network = rest
    texts = {"client_id": client_id, **(network if isinstance(network, dict) else {})}
    named, found = (hashes[0], hashes[1]), (hashes[2], hashes[3])
    known = {name: str(text) for name, text in texts.items() if text is not None}
    return uid, OnBoard(uid, number, product, device, board, certificate, named, found, known)
