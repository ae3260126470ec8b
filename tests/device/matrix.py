"""Runs the table of scenarios.py on a board, one power-on per clock, and prints what came out beside what was expected.

python -m tests.device.matrix        prints the whole matrix
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.device import sets
from tests.device.scenarios import SCENARIOS, Scenario, Site
from tests.device.server import Server, context, echo
from tests.device.world import ATS, LEGACY
from tests.support import pki

CLOCKS = {"right": 0, "2000": 946684805, "2040": 2208988805}  # unix seconds; 0: now
PLACES = ("preferred", "last good")

# /trust/run.py on the device. Each case, a line of /trust/cases, gets a set.json of its own and a health.json from before, and
# forgets the case before.
RUNNER = """
import json, sys
UNIX = %d
NUMBERS = %r
import time
try:
    from machine import RTC
    t = time.gmtime(UNIX - (946684800 if time.gmtime(0)[0] == 2000 else 0))
    RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
except ImportError:
    assert abs(time.time() - UNIX) < 100
import twinroot
from twinroot import clock, core, errors, stats
core.CONFIRM_MS = 0
class Numbers:
    # A build without texts: the same library, its complaints about certificates reduced to their number.
    class SSLContext:
        def __init__(self, protocol):
            import tls
            self.c = tls.SSLContext(protocol)
            self.load_verify_locations = self.c.load_verify_locations
            self.load_cert_chain = self.c.load_cert_chain
        def wrap_socket(self, s, server_hostname):
            self.c.verify_mode, self.c.verify_callback = self.verify_mode, self.verify_callback
            try:
                return self.c.wrap_socket(s, server_hostname=server_hostname)
            except ValueError:
                raise OSError(-0x2700)
if NUMBERS:
    import tls
    Numbers.PROTOCOL_TLS_CLIENT, Numbers.CERT_REQUIRED = tls.PROTOCOL_TLS_CLIENT, tls.CERT_REQUIRED
    twinroot.tlslink.tls = Numbers
class LookUp:
    # A socket module that finds no name, as lwIP's without an answer: nothing is asked of a resolver. Addresses stay as they are.
    import socket as real
    socket = real.socket
    error = 0
    def getaddrinfo(host, port):
        if host.replace(".", "").isdigit():
            return LookUp.real.getaddrinfo(host, port)
        LookUp.asked.append(host)
        raise OSError(LookUp.error)
def run(c):
    LookUp.error, LookUp.asked = c["look_up"], []
    twinroot.tlslink.usocket = LookUp if LookUp.error else LookUp.real
    with open("/trust/1/set.json", "w") as f:
        json.dump(c["set"], f)
    core._set = core._next = stats._d = twinroot.INFO = None
    with open("/trust/health.json", "w") as f:
        json.dump({"v": 1, "proven": 1, "last": c["last"], "since": clock.now() - 5, "routes": {}, "roots": {}}, f)
    try:
        link = core.connect(timeout=c["timeout"], wait=False)
        link.sock.write(b"ping")
        assert link.sock.read(4) == b"ping"
        link.close()
        return ["ok", link.route, link.root, "", stats.data()["last"]]
    except errors.TwinrootError as e:
        return [e.kind, e.route, None, str(e), stats.data()["last"]]
with open("/trust/cases") as f:
    for c in f:
        try:
            r = run(json.loads(c))
        except Exception as e:
            sys.print_exception(e)
            r = ["crash", None, None, repr(e), None]
        print("RESULT " + json.dumps(r + [LookUp.asked]))
