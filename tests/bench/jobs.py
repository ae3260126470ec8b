"""Our jobs, each from a state of the board that is always the same: whole commands as processes, and what a device does by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from provisioning.link.port import open_port
from provisioning.link.repl import RawRepl
from tests.bench.board import Board, Cost, process
from tests.bench.product import DEVICE, Products
from tests.support.command import twinroot_command

_MQTT_SECONDS = 30.0


def _update(on: Board, product: Path, rate: int, code: str = "pass") -> None:
    text = process(*twinroot_command("update", product, "--port", on.port, "--device", DEVICE, "--baud", str(rate), "--json"))
    found = json.loads(text)
    if found["code"] != code:
        raise RuntimeError(f"update: {found['code']} instead of {code}: {found['message']}")


def _provisioned(on: Board, products: Products) -> None:
    on.start("provisioned", lambda board: _update(board, products.product, _FILL_RATE))


def _first(on: Board, products: Products, rate: int) -> Cost:
    on.start("blank")
    return on.measured(lambda: _update(on, products.product, rate))


def _unchanged(on: Board, products: Products, rate: int) -> Cost:
    _provisioned(on, products)
    return on.measured(lambda: _update(on, products.product, rate, "unchanged"))


def _verify(on: Board, products: Products, rate: int) -> Cost:
    _provisioned(on, products)
    command = twinroot_command("verify", products.product, "--port", on.port, "--device", DEVICE, "--json")
    return on.measured(lambda: process(*command))


def _other_root(on: Board, products: Products, rate: int) -> Cost:
    _provisioned(on, products)
    return on.measured(lambda: _update(on, products.other_root, rate))


def _import(on: Board, products: Products, rate: int) -> Cost:
    _provisioned(on, products)
    with open_port(on.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        return on.measured(lambda: repl.run("import twinroot"))


def _mqtt(on: Board, products: Products, rate: int) -> Cost:
    on.start("connected", lambda board: _update(board, products.connected, _FILL_RATE))
    with open_port(on.port) as wire:
        repl = RawRepl(wire)
        repl.enter()
        repl.run("import twinroot")
        return on.measured(lambda: repl.run("client = twinroot.mqtt()", _MQTT_SECONDS))


_FILL_RATE = 921600


@dataclass(frozen=True)
class Job:
    """`run` brings the board to where the job starts, and measures it."""

    name: str
    run: Callable[[Board, Products, int], Cost]
    on_wire: bool = True  # its time depends on the rate


JOBS = (
    Job("first update", _first),
    Job("update, nothing changed", _unchanged),
    Job("update, one root changed", _other_root),
    Job("verify", _verify, on_wire=False),
    Job("import twinroot, after a reset", _import, on_wire=False),
    Job("first mqtt(), after that", _mqtt, on_wire=False),
)
