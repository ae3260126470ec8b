"""The stand-in from Python: starts it as a process of its own, breaks and repairs its endpoints, waits for what it saw."""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from provisioning.errors import InputError, StationError
from provisioning.standin.access import Account

Event = dict[str, Any]

_START_TIMEOUT = 30.0  # seconds; a start takes about one, a machine under load more
_AGAIN = "Start it again; a busy computer needs more time."
_ANSWER_TIMEOUT = 15.0
_STOP_TIMEOUT = 8.0


class StandIn:
    """A cloud stand-in, running from `start` (or `with`) to `stop`. Without `state` its roots live as long as it does.

    scenario: one name for the preferred route, or route name -> scenario name. limits: operation -> requests a second (Account.limit).
    Raises InputError and StationError as the process reports them.
    """

    def __init__(
        self,
        state: Path | None = None,
        scenario: str | Mapping[str, str] | None = None,
        *,
        prefix: str | None = None,
        region: str | None = None,
        broker: str = "auto",
        ports: Mapping[str, int] | None = None,
        client_ca: Path | None = None,
        limits: Mapping[str, float] | None = None,
    ) -> None:
        self._state = state
        chosen = [scenario] if isinstance(scenario, str) else [f"{route}={name}" for route, name in (scenario or {}).items()]
        self._arguments = [f"--broker={broker}", *(f"--scenario={word}" for word in chosen)]
        self._arguments += [f"--port={route}={port}" for route, port in (ports or {}).items()]
        self._arguments += [f"--limit={operation}={rate}" for operation, rate in (limits or {}).items()]
        for option, value in (("prefix", prefix), ("region", region), ("client-ca", client_ca)):
            if value is not None:
                self._arguments.append(f"--{option}={value}")
        self._temporary: Path | None = None
        self._process: subprocess.Popen[str] | None = None
        self._said: deque[str] = deque(maxlen=20)
        self._answers: dict[int, queue.SimpleQueue[Event]] = {}
        self._first: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._news = threading.Condition()
        self._asking = threading.Lock()  # one line at a time
        self._messages: list[Event] = []
        self._connections: list[Event] = []
        self._requests: list[Event] = []
        self._ended = False
        self._number = 0
        self.info: Event = {}

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> StandIn:
        state = self._state
        if state is None:
            state = self._temporary = Path(tempfile.mkdtemp(prefix="twinroot-cloud-state-"))
        command = [sys.executable, "-m", "provisioning.standin.process", f"--state={state}", *self._arguments]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            # A terminal's control-C is for whoever started the stand-in, which then stops it.
            start_new_session=True,
        )
        for target in (self._listen, self._collect):
            threading.Thread(target=target, args=(self._process,), daemon=True).start()
        try:
            first = self._first.get(timeout=_START_TIMEOUT)
        except queue.Empty:
            self.stop()
            raise StationError("cloud-start", f"The cloud stand-in did not start within {_START_TIMEOUT:.0f} s.", _AGAIN) from None
        if first.get("event") != "ready":
            self.stop()
            raise _error(first.get("error") or self._death())
        self.info = {key: value for key, value in first.items() if key != "event"}
        return self

    def stop(self) -> None:
        """End the process, by closing its standard input first; removes a state folder that was temporary."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(BrokenPipeError):
                if process.stdin:
                    process.stdin.close()
            for harder in (process.terminate, process.kill, None):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_TIMEOUT)
                    break
                if harder:
                    harder()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def __enter__(self) -> StandIn:
        return self.start()

    def __exit__(self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None) -> None:
        self.stop()

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def routes(self) -> list[dict[str, Any]]:
        """{name, endpoint, host, port, root} of each route, preferred first."""
        return list(self.info["routes"])

    def route(self, name: str) -> dict[str, Any]:
        return next(route for route in self.routes if route["name"] == name)

    @property
    def roots(self) -> dict[str, Path]:
        """Root name -> its PEM."""
        return {name: Path(path) for name, path in self.info["roots"].items()}

    @property
    def pins(self) -> dict[str, str]:
        """Root name -> SHA-256 of its DER, as a product's `roots:` wants it."""
        return dict(self.info["pins"])

    @property
    def resolve(self) -> dict[str, str]:
        """endpoint:8883 and pool.ntp.org:123 -> host:port, as a product's `lab.resolve` wants them."""
        return dict(self.info["resolve"])

    @property
    def client_ca(self) -> Path:
        return Path(self.info["client_ca"])

    @property
    def ntp(self) -> str:
        """host:port (UDP) of the time server."""
        return f"{self.info['ntp']['host']}:{self.info['ntp']['port']}"

    @property
    def account(self) -> Account:
        """Raises StationError when boto3 is not installed, without which there is none."""
        if not self.info["account"]:
            raise StationError(
                "cloud-no-account", "This cloud stand-in has no account: boto3 is not installed.", "Install it: pip install 'twinroot[aws]'"
            )
        return Account(self.info["account"], self._ask)

    @property
    def pid(self) -> int:
        return int(self.info["pid"])

    # -- what can be asked of it ---------------------------------------------------------------------------------

    def scenario(self, route: str, name: str, *, drop: bool | None = None) -> None:
        """Let `route` behave as `name` from now on. drop: end standing connections (by default when it is not `ok`)."""
        self._ask(do="scenario", route=route, name=name, drop=drop)

    def repair(self, route: str) -> None:
        """Let `route` serve again."""
        self.scenario(route, "ok")

    def issue(self, device: str) -> tuple[Path, Path]:
        """A client certificate for `device` and its key (0600), as PEM files in the state folder."""
        files = self._ask(do="issue", device=device)
        return Path(files["certificate"]), Path(files["key"])

    def clock(self, offset: float = 0.0, *, silent: bool = False) -> None:
        """Let the time server tell this machine's time plus `offset` seconds, or not answer at all."""
        self._ask(do="clock", offset=offset, silent=silent)

    def publish(self, topic: str, payload: str) -> None:
        """Send a message from the cloud to whoever subscribed to `topic`."""
        self._ask(do="publish", topic=topic, payload=payload)

    def status(self) -> Event:
        """What `twinroot cloud --status` prints: `info`, the last connections and messages, time_requests."""
        return self._ask(do="status")

    def messages(self) -> list[Event]:
        """{route, topic, payload, client, certificate, at} of each message the broker has had, in order."""
        with self._news:
            return list(self._messages)

    def connections(self) -> list[Event]:
        """{route, scenario, outcome, reason, sni, certificate, tls, at} of each connection that was tried, in order."""
        with self._news:
            return list(self._connections)

    def requests(self) -> list[Event]:
        """{service, operation, status, code, at} of each request to the control plane, in order."""
        with self._news:
            return list(self._requests)

    def wait_message(
        self, *, topic: str | None = None, route: str | None = None, payload: str | None = None, after: int = 0, timeout: float = 10.0
    ) -> Event:
        """The first message, beginning with number `after`, that has what is given; StationError when none came in time."""
        wanted = {"topic": topic, "route": route, "payload": payload}
        return self._wait(self._messages, wanted, after, timeout, "cloud-no-message")

    def wait_connection(self, *, route: str | None = None, outcome: str | None = None, after: int = 0, timeout: float = 10.0) -> Event:
        """The first connection, beginning with number `after`, that has what is given; StationError when none came in time."""
        return self._wait(self._connections, {"route": route, "outcome": outcome}, after, timeout, "cloud-no-connection")

    def wait_request(self, *, operation: str | None = None, code: str | None = None, after: int = 0, timeout: float = 10.0) -> Event:
        """The first request to the account, beginning with number `after`, that has what is given; StationError when none came in time."""
        return self._wait(self._requests, {"operation": operation, "code": code}, after, timeout, "cloud-no-request")

    # -- the wire to it ------------------------------------------------------------------------------------------

    def _wait(self, events: list[Event], wanted: dict[str, str | None], after: int, timeout: float, code: str) -> Event:
        given = {key: value for key, value in wanted.items() if value is not None}
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for event in events[after:]:
                    if all(event[key] == value for key, value in given.items()):
                        return event
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._news.wait(left)
        if self._ended:
            raise _error(self._death())
        asked = ", ".join(f"{key} {value}" for key, value in given.items()) or "any"
        raise NothingSeen(
            code,
            f"The cloud stand-in saw no {code.rpartition('-')[2]} ({asked}) within {timeout:g} s.",
            "`twinroot cloud --status` shows what it saw.",
        )

    def _ask(self, **request: Any) -> Event:
        process = self._process
        if process is None or process.stdin is None:
            raise StationError("cloud-stopped", "The cloud stand-in is not running.", "Start it first.")
        answers: queue.SimpleQueue[Event] = queue.SimpleQueue()
        with self._news:
            if self._ended:  # from here on nobody would answer, even if the pipe still took the request
                raise _error(self._death())
            self._number += 1
            number = self._number
            self._answers[number] = answers
        try:
            with self._asking:
                process.stdin.write(json.dumps({"id": number, **request}) + "\n")
                process.stdin.flush()
            reply = answers.get(timeout=_ANSWER_TIMEOUT)
        except queue.Empty:
            raise StationError("cloud-silent", f"The cloud stand-in did not answer within {_ANSWER_TIMEOUT:.0f} s.", _AGAIN) from None
        except (BrokenPipeError, ValueError):
            raise _error(self._death()) from None
        finally:
            with self._news:
                del self._answers[number]
        if not reply["ok"]:
            raise _error(reply["error"])
        return reply

    def _listen(self, process: subprocess.Popen[str]) -> None:
        """Thread: sort the lines of the process into answers and events until it ends."""
        kept: dict[str, Callable[[Event], None]] = {
            "message": self._messages.append,
            "connection": self._connections.append,
            "request": self._requests.append,
            "ready": self._first.put,
            "error": self._first.put,
        }
        for line in process.stdout or ():
            event = json.loads(line)
            with self._news:
                if "event" in event:
                    kept[event.pop("event") if event["event"] in ("message", "connection", "request") else event["event"]](event)
                elif event["id"] in self._answers:
                    self._answers[event["id"]].put(event)
                self._news.notify_all()
        with self._news:
            self._ended = True
            for answers in self._answers.values():
                answers.put({"ok": False, "error": self._death()})
            self._news.notify_all()
        self._first.put({})

    def _collect(self, process: subprocess.Popen[str]) -> None:
        """Thread: keep the last words of the process."""
        for line in process.stderr or ():
            self._said.append(line.rstrip())

    def _death(self) -> Event:
        last = self._said[-1] if self._said else "it said nothing"
        return {"exit": 3, "code": "cloud-ended", "message": f"The cloud stand-in has ended: {last}.", "hint": ""}


class NothingSeen(StationError):
    """The stand-in saw nothing of what was waited for."""


def _error(error: Mapping[str, Any]) -> InputError | StationError:
    kind = InputError if error["exit"] == InputError.exit_code else StationError
    return kind(error["code"], error["message"], error["hint"])
