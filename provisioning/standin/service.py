"""The stand-in itself: account, authorities, two endpoints, broker, time server, put together in one event loop."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.errors import InputError, StationError
from provisioning.standin.broker import choose
from provisioning.standin.event_log import EventLog
from provisioning.standin.front import HOST, Clients, Front
from provisioning.standin.ntp import TimeServer
from provisioning.standin.routes import (
    DEFAULT_PREFIX,
    DEFAULT_REGION,
    MQTT_TLS_PORT,
    NTP_PORT,
    ROUTE_NAMES,
    ROUTES,
    TIME_SERVER,
    Account,
)
from provisioning.standin.scenarios import Scenario, check_route, find, parse
from provisioning.standin.state_folder import State, write
from provisioning.standin.watcher import Watcher

if TYPE_CHECKING:
    from provisioning.standin.account.service import CloudAccount

_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_-]{0,127}\Z")  # the names that AWS IoT allows a thing


@dataclass(frozen=True)
class StandinOptions:
    """What a stand-in is started with. `ports`: route name -> port; a route not named gets the last one, or a free one."""

    state: Path
    scenario: tuple[str, ...] = ()
    prefix: str = DEFAULT_PREFIX
    region: str = DEFAULT_REGION
    broker: str = "auto"
    ports: dict[str, int] = field(default_factory=dict)
    client_cas: tuple[Path, ...] = ()
    devices: tuple[str, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)  # operation of the control plane -> requests a second


class Service:
    """A running stand-in. `start` raises InputError or StationError and leaves nothing behind."""

    def __init__(self, options: StandinOptions) -> None:
        self._options = options
        self._account = Account(options.prefix, options.region)
        self._scenarios = parse(options.scenario)
        self._state = State(options.state)
        self.record = EventLog()
        self.time = TimeServer()
        self._fronts: dict[str, Front] = {}
        self._undo = contextlib.AsyncExitStack()
        self._info: dict[str, Any] = {}
        self._account_behind: CloudAccount | None = None

    async def start(self) -> None:
        async with contextlib.AsyncExitStack() as undo:
            await self._start(undo)
            self._undo = undo.pop_all()

    async def _start(self, undo: contextlib.AsyncExitStack) -> None:
        # Before the broker and the keys, which take time: what is most often wrong.
        client_cas = tuple(_certificate(path) for path in self._options.client_cas)
        devices = [_device(name) for name in self._options.devices]
        self._state.open()
        undo.callback(self._state.close)
        broker = choose(self._options.broker, self._state.folder)

        from provisioning.standin.authority import Authorities
        from provisioning.standin.chains import Chains

        self._authorities = Authorities(self._state)
        self._chains = Chains(self._state, self._authorities, self._account, (self._authorities.client_ca_file, *client_cas))
        self._broker = broker
        undo.push_async_callback(broker.stop)
        await broker.start()
        self._account_behind = account = self._open_account()
        if account is not None:
            undo.push_async_callback(account.stop)
        self._watcher = Watcher(broker, self._delivered, _reserved() if account else ())
        undo.push_async_callback(self._watcher.stop)
        await self._watcher.start()
        await self._take_ports(undo, account)
        self._info = self._describe({name: self._issue(name) for name in devices})
        for name, scenario in self._scenarios.items():
            self._fronts[name].play(scenario)
        write(self._state.running, json.dumps(self.info(), indent=1).encode(), 0o600)

    def _open_account(self) -> CloudAccount | None:
        """The account of this state folder; None without the extra `aws`, whose service models its control plane speaks by."""
        if importlib.util.find_spec("botocore") is None:
            return None
        from provisioning.standin.account.service import CloudAccount
        from provisioning.standin.account.state import Place

        ats, legacy = (self._account.endpoint(route) for route in ROUTES)
        place = Place(self._account.region, ats, legacy, self._account.prefix, self._account.domain)
        ca, server = self._authorities.control_plane(HOST)
        return CloudAccount(
            self._state, place, ca, server, self.record, lambda topic, body: self._watcher.send(topic, body), self._authorities.sign
        )

    def _delivered(self, topic: str, payload: bytes) -> None:
        if self.record.delivered(topic, payload) and self._account_behind is not None and topic.startswith("$"):
            self._account_behind.received(topic, payload)

    async def _take_ports(self, undo: contextlib.AsyncExitStack, account: CloudAccount | None) -> None:
        """Bind endpoints, time server and control plane: to the ports asked for, else to those of the last run, else to free ones."""
        remembered = self._remembered_ports()
        clients = Clients()
        for name in ROUTE_NAMES:
            front = Front(name, f"*.{self._account.domain}", self._chains, self._broker, self.record, clients, account)
            undo.push_async_callback(front.stop)
            wanted = self._options.ports.get(name, 0)
            try:
                front.bind(wanted or remembered.get(name, 0))
            except StationError:
                if wanted:
                    raise
                front.bind(0)
            self._fronts[name] = front
        undo.callback(self.time.stop)
        try:
            await self.time.start(remembered.get("ntp", 0))
        except OSError:
            await self.time.start()
        ports = {name: front.port for name, front in self._fronts.items()} | {"ntp": self.time.port}
        if account is not None:
            try:
                await account.start(remembered.get("account", 0))
            except StationError:
                await account.start(0)
            ports["account"] = account.port
            for operation, rate in self._options.limits.items():
                account.throttle.limit(operation, rate)
        if ports != remembered:
            write(self._state / "ports.json", json.dumps(ports).encode())

    def _remembered_ports(self) -> dict[str, int]:
        try:
            ports = json.loads((self._state / "ports.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        whole = isinstance(ports, dict) and all(isinstance(port, int) and 0 < port < 65536 for port in ports.values())
        return ports if whole else {}

    async def stop(self) -> None:
        await self._undo.aclose()

    # -- what it is ----------------------------------------------------------------------------------------------

    def _describe(self, devices: dict[str, dict[str, str]]) -> dict[str, Any]:
        routes = [
            {
                "name": route.name,
                "endpoint": self._account.endpoint(route),
                "host": HOST,
                "port": self._fronts[route.name].port,
                "root": route.root,
            }
            for route in ROUTES
        ]
        return {
            "routes": routes,
            "roots": {name: str(path) for name, path in self._authorities.root_files.items()},
            "pins": {route.root: self._authorities.roots[route.name].sha256 for route in ROUTES},
            "resolve": {f"{route['endpoint']}:{MQTT_TLS_PORT}": f"{HOST}:{route['port']}" for route in routes}
            | {f"{TIME_SERVER}:{NTP_PORT}": f"{HOST}:{self.time.port}"},
            "client_ca": str(self._authorities.client_ca_file),
            "devices": devices,
            "ntp": {"host": HOST, "port": self.time.port},
            "region": self._account.region,
            "broker": self._broker.name,
            "account": self._account_behind.info() if self._account_behind else None,
            "state": str(self._state.folder),
            "pid": os.getpid(),
        }

    def info(self) -> dict[str, Any]:
        """What `twinroot cloud --json` prints; holds paths, no key."""
        return self._info | {"scenario": {name: front.scenario.name for name, front in self._fronts.items()}}

    # -- what can be asked of it ---------------------------------------------------------------------------------

    async def set_scenario(self, route: str, name: str, *, drop: bool) -> None:
        """Let `route` behave as scenario `name`; `drop` ends the connections that stand."""
        scenario: Scenario = find(name)
        front = self._fronts[check_route(route)]
        front.play(scenario)
        if drop:
            await front.drop()
        write(self._state.running, json.dumps(self.info(), indent=1).encode(), 0o600)

    def _issue(self, device: str) -> dict[str, str]:
        certificate, key = self._authorities.issue(device)
        if self._account_behind is not None:
            self._account_behind.issued(device, certificate)
        return {"certificate": str(certificate), "key": str(key)}

    def issue(self, device: str) -> dict[str, str]:
        """The paths of a client certificate and its key for `device`. Raises InputError for what is no thing's name."""
        return self._issue(_device(device))

    @property
    def account(self) -> CloudAccount:
        """Raises StationError when this stand-in has none."""
        if self._account_behind is None:
            raise StationError(
                "cloud-no-account", "This cloud stand-in has no account: boto3 is not installed.", "Install it: pip install 'twinroot[aws]'"
            )
        return self._account_behind

    async def publish(self, topic: str, payload: str) -> None:
        """Send a message from the cloud's side to whoever subscribed to `topic`."""
        await self._watcher.publish(topic, payload.encode())


def _reserved() -> tuple[str, ...]:
    from provisioning.standin.account.topics import FILTERS

    return FILTERS


def _device(name: str) -> str:
    if not _DEVICE.match(name):
        raise InputError("cloud-device", f"'{name}' is not a device name.", "Use letters, digits, ':', '_' and '-', at most 128.")
    return name


def _certificate(path: Path) -> Path:
    """`path`, which holds a certificate. Raises InputError."""
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise InputError("cloud-client-ca", f"{path} holds no certificate that could be read.", "Name a PEM file.") from error
    return path
