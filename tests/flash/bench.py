"""The factory's numbers, measured: `python -m tests.flash.bench [NAME…]`. Each row says what was measured, against what, and the target.

Virtual boards with a paced UART, 1 ms per turn of direction and typical flash timing, through their RFC 2217 port with real auto-reset; the
peers (esptool, mpremote, as installed) run in the same session on the same board.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.virtual import VirtualBoard

from . import products

WIRE_BITS = 10  # 8N1


@dataclass
class Row:
    """One line of the table. `limit`: "<=" or ">="."""

    what: str
    value: float
    unit: str
    limit: str
    target: float
    how: str

    @property
    def met(self) -> bool:
        return self.value <= self.target if self.limit == "<=" else self.value >= self.target


@contextmanager
def bench_board(folder: Path, baud: int = 2_000_000, **options: Any) -> Iterator[VirtualBoard]:
    """A blank, paced board."""
    settings: dict[str, Any] = {"paced": True, "latency_ms": 1.0, "flash_timing": "typical", "blank": True, "clock": "host", **options}
    with VirtualBoard(state=folder, **settings) as board:
        yield board


def ours(product: products.Made, port: str, device: str, *options: str) -> dict[str, Any]:
    """`twinroot flash`, wall clock included: interpreter start, checks and all."""
    command = [sys.executable, "-m", "provisioning", "flash", str(product.product), "--port", port, "--device", device, "--json", *options]
    started = time.monotonic()
    run = subprocess.run(command, capture_output=True, text=True, env=product.environment(), timeout=900, check=False)
    seconds = time.monotonic() - started
    report: dict[str, Any] = json.loads(run.stdout)
    if report["outcome"] != "pass":
        raise SystemExit(f"flash did not pass: {report['code']}: {report['message']}\n{run.stderr}")
    return {**report, "wall": seconds}


def peers(product: products.Made, port: str, device: str, baud: int | None) -> float:
    """esptool write-flash, then mpremote cp of the same files: seconds."""
    tree = product.folder / f"tree-{device}"
    if not tree.exists():
        common = [str(product.product), "--device", device]
        for command in (["identity", "make", *common], ["render", *common, "--out", str(tree)]):
            subprocess.run([sys.executable, "-m", "provisioning", *command], check=True, capture_output=True, env=product.environment())
    rate = ["--baud", str(baud)] if baud else []
    esptool = [sys.executable, "-m", "esptool", "--chip", "esp32", "--port", f"{port}?ign_set_control", *rate]
    started = time.monotonic()
    run = subprocess.run(
        [*esptool, "write-flash", "0x1000", str(product.firmware)], capture_output=True, text=True, timeout=900, check=False
    )
    if run.returncode:
        raise SystemExit(run.stdout + run.stderr)
    folders = sorted(path for path in tree.iterdir())
    mpremote = [sys.executable, "-m", "mpremote", "connect", port, "resume", "fs", "cp", "-r", *map(str, folders), ":/"]
    run = subprocess.run(mpremote, capture_output=True, text=True, timeout=300, check=False)
    if run.returncode:
        raise SystemExit(run.stdout + run.stderr)
    return time.monotonic() - started


def against_peers(folder: Path) -> Iterator[Row]:
    """Blank to PASS against esptool then mpremote, at the same rate and at everybody's own."""
    made = products.make(folder / "product", size=1_640_000)
    yield from _same_rate(made, folder)
    yield from _own_rates(made, folder)


def _same_rate(made: products.Made, folder: Path) -> Iterator[Row]:
    with bench_board(folder / "b1") as board:
        theirs = peers(made, board.port, "ws-0001", 460_800)
    with bench_board(folder / "b2") as board:
        report = ours(made, board.port, "ws-0001", "--baud", "460800")
        again = ours(made, board.port, "ws-0001", "--baud", "460800")
    wire = report["wire"]
    ideal = wire["deflated"] * WIRE_BITS / 460_800
    steps = ", ".join(f"{step['name']} {step['seconds']:.2f}" for step in report["steps"])
    yield Row(
        "blank to PASS / esptool + mpremote cp, both at 460800",
        report["wall"] / theirs,
        "",
        "<=",
        0.9,
        f"{report['wall']:.1f} s / {theirs:.1f} s",
    )
    yield Row(
        "blank to PASS / wire time of the deflated bytes", report["wall"] / ideal, "", "<=", 1.25, f"{ideal:.1f} s on the wire; {steps}"
    )
    steps = ", ".join(f"{step['name']} {step['seconds']:.2f}" for step in again["steps"])
    yield Row("firmware there already / blank", again["wall"] / report["wall"], "", "<=", 0.15, f"{again['wall']:.1f} s; {steps}")


