"""The file-system image: MicroPython itself reads it, only used blocks travel, and it is quick."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provisioning.bundle.bundle import Bundle, build
from provisioning.bundle.filesystem_image import FilesystemImage, image
from provisioning.config.board_type import BoardType
from provisioning.config.device import single_device
from provisioning.config.load import load_board, load_product
from provisioning.errors import InputError
from tests.support.littlefs_files import read_back
from tests.support.old_littlefs import worn_metadata
from tests.support.product_files import PRODUCT, write_identity, write_product

MICROPYTHON = Path(sys.executable).with_name("micropython")

# Takes the image into RAM, gives up the host's files, then mounts the RAM: nothing of the host can be reached from then on.
READER = """
import vfs, json, hashlib, binascii, os
with open("image.bin", "rb") as f:
    memory = bytearray(f.read())
vfs.umount("/")
class Ram:
    def readblocks(self, n, buf, off=0):
        start = n * 4096 + off
        buf[:] = memory[start:start + len(buf)]
    def writeblocks(self, n, buf, off=0):
        start = n * 4096 + off
        memory[start:start + len(buf)] = buf
    def ioctl(self, op, arg):
        if op == 4: return len(memory) // 4096
        if op == 5: return 4096
        if op == 6: memory[arg * 4096:arg * 4096 + 4096] = b"\\xff" * 4096
        return 0
vfs.mount(vfs.VfsLfs2(Ram()), "/")
found = {}
def walk(folder):
    for entry in os.ilistdir(folder):
        path = folder + "/" + entry[0]
        if entry[1] == 0x4000:
            walk(path)
        else:
            with open(path, "rb") as f:
                found[path] = binascii.hexlify(hashlib.sha256(f.read()).digest()).decode()
walk("")
with open("/trust/active.new", "w") as f:
    f.write("9")
