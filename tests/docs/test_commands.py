"""Every command in README and docs is run as it stands, on a virtual board; those that cannot be are named here, with what tests them."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from provisioning import starter
from provisioning.cli.main import run
from provisioning.ledger.store import Ledger
from provisioning.link.rehearsed import REHEARSED
from provisioning.migration import yaml_edit
from provisioning.resources import folder
from provisioning.virtual import VirtualBoard
from tests.flash import images
from tests.support.ledger_rows import MACS
from tests.support.ledger_rows import run as bind

ROOT = folder("firmware").parent
_PASTED = "leave-a-root.md"  # whole, into a shell: test_leave_a_root.py
_DOCS = [page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != _PASTED]
PAGES = [ROOT / "README.md", *_DOCS, ROOT / "examples" / "weather-station" / "README.md"]
_COMMAND = re.compile(r"(\.venv/bin/)?(twinroot|make|pipx?|cp|python|aws|while)(?= )")
_PROGRAM = re.compile(r"(?:\.venv/bin/)?twinroot ")

# Commands that are not run here -> why not, or which tests do.
ELSEWHERE = {
    r"make |.*-m pytest": "the tests themselves",
    r"twinroot record ": "tests/hil/test_record.py",
    r"python -m venv": "tests/hil/test_docs.py, with the wheel",
    r"pipx? install": "needs a package index; the wheel's test stands for it",
    r"twinroot update product.yaml --port lg:": "tests/hil/test_labgrid.py",
    r"cp ": "a shell's; what it copies is what the commands below use",
    r"aws iot|while …": "AWS's own tool",
    r"twinroot aws ": "tests/aws",
    r"twinroot trust probe": "live servers: tests/trust/test_probe.py",
    r"\. lab/account.env|twinroot aws endpoint$": "tests/standin/test_account.py",
    r"twinroot cloud|twinroot virtual --state board$": "below, the whole paste; tests/standin/test_process.py",
    r"twinroot (update|verify) bench\.yaml": "below, the whole paste",
    r"twinroot virtual": "tests/virtual/test_docs.py; an emulator of one's own: tests/virtual/test_qemu_engine.py",
    r"twinroot flash PRODUCT --port PORT --(burn-)?efuses": "tests/flash/test_security.py",
    r"twinroot migrate (collect|retire) |twinroot migrate status product.yaml( --devices?( ws-0001)?)?$": "tests/fleet/test_evidence.py",
    r"twinroot sign (new-key|set|rotate|job)": "tests/device/test_sign.py, with a passphrase",
    r"twinroot sign renewal": "tests/device/test_sign_renewal.py, with a passphrase",
    r"twinroot render product.yaml --device ID --out DIR": "the same with a device, in examples/weather-station/README.md",
    r"twinroot ledger (seal |verify --seals)": "tests/ledger; a seal is signed with a passphrase",
    r"twinroot dashboard": "tests/dashboard; it runs until it is stopped",
    r"twinroot sbom .*--known-vulnerabilities": "tests/sbom/test_advisories.py, with a list",
    r"twinroot render product\.(ats-first|back)\.yaml": "tests/fleet/field.py",
    r"twinroot migrate (plan .*(--waves|move)|run|status move|back|end)": "tests/fleet, tests/aws/test_waves.py",
    r"twinroot label ": "tests/job/test_after_pass.py, with a printer",
    r"twinroot support-bundle ": "tests/cli/test_support_bundle.py",
    r"twinroot station PRODUCT --plan": "tests/job/test_throughput.py",
    r"twinroot rescue ": "tests/rescue; a board that is held",
    r"twinroot station .* --slots": "tests/station/test_terminal.py",
    r"twinroot flash product.yaml --port auto --device ws-0001 --new-identity": "tests/flash/test_repeated_flash.py",
}
# The end of a command that is run -> its exit code, where that is not 0.
CODES = {
    "--connect": 1,  # the example's endpoint is nobody's
    "trust list --fail-within 2y": 1,  # what it is for: a root has a date within two years
    "trust list --product product.yaml --fail-within 2y": 1,
    "--mac 24:0a:c4:5e:11:2c": 0,
}


@dataclass(frozen=True)
class Line:
    page: str
    number: int
    text: str
    block: int

    @property
    def command(self) -> str:
        """Without the comment."""
        return re.split(r"\s+#|\s{3,}(?=[^-\s])", self.text)[0].strip()


def lines(page: Path) -> Iterator[Line]:
    fence: str | None = None
    block = 0
    for number, raw in enumerate(page.read_text("utf-8").splitlines(), 1):
        if raw.startswith("```"):
            fence = None if fence is not None else raw[3:].strip()
            block += fence is not None
        elif (fence in ("sh", "") or (fence is None and raw.startswith("    "))) and _COMMAND.match(raw.strip()):
            yield Line(page.name, number, re.sub(r"(?<=\w)  +(?=\S+\.yaml|PRODUCT)", " ", raw.strip()), block)


def is_elsewhere(command: str) -> bool:
    return any(re.match(pattern, command.removeprefix(".venv/bin/")) for pattern in ELSEWHERE)


ALL = {page: list(lines(page)) for page in PAGES}


def test_pages_have_commands_and_every_exception_is_needed() -> None:
    everything = [line.command.removeprefix(".venv/bin/") for page in ALL.values() for line in page]
    assert len(everything) > 80
    for pattern in ELSEWHERE:
        assert any(re.match(pattern, command) for command in everything), pattern
    run_here = [command for command in everything if not is_elsewhere(command)]
    assert len(run_here) > 45 and all(command.startswith("twinroot ") for command in run_here)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product as `init` makes it, with firmware for a blank board."""
    place = tmp_path_factory.mktemp("origin") / "product"
    made = starter.make(place)
    images.board_file(place, images.firmware(size=20_000, seed=1), extends="virtual-esp32")
    yaml_edit.change_file(made.product, {("board",): "board.yaml"})
    shutil.copyfile(made.product, place / "weather-station.yaml")
    return place