def _own_rates(made: products.Made, folder: Path) -> Iterator[Row]:
    with bench_board(folder / "b3") as board:
        theirs = peers(made, board.port, "ws-0002", None)
    with bench_board(folder / "b4") as board:
        ours_at = ours(made.at_most(921_600), board.port, "ws-0002")
    yield Row(
        "blank to PASS / their defaults, our rate chosen by itself",
        ours_at["wall"] / theirs,
        "",
        "<=",
        0.5,
        f"{ours_at['wall']:.1f} s at {ours_at['wire']['baud']} / {theirs:.1f} s",
    )


def many(folder: Path, count: int = 16) -> Iterator[Row]:
    """Boards at once against one, and what a board costs this computer."""
    made = products.make(folder / "product", size=330_000, devices=64)
    ports, boards = [], []
    try:
        for number in range(count):
            board = VirtualBoard(state=folder / f"m{number}", paced=True, latency_ms=1.0, blank=True, clock="host").start()
            boards.append(board)
            ports.append(board.port)
        one, cpu_one = _station(made, ports[:1])
        boards[0].power_off()
        boards[0].load_flash(0, b"\xff" * (4 << 20))
        boards[0].power_on()
        made.forget()
        all_of_them, cpu = _station(made, ports)
    finally:
        for board in boards:
            board.close()
    wrote = one["rows"][0]
    writing = next(step["seconds"] for step in wrote["steps"] if step["name"] == "write")
    yield Row(
        f"{count} boards at once / one board's throughput, 115200",
        count * one["seconds"] / all_of_them["seconds"],
        "times",
        ">=",
        14 * count / 16,
        f"{one['seconds']:.1f} s for one, {all_of_them['seconds']:.1f} s for {count}; {cpu:.1f} s of CPU on this side; slowest steps "
        + ", ".join(f"{name} {seconds:.1f}" for name, seconds in _slowest(all_of_them).items()),
    )
    more = (cpu - cpu_one) / (count - 1)
    yield Row(
        "host CPU of one more board, 115200, over the time of its write",
        100 * more / writing,
        "% of a core",
        "<=",
        6,
        f"{more:.2f} s of CPU from start to PASS, {writing:.1f} s of write",
    )


def _slowest(result: dict[str, Any]) -> dict[str, float]:
    steps: dict[str, float] = {}
    for row in result["rows"]:
        for step in row["steps"]:
            steps[step["name"]] = max(steps.get(step["name"], 0.0), step["seconds"])
    return steps


def _station(made: products.Made, ports: list[str]) -> tuple[dict[str, Any], float]:
    """(result, CPU seconds of the host's processes)."""
    command = [
        sys.executable,
        "-m",
        "provisioning",
        "station",
        str(made.product),
        "--devices",
        str(made.devices),
        "--json",
        "--baud",
        "115200",
    ]
    command += [f"--port={port}" for port in ports]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(command, capture_output=True, text=True, env=made.environment(), timeout=1800, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    result: dict[str, Any] = json.loads(run.stdout)
    if result["outcome"] != "pass":
        failed = [row for row in result["rows"] if row["outcome"] != "pass"]
        raise SystemExit(f"{len(failed)} boards failed: {failed[0]['code']}: {failed[0]['message']}\n{run.stderr[-2000:]}")
    return result, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def images(folder: Path, count: int = 200) -> Iterator[Row]:
    """File-system images of different devices, keys and certificates made before."""
    from provisioning.bundle.bundle import build
    from provisioning.bundle.image import image
    from provisioning.config.device import load_devices
    from provisioning.config.load import load_product
    from provisioning.identity.factory import authority, ensure_identity

    made = products.make(folder / "product", size=100_000, devices=count)
    product = load_product(made.product)
    devices = load_devices(made.devices)
    signer = authority(product)
    for device in devices:
        ensure_identity(product, device, signer)
    build(product, devices[0])
    started, cpu = time.monotonic(), time.process_time()
    different = {image(build(product, device), product.board).data for device in devices}
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    if len(different) != count:
        raise SystemExit("two devices have the same image")
    yield Row(
        f"file-system images for {count} devices", count / cpu, "a CPU s", ">=", 100, f"{cpu:.2f} s of CPU, {seconds:.2f} s on the clock"
    )


BENCHES: dict[str, Callable[[Path], Iterator[Row]]] = {"images": images, "peers": against_peers, "many": many}


def main(names: list[str]) -> int:
    missed = 0
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}")
    for name in names or BENCHES:
        with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
            for row in BENCHES[name](Path(temporary)):
                missed += not row.met
                mark = "ok  " if row.met else "MISS"
                print(f"{mark} {row.what:<58} {row.value:8.2f} {row.unit:<12} {row.limit} {row.target:g}   {row.how}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