os.rename("/trust/active.new", "/trust/active")
print(json.dumps([found, open("/trust/active").read()]))
"""


def bundle(folder: Path, device: str = "ws-0001", more: str = "") -> tuple[Bundle, BoardType]:
    write_identity(folder, device)
    product = load_product(write_product(folder, more=more))
    return build(product, single_device(device)), product.board


def only_pieces(made: FilesystemImage, gap: int = 0) -> bytes:
    """What a flash chip full of old data holds after only the pieces were written."""
    memory = bytearray(b"\xa5") * len(made.data)
    for offset, content in made.pieces(gap):
        memory[offset : offset + len(content)] = content
    return bytes(memory)


@pytest.mark.skipif(not MICROPYTHON.exists(), reason="no MicroPython for this system (extra 'virtual')")
@pytest.mark.parametrize(("version", "boot"), [("2.0", 129), ("2.1", 129), ("2.0", 300)])
def test_micropython_reads_and_writes_it(tmp_path: Path, version: str, boot: int) -> None:
    (tmp_path / "mine.yaml").write_text(f"extends: esp32-generic\nlittlefs: {{version: '{version}'}}\n")
    # Sizes around the limit of what littlefs keeps inside a folder's metadata.
    program = b"#" * (boot - 1) + b"\n"
    (tmp_path / "boot.py").write_bytes(program)
    (tmp_path / "main.py").write_bytes(b"#" * 128)
    write_identity(tmp_path, "ws-0001")
    text = PRODUCT.replace("esp32-generic", "mine.yaml")
    product = load_product(write_product(tmp_path, text, "app: {main: main.py, boot: boot.py}\n"))
    made = build(product, single_device("ws-0001"))
    jail = tmp_path / "jail"
    jail.mkdir()
    data = image(made, product.board).data
    assert data.index(program) % product.board.littlefs.block_size == 0, "a file larger than MicroPython's cache has a block of its own"
    (jail / "image.bin").write_bytes(only_pieces(image(made, product.board)))
    (jail / "read.py").write_text(READER)
    done = subprocess.run([MICROPYTHON, "-X", "heapsize=16m", "read.py"], cwd=jail, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found, active = json.loads(done.stdout)
    assert found == {path: hashlib.sha256(content).hexdigest() for path, content in made.tree().items()}
    assert active == "9"


def test_on_disk_version(tmp_path: Path) -> None:
    made, board = bundle(tmp_path)
    # littlefs SPEC.md: the superblock's inline struct begins with the version, little-endian, after the magic "littlefs".
    data = image(made, board).data
    at = data.index(b"littlefs") + 8 + 4
    assert data[at : at + 4] == b"\x00\x00\x02\x00"


def test_deterministic_and_complete(tmp_path: Path) -> None:
    made, board = bundle(tmp_path)
    first, second = image(made, board), image(made, board)
    assert first == second
    assert len(first.data) == board.partition.size
    assert read_back(first.data, board) == made.tree()


@pytest.mark.parametrize("gap", [0, 1, 1000])
def test_only_used_blocks_travel(tmp_path: Path, gap: int) -> None:
    made, board = bundle(tmp_path)
    whole = image(made, board)
    assert {0, 1} <= set(whole.used)
    assert len(whole.used) * whole.block_size < 200_000
    for block in set(range(len(whole.data) // 4096)) - set(whole.used):
        assert whole.data[block * 4096 : block * 4096 + 4096].count(0xFF) == 4096
    assert read_back(only_pieces(whole, gap), board) == made.tree()
    assert len(whole.pieces(1000)) == 1


def test_with_a_former_set_before_it(tmp_path: Path) -> None:
    old, board = bundle(tmp_path)
    new, _ = bundle(tmp_path, more="version: 2\n")
    files = read_back(image(new, board, previous=old).data, board)
    assert files["/trust/active"] == b"2"
    assert files["/trust/1/set.json"] == old.trust["set.json"]
    assert files["/trust/2/set.json"] == new.trust["set.json"]


def test_what_does_not_fit_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_bytes(b"#" * 100_000)
    made, board = bundle(tmp_path, more="app: {main: main.py}\n")
    small = board.model_copy(update={"partition": board.partition.model_copy(update={"size": 0x10000})})
    with pytest.raises(InputError, match="do not fit partition 'vfs'"):
        image(made, small)


def test_a_hundred_images_a_second(tmp_path: Path) -> None:
    # A batch of 200 on one core: CPU time, because other tests share this machine.
    write_identity(tmp_path, "ws-0001")
    product = load_product(write_product(tmp_path))
    devices = [single_device("ws-0001")] * 200
    began = time.process_time()
    for device in devices:
        image(build(product, device), product.board)
    per_second = len(devices) / (time.process_time() - began)
    assert per_second >= 100, f"{per_second:.0f} images a second"


@pytest.mark.parametrize("name", ["esp32-generic", "esp32-s3"])
def test_every_size_of_partition(tmp_path: Path, name: str) -> None:
    made, _ = bundle(tmp_path)
    board = load_board(name)
    big = board.model_copy(update={"partition": board.partition.model_copy(update={"size": 0xE00000})})
    assert read_back(image(made, big).data, big) == made.tree()


@pytest.mark.parametrize("gap", [0, 2])
def test_an_older_file_system_under_it_never_shows(tmp_path: Path, gap: int) -> None:
    """littlefs writes one half of a metadata pair, reads both, and believes the higher revision. So the flash is filled with metadata of
    high revisions, each old folder at each place in turn, and only the pieces are written over it."""
    made, board = bundle(tmp_path)
    whole = image(made, board)
    stale = worn_metadata(board)
    count = len(whole.data) // 4096
    for turn in range(len(stale)):
        memory = bytearray(b"".join(stale[(block + turn) % len(stale)] for block in range(count)))
        for offset, content in whole.pieces(gap):
            memory[offset : offset + len(content)] = content
        assert read_back(bytes(memory), board) == made.tree()
    # The test bites: with the written blocks alone, the old file system comes through.
    written = [block for block in whole.used if whole.data[block * 4096 : block * 4096 + 4096].count(0xFF) != 4096]
    assert set(written) < set(whole.used)
    memory = bytearray(b"".join(stale[block % len(stale)] for block in range(count)))
    for block in written:
        memory[block * 4096 : block * 4096 + 4096] = whole.data[block * 4096 : block * 4096 + 4096]
    assert _files_or_none(bytes(memory), board) != made.tree()


def _files_or_none(data: bytes, board: BoardType) -> dict[str, bytes] | None:
    from littlefs import LittleFSError

    try:
        return read_back(data, board)
    except LittleFSError:
        return None