@pytest.fixture(scope="module")
def board() -> Iterator[VirtualBoard]:
    with VirtualBoard(paced=False) as board:
        board.snapshot()
        yield board


def fresh(board: VirtualBoard) -> None:
    """The board as it came: MicroPython, and nothing of ours."""
    board.power_off()
    board.restore()
    board.power_on()


def somebody(board: VirtualBoard) -> None:
    """The board is ws-0001, and the product has changed since."""
    product = Path("product.yaml")
    assert run(["update", str(product), "--port", board.port, "--device", "ws-0001"]) == 0
    yaml_edit.change_file(product, {("version",): "2"})


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(not is_elsewhere(line.command) for line in ALL[page])],
    ids=lambda page: page.parent.name + "/" + page.name,
)
def test_the_commands_of_a_page(
    page: Path, origin: Path, board: VirtualBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "product"
    shutil.copytree(origin, here)
    monkeypatch.chdir(here)
    monkeypatch.setenv("TWINROOT_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.setenv("TWINROOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(REHEARSED, board.port)
    (here / "health.jsonl").write_text('{"device": "ws-0001", "last": "ats", "roots": {"AmazonRootCA1": {"good": 1}}, "routes": {}}\n')
    if page.name == "trust.md" or page.name == "README.md":
        yaml_edit.change_file(here / "product.yaml", {("cloud", "phase"): "legacy-only" if page.name == "trust.md" else "legacy-first"})
    if page.parent.name == "weather-station":
        shutil.rmtree(here / "factory")
        shutil.rmtree(here / "devices")
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:  # ws-0002 has a board that is scrapped
        bind(ledger, "a" * 32, MACS[9], ["ws-0002"])
    fresh(board)
    if page.name in ("field.md", "hand-over.md", "renewal.md"):  # boards of the field are somebody already
        somebody(board)
    block = 0
    for line in ALL[page]:
        if is_elsewhere(line.command):
            continue
        if page.name == "README.md" and page.parent == ROOT and line.block != block:
            block = line.block
            fresh(board)
            if "my-station" not in line.command and "doctor" not in line.command:
                somebody(board)
        command = _PROGRAM.sub("", line.command)
        ports = {
            "'/dev/ttyUSB*'": board.port,
            "/dev/ttyUSB0,/dev/ttyUSB1": board.port,
            "/dev/ttyUSB0": board.port,
            "PRODUCT": "product.yaml",
        }
        for told, real in ports.items():
            command = command.replace(told, real)
        command = re.sub(r"--count \d+", "--count 1", command)
        wanted = next((code for end, code in CODES.items() if command.endswith(end)), 0)
        code = run(shlex.split(command))
        said = "".join(capsys.readouterr())
        assert code == wanted, f"{line.page}:{line.number}: {command}\n{said[-1500:]}"


def test_the_paste_of_cloud_md(
    tmp_path: Path, board: VirtualBoard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `twinroot cloud --issue` prints, behind the two lines that the page has for it, is a product; a board connects with it."""
    from provisioning.cli.cloud import _text
    from provisioning.standin import StandIn

    monkeypatch.chdir(tmp_path)
    with StandIn(state=tmp_path / "lab") as cloud:
        certificate, key = cloud.issue("ws-0001")
        info = {**cloud.info, "devices": {"ws-0001": {"certificate": str(certificate), "key": str(key)}}}
        Path("bench.yaml").write_text(f"product: bench\nboard: virtual-esp32\n{_text(info)}\n")
        fresh(board)
        for words in [line.command for line in ALL[ROOT / "docs" / "cloud.md"] if "bench.yaml" in line.command]:
            arguments = shlex.split(words.replace("board/tty", board.port).removeprefix("twinroot "))
            assert run(arguments) == 0, f"{words}\n{''.join(capsys.readouterr())}"
