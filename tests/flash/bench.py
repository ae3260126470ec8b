"""The factory's numbers, measured: `python -m tests.flash.bench [NAME…]`. Each row says what was measured, against what, and the target.

Virtual boards with a paced UART, 1 ms per turn of direction and typical flash timing. Ours goes through the RFC 2217 port with real
auto-reset, wall clock from the start of the process to PASS. The peers (esptool, mpremote, as installed) run in the same session, through
the local port, because RFC 2217 makes esptool slow; what a local port lacks, the reset into the loader and back, they get for nothing.
`remote` has both through RFC 2217.
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
from statistics import median
from typing import Any

from provisioning.flash.rom import RomLoader
from provisioning.link.port import open_port
from provisioning.virtual import VirtualBoard
from provisioning.virtual.nor_flash import FlashTiming
from tests.flash import products

WIRE_BITS = 10  # 8N1
BOARD: dict[str, Any] = {"paced": True, "latency_ms": 1.0, "flash_timing": "typical", "blank": True, "clock": "host"}


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
    settings = {**BOARD, **options}
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


def peers(product: products.Made, board: VirtualBoard, device: str, baud: int | None, *, local: bool) -> float:
    """esptool write-flash, then mpremote cp of the same files: seconds."""
    tree = product.folder / f"tree-{device}"
    if not tree.exists():
        common = [str(product.product), "--device", device]
        for command in (["identity", "make", *common], ["render", *common, "--out", str(tree)]):
            subprocess.run([sys.executable, "-m", "provisioning", *command], check=True, capture_output=True, env=product.environment())
    port = board.pty if local else board.rfc2217
    esptool = [sys.executable, "-m", "esptool", "--chip", "esp32", "--port", port if local else f"{port}?ign_set_control"]
    esptool += ["--baud", str(baud)] if baud else []
    if local:
        enter_loader(board)
        esptool += ["--before", "no-reset", "--after", "no-reset"]
    seconds = timed([*esptool, "write-flash", "0x1000", str(product.firmware)])
    if local:
        board.reset()
    folders = sorted(path for path in tree.iterdir())
    return seconds + timed([sys.executable, "-m", "mpremote", "connect", port, "resume", "fs", "cp", "-r", *map(str, folders), ":/"])


def timed(command: list[str]) -> float:
    """Seconds of a command that must succeed."""
    started = time.monotonic()
    run = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if run.returncode:
        raise SystemExit(run.stdout + run.stderr)
    return time.monotonic() - started


def enter_loader(board: VirtualBoard) -> None:
    """What the auto-reset of a local adapter does."""
    with open_port(board.rfc2217) as wire:
        RomLoader(wire).connect()


def steps(report: dict[str, Any]) -> str:
    """What took how long, for the last column."""
    return ", ".join(f"{step['name']} {step['seconds']:.2f}" for step in report["steps"])


def spread(values: list[float]) -> str:
    return f"{min(values):.2f}-{max(values):.2f} in {len(values)} runs"


def same_rate(folder: Path, runs: int = 3) -> Iterator[Row]:
    """Blank to PASS at 460800: against the peers, against the wire, and once more with another file system."""
    made = products.make(folder / "product", size=1_640_000)
    other = made.changed()
    theirs, blank, again = [], [], []
    report: dict[str, Any] = {}
    for run in range(runs):
        with bench_board(folder / f"peers{run}") as board:
            theirs.append(peers(made, board, "ws-0001", 460_800, local=True))
        with bench_board(folder / f"ours{run}") as board:
            made.forget()
            report = ours(made, board.port, "ws-0001", "--baud", "460800")
            blank.append(report["wall"])
            flash_seconds = nor_seconds(board)
            second = ours(other, board.port, "ws-0001", "--baud", "460800")
            again.append(second["wall"])
    ideal = report["wire"]["deflated"] * WIRE_BITS / 460_800
    ratios = [mine / peer for mine, peer in zip(blank, theirs, strict=True)]
    how = f"{median(blank):.1f} s / {median(theirs):.1f} s on a local port; {spread(ratios)}"
    yield Row("blank to PASS / esptool + mpremote cp, both at 460800", median(ratios), "", "<=", 0.9, how)
    share = spread([seconds / ideal for seconds in blank])
    how = f"{ideal:.1f} s on the wire, beside it {flash_seconds:.1f} s of the flash; {share}; {steps(report)}"
    yield Row("blank to PASS / wire time of the deflated bytes", median(blank) / ideal, "", "<=", 1.25, how)
    ratios = [second / first for second, first in zip(again, blank, strict=True)]
    how = f"{median(again):.1f} s; {spread(ratios)}; {steps(second)}"
    yield Row("only the file system differs / blank", median(ratios), "", "<=", 0.15, how)


def nor_seconds(board: VirtualBoard) -> float:
    """Seconds that the flash itself needed for what was written since the board started, by its data sheet: no write is faster."""
    counters, timing = board.counters(), FlashTiming.named("typical")
    # A block of 64 KB is counted as its 16 sectors, and costs less than so many.
    return float(counters["flash_programs"] * timing.program + counters["flash_erases"] * timing.erase_block / 16)


def own_rates(folder: Path) -> Iterator[Row]:
    """Everybody's defaults: theirs are 115200; ours is found on an adapter that takes 921600."""
    made = products.make(folder / "product", size=1_640_000)
    with bench_board(folder / "b1") as board:
        theirs = peers(made, board, "ws-0002", None, local=True)
    with bench_board(folder / "b2") as board:
        mine = ours(made.at_most(921_600), board.port, "ws-0002")
    ideal = mine["wire"]["deflated"] * WIRE_BITS / mine["wire"]["baud"]
    how = f"{mine['wall']:.1f} s at {mine['wire']['baud']} ({ideal:.1f} s on the wire) / {theirs:.1f} s on a local port; {steps(mine)}"
    yield Row("blank to PASS / their defaults, our rate chosen by itself", mine["wall"] / theirs, "", "<=", 0.5, how)


def remote(folder: Path) -> Iterator[Row]:
    """The same rate again, the peers through RFC 2217, too."""
    made = products.make(folder / "product", size=1_640_000)
    with bench_board(folder / "b1") as board:
        theirs = peers(made, board, "ws-0001", 460_800, local=False)
    with bench_board(folder / "b2") as board:
        mine = ours(made, board.port, "ws-0001", "--baud", "460800")["wall"]
    how = f"{mine:.1f} s / {theirs:.1f} s"
    yield Row("blank to PASS / esptool + mpremote cp, all through RFC 2217", mine / theirs, "", "<=", 0.9, how)


def many(folder: Path, count: int = 16) -> Iterator[Row]:
    """Boards at once against one, and what a board costs this computer."""
    made = products.make(folder / "product", size=330_000, devices=64)
    ports, boards = [], []
    try:
        for number in range(count):
            board = VirtualBoard(state=folder / f"m{number}", **BOARD).start()
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
    from provisioning.bundle.filesystem_image import image
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


BENCHES: dict[str, Callable[[Path], Iterator[Row]]] = {"images": images, "same": same_rate, "own": own_rates, "many": many}
MORE: dict[str, Callable[[Path], Iterator[Row]]] = {"remote": remote}  # only when it is asked for


def main(names: list[str]) -> int:
    missed = 0
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}")
    for name in names or BENCHES:
        with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
            for row in (BENCHES | MORE)[name](Path(temporary)):
                missed += not row.met
                mark = "ok  " if row.met else "MISS"
                print(f"{mark} {row.what:<58} {row.value:8.2f} {row.unit:<12} {row.limit} {row.target:g}   {row.how}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
