"""The one question of an update where nothing changed: does the board hold this set, whole, with nothing left over?

The board's own package answers (twinroot.selftest hashes every file of the set). The question fits the receive ring, so it needs
no flow control and costs two turns of the line.
"""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from provisioning.errors import BoardError
from provisioning.link.payload import Payload
from provisioning.link.repl import LinkBroken, RawRepl

_SOURCE = """import uos,sys
try:
 uos.stat('/trust');print();sys.path[:]=['/lib'];import twinroot as w;t=w.check.held('%s',[%s])
except:t=0
print([t])"""
_LOADER = "/lib/twinroot/__init__.py"


class Held(NamedTuple):
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


def held(repl: RawRepl, payload: Payload, package: str) -> Held:
    """What the board holds, measured against `payload`.

    A board that cannot answer (blank, older package, too little heap) holds something else. Writes nothing.
    """
    paths = ",".join("w.__file__" if item.name == _LOADER else repr(item.name) for item in payload.rest)
    for _ in range(2):
        try:
            text = repl.run(_SOURCE % (payload.set_sha256[:8], paths), paced=True).decode("utf-8", "replace").strip()
            [answer] = ast.literal_eval(text.splitlines()[-1])
            if not answer or isinstance(answer, str):
                return Held(device=answer or None)
            report, lib, hashes = answer
            trust = report["trust"]
            whole = report["ok"] and report["set_sha256"] == payload.set_sha256 and report["set"] == report["active"]
            if not whole or hashes != [item.sha256 for item in payload.rest]:
                return Held(device=report["device"])
            break
        except LinkBroken:
            repl.enter()
        except (TypeError, ValueError, KeyError, IndexError, SyntaxError):
            continue  # the line changed the answer, which has no check sum: there is no room for one
        except BoardError as error:
            if error.code == "device-exception":
                return Held(strange=True)
            raise
    else:
        return Held()
    sets = {int(name) for name in trust if name.isdigit()}
    kept = {report["set"], report.get("previous"), report.get("proven")}
    left_over = bool(sets - kept or any(name.endswith(".new") for name in (*trust, *lib)))
    packages = [name for name in lib if len(name) == 12]
    return Held(report, left_over or len(packages) > len(sets) or package not in packages, report["device"])