"""


class Device(Protocol):
    """What a board must be able to do for this suite."""

    def put(self, tree: dict[str, bytes]) -> None: ...

    def lines(self, script: str) -> list[str]: ...


@dataclass
class Case:
    scenario: Scenario
    place: str
    kind: str
    clock: str
    site: Site
    bad: Server | None
    healthy: Server
    spec: dict[str, Any]
    files: dict[str, bytes]
    got: str = ""
    detail: str = ""

    @property
    def expected(self) -> str:
        return self.scenario.expected(self.clock)

    @property
    def ok(self) -> bool:
        return self.got in self.expected.split("|") and not self.detail.startswith("WRONG")


def closed_port(stack: ExitStack, at: str) -> int:
    """A port that refuses: bound, so that nobody else gets it meanwhile, and not listening."""
    s = stack.enter_context(socket.socket())
    s.bind((at, 0))
    return int(s.getsockname()[1])


def prepare(stack: ExitStack, folder: Path, clock: str, place: str, kind: str, at: str) -> list[Case]:
    ats, legacy, devices = pki.root("Test ATS Root", kind), pki.root("Test Legacy Root", kind), pki.root("Device CA")
    first = place == "preferred"
    host, other_host, root, other = (ATS, LEGACY, ats, legacy) if first else (LEGACY, ATS, legacy, ats)
    good = pki.server(other_host, other, kind=kind)
    healthy_context = context(folder / "healthy", [good], devices)
    cases = []
    for i, scenario in enumerate(SCENARIOS):
        site = Site(folder / str(i), host, kind, root, other, devices)
        behaviour = scenario.serve(site)
        bad = stack.enter_context(Server(behaviour, at)) if behaviour else None
        healthy = stack.enter_context(Server(echo(healthy_context), at))
        roots = scenario.roots(site) if scenario.roots else {"Own": root.pem}
        named = {f"{n}-{i}": pem for n, pem in roots.items()}
        tested = sets.route("ats" if first else "legacy", host, list(named))
        spare = sets.route("legacy" if first else "ats", other_host, ["Spare"])
        table = {f"{other_host}:8883": healthy.address}
        if scenario.look_up is None:
            table[f"{host}:8883"] = bad.address if bad else f"{at}:{closed_port(stack, at)}"
        info: dict[str, Any] = {
            "package": sets.package()[0],
            "files": {},
            "routes": [tested, spare] if first else [spare, tested],
            "client_id": "t-1",
            "cert": "device.crt.pem",
            "key": "device.key.pem",
            "time": {"servers": [], "floor": sets.FLOOR},
            "lab": {"resolve": table},
            **scenario.change,
        }
        spec = {"set": info, "last": tested["name"], "timeout": scenario.timeout, "look_up": scenario.look_up}
        files = {f"/trust/1/{n}.pem": pem for n, pem in named.items() if pem}
        cases.append(Case(scenario, place, kind, clock, site, bad, healthy, spec, files))
    return cases


def judge(case: Case, result: list[Any]) -> None:
    """Fills in what the device made of it; counts of connections are part of that."""
    kind, route, root, text, last, looked_up = result
    tested = case.spec["last"]
    case.detail = text
    if kind != "ok":
        case.got = kind
        at_bad, at_healthy = (case.bad.count if case.bad else 0), case.healthy.count
        if at_healthy or last != tested:
            case.detail = f"WRONG: the other route was tried {at_healthy} times, last good is {last}"
        if case.clock == "2000" and at_bad:
            case.detail = "WRONG: a handshake before a plausible time"
        number = case.scenario.look_up
        names = [case.site.host] if number and case.clock != "2000" else []
        if looked_up != names or (names and f"({number})" not in text):
            case.detail = f"WRONG: looked up {looked_up}; {text}"
        return
    case.got = "ok" if route == tested else "change"
    wanted = case.scenario.connections or (2 if case.got == "change" else 1)
    if case.bad and (count := case.bad.counted(wanted)) != wanted:
        case.detail = f"WRONG: {count} connections, not {wanted}"
    at_healthy = case.healthy.counted(1) if case.got == "change" else case.healthy.count
    if last != route or root is None or (case.got == "change" and at_healthy != 1):
        case.detail = f"WRONG: last {last}, root {root}, {at_healthy} connections to the other route"


def run(device: Device, folder: Path, clock: str, place: str, kind: str, numbers: bool = False, host: str = "127.0.0.1") -> list[Case]:
    with ExitStack() as stack:
        cases = prepare(stack, folder, clock, place, kind, host)
        first = place == "preferred"
        own = pki.root("Test Legacy Root" if first else "Test ATS Root", kind)
        tree = sets.build(1, [sets.route("x", "x", ["Spare"])], {"Spare": own}, pki.client("t-1", pki.root("Device CA")))
        for case in cases:
            tree |= case.files
        tree["/trust/cases"] = "".join(json.dumps(c.spec) + "\n" for c in cases).encode()
        tree["/trust/run.py"] = (RUNNER % (CLOCKS[clock] or time.time(), numbers)).encode()
        device.put(sets.board(1, tree))
        lines = device.lines("exec(open('/trust/run.py').read())")
        results = [json.loads(line[7:]) for line in lines if line.startswith("RESULT ")]
        assert len(results) == len(cases), "\n".join(lines[-20:])
        for case, result in zip(cases, results, strict=True):
            judge(case, result)
        return cases


def show(cases: list[Case]) -> str:
    """One line per scenario and place, one column per clock; `!` marks what was not expected."""
    rows: dict[tuple[str, str, str], dict[str, Case]] = {}
    for case in cases:
        rows.setdefault((case.scenario.name, case.place, case.kind), {})[case.clock] = case
    out = [f"{'scenario':46} {'route':10} {'keys':4} " + " ".join(f"{c:>10}" for c in CLOCKS)]
    for (title, place, kind), by in rows.items():
        cells = " ".join(f"{('' if by[c].ok else '!') + by[c].got:>10}" if c in by else " " * 10 for c in CLOCKS)
        out.append(f"{title:46} {place:10} {kind:4} {cells}")
    return "\n".join(out)


def promised() -> str:
    """The table for docs/device.md: what must come of each scenario."""
    lines = ["| the server | right clock | 2000 | 2040 |", "| --- | --- | --- | --- |"]
    lines += [f"| {s.name} | {s.right} | {s.in_2000} | {s.in_2040.replace('|', ' or ')} |" for s in SCENARIOS]
    return "\n".join(lines)


def main() -> None:
    import sys
    import tempfile

    from provisioning.virtual import VirtualBoard
    from tests.device.virtual import Virtual

    cases: list[Case] = []
    with VirtualBoard(paced=False, clock="host") as board, tempfile.TemporaryDirectory() as folder:
        for clock in CLOCKS:
            for place in PLACES:
                for kind in ("ec", "rsa"):
                    cases += run(Virtual(board), Path(folder), clock, place, kind)
    wrong = [c for c in cases if not c.ok]
    print(show(cases))
    for c in wrong:
        print(f"{c.scenario.name}, {c.place}, {c.kind}, {c.clock}: expected {c.expected}, got {c.got}. {c.detail}")
    print(f"{len(cases)} cases, {len(wrong)} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
