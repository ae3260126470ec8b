"""The server by its sockets: who may look, what it refuses, how long it waits, and a ledger that goes away and comes back."""

from __future__ import annotations

import datetime
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.cli import main
from provisioning.dashboard.connections import Connections
from provisioning.dashboard.server import CONNECTIONS
from provisioning.ledger.store import Ledger
from provisioning.standin import authority
from tests.dashboard.support import fill, mac_of, serving
from tests.support import postgres
from tests.support.ledger_rows import tamper

TOKEN = "canary-Zaunkoenig-12345"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("dashboard") / "ledger.sqlite"
    with Ledger.open(file) as made:
        fill(made, 32)
    return file


@pytest.fixture(scope="module")
def plain(ledger: Path) -> Iterator[dict[str, Any]]:
    with serving(ledger) as running:
        yield running


@pytest.fixture(scope="module")
def locked(ledger: Path) -> Iterator[dict[str, Any]]:
    with serving(ledger, environment={"TWINROOT_DASHBOARD_TOKEN": TOKEN}) as running:
        yield running


def ask(running: dict[str, Any], method: str, path: str, body: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
    line = http.client.HTTPConnection("127.0.0.1", int(running["url"].rsplit(":", 1)[1].strip("/")), timeout=20)
    try:
        line.request(method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = line.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        line.close()


def test_every_answer_has_the_headers_that_keep_a_page_to_itself(plain: dict[str, Any], locked: dict[str, Any]) -> None:
    for running, method, path in [(plain, "GET", "/"), (plain, "GET", "/nothing"), (plain, "PUT", "/"), (locked, "GET", "/state")]:
        _, headers, body = ask(running, method, path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
        assert headers["X-Frame-Options"] == "DENY" and headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in headers
        assert b"http://" not in body and b"https://" not in body, "nothing of another server's"


def test_the_page_is_only_read(plain: dict[str, Any], ledger: Path) -> None:
    before = ledger.read_bytes()
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "X"):
        status, headers, _ = ask(plain, method, "/")
        assert (status, headers["Allow"]) == (405, "GET, HEAD"), method
    for path in ("/", "/dashboard.js", "/dashboard.css", "/state", "/events", "/search?q=ws-"):
        status, headers, body = ask(plain, "HEAD", path)
        assert (status, body) == (200, b""), path
    for path in ("/../cli/main.py", "/static/dashboard.js", "/%2e%2e/etc/passwd", "/dashboard.js/", "//etc/passwd"):
        assert ask(plain, "GET", path)[0] == 404, path
    assert ledger.read_bytes() == before


def test_state_and_search_are_json(plain: dict[str, Any]) -> None:
    state = json.loads(ask(plain, "GET", "/state")[2])
    assert (state["totals"]["boards"], state["totals"]["pass"], state["seq"]) == (32, 24, 96)
    assert "operator" not in json.dumps(state), "who worked is not for a screen on the wall"
    found = json.loads(ask(plain, "GET", f"/search?q={mac_of(5)}")[2])["attempts"]
    assert [(attempt["device"], attempt["code"], attempt["rows"]) for attempt in found] == [("ws-00005", "readback", [16, 17, 18])]


def test_another_sites_name_for_this_computer_gets_nothing(plain: dict[str, Any]) -> None:
    assert ask(plain, "GET", "/state", Host="evil.example")[0] == 421
    for host in ("localhost", "127.0.0.1:8471", "[::1]:8471"):
        assert ask(plain, "GET", "/state", Host=host)[0] == 200, host


def test_a_token_opens_the_page_and_is_in_no_address(locked: dict[str, Any]) -> None:
    for path in ("/state", "/events", "/search?q=ws-", "/dashboard.js", f"/state?token={TOKEN}", f"/?token={TOKEN}"):
        status, _, body = ask(locked, "GET", path)
        assert status == 401 and TOKEN.encode() not in body and b"ws-" not in body, path
    assert ask(locked, "GET", "/state", Authorization=f"Bearer {TOKEN}")[0] == 200
    for wrong in (f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "Bearer é"):
        assert ask(locked, "GET", "/state", Authorization=wrong)[0] == 401, wrong
    assert b'type="password"' in ask(locked, "GET", "/")[2]
    status, headers, body = ask(locked, "POST", "/login", "token=wrong")
    assert status == 403 and "Set-Cookie" not in headers and b"not the token" in body
    status, headers, _ = ask(locked, "POST", "/login", f"token={TOKEN}")
    cookie = headers["Set-Cookie"]
    assert (status, headers["Location"]) == (303, "/") and "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
    assert ask(locked, "GET", "/state", Cookie=cookie.partition(";")[0])[0] == 200
    assert ask(locked, "GET", "/state", Cookie=cookie.partition(";")[0][:-1])[0] == 401
    assert ask(locked, "POST", "/login", "token=" + "x" * 5000)[0] == 413


def test_the_token_is_in_no_list_of_processes(locked: dict[str, Any]) -> None:
    assert TOKEN not in Path(f"/proc/{locked['pid']}/cmdline").read_text()


def test_what_others_can_see_wants_a_token(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def started(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = main.run(["dashboard", "--json", "--port", "0", *arguments])
        return code, json.loads(capsys.readouterr().out)

    exposed = tmp_path / "exposed"
    exposed.write_text(TOKEN)
    exposed.chmod(0o644)
    for arguments, code in [
        (["--host", "0.0.0.0"], "token-wanted"),
        (["--host", "::"], "token-wanted"),
        (["--token-file", str(exposed)], "token-exposed"),
        (["--host", "no such host"], "bad-address"),
        (["--key", "x"], "bad-arguments"),
    ]:
        exit_code, said = started("--ledger", str(ledger), *arguments)
        assert (exit_code, said["code"]) == (2, code) and TOKEN not in json.dumps(said)
    monkeypatch.setenv("TWINROOT_DASHBOARD_TOKEN", "short")
    assert started("--ledger", str(ledger))[1]["code"] == "bad-token"
    monkeypatch.delenv("TWINROOT_DASHBOARD_TOKEN")
    assert started("--ledger", str(tmp_path / "none"))[1]["code"] == "no-ledger"


def test_https_with_a_token_that_was_made(ledger: Path, tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    signer = authority.certify(
        authority.subject("dashboard"), authority.new_key("ec"), None, begins=now - day, ends=now + day, dns=["dashboard.example"]
    )
    token, certificate, key = tmp_path / "token", tmp_path / "server.pem", tmp_path / "server.key"
    certificate.write_bytes(authority.pem(signer.certificate))
    key.write_bytes(authority.key_pem(signer.key))
    files = ("--certificate", str(certificate), "--key", str(key))
    with serving(ledger, "--host", "0.0.0.0", "--token-file", str(token), *files) as running:
        assert token.stat().st_mode & 0o777 == 0o600
        trust = ssl.create_default_context(cafile=str(certificate))
        trust.check_hostname = False
        port = int(running["url"].rsplit(":", 1)[1].strip("/"))
        with socket.create_connection(("127.0.0.1", port), timeout=20):
            line = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=trust)
            line.request("GET", "/state", headers={"Authorization": f"Bearer {token.read_text().strip()}"})
            assert line.getresponse().status == 200, "a peer that says nothing holds nobody up"
            line.close()


def test_connections_are_bounded_and_each_has_an_end(plain: dict[str, Any]) -> None:
    port = int(plain["url"].rsplit(":", 1)[1].strip("/"))
    silent = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(CONNECTIONS + 8)]
    try:
        answers = []
        for line in silent[CONNECTIONS:]:
            answers.append(line.recv(100))
        assert all(answer.startswith(b"HTTP/1.1 503") for answer in answers)
    finally:
        for line in silent:
            line.close()
    deadline = time.monotonic() + 20
    while ask_quietly(plain) != 200:
        assert time.monotonic() < deadline
    ours, theirs = socket.socketpair()
    table = Connections(1)
    assert table.enter(("a", 1), ours, -1.0) and not table.enter(("b", 1), theirs, 1.0)
    table.sweep()
    assert theirs.recv(1) == b"", "hung up"
    table.leave(("a", 1))
    assert table.enter(("b", 1), theirs, 1.0)
    ours.close()
    theirs.close()


def ask_quietly(running: dict[str, Any]) -> int:
    try:
        return ask(running, "GET", "/state")[0]
    except (OSError, http.client.HTTPException):
        return 0


def test_events_come_as_rows_are_written_and_a_ledger_that_was_away_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    with Ledger.open(file) as ledger:
        fill(ledger, 4)
    with serving(file) as running, socket.create_connection(("127.0.0.1", int(running["url"].rsplit(":", 1)[1].strip("/")))) as line:
        line.settimeout(20)
        line.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stream = line.makefile("rb")

        def until(wanted: str) -> dict[str, Any]:
            for raw in stream:
                if raw.startswith(b"data: ") and wanted in raw.decode():
                    return dict(json.loads(raw[6:]))
            raise AssertionError(wanted)

        assert until('"seq":12')["totals"]["boards"] == 4
        with Ledger.open(file) as ledger:
            ledger.append("claim", "f" * 32, {"mac": mac_of(99), "device": "ws-00099", "station": "s", "port": "p"})
        assert until('"seq":13')["slots"][-1]["state"] == "claimed"
        tamper(file, "ALTER TABLE entries RENAME TO elsewhere")
        assert "no such table" in until('"away":"The')["away"]
        tamper(file, "ALTER TABLE elsewhere RENAME TO entries")
        assert until('"away":""')["seq"] == 13


@pytest.mark.long
def test_a_server_that_is_stopped_and_started_again() -> None:
    """PostgreSQL, with the password in no answer."""
    folder = postgres.binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server is installed here")
    server = postgres.Server(folder)
    try:
        url = server.url(server.database())
        with Ledger.open(url) as ledger:
            fill(ledger, 8)
        with serving(url) as running:
            wait_for(running, '"away": ""')
            server.stop()
            assert json.loads(wait_for(running, '"away": "The ledger'))["totals"]["boards"] == 8, "what is known stays on the page"
            server.start()
            seen = wait_for(running, '"away": ""')
            assert postgres.PASSWORD not in seen and "***" in running["ledger"]
    finally:
        server.remove()


def wait_for(running: dict[str, Any], wanted: str) -> str:
    deadline = time.monotonic() + 40
    while True:
        said = ask(running, "GET", "/state")[2].decode()
        if wanted in said:
            return said
        assert time.monotonic() < deadline, said
