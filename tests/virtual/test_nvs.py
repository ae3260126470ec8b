"""NVS lives in the flash: it survives what flash survives, and a power cut leaves the old or the new value."""

from __future__ import annotations

import pytest

from provisioning.virtual import partition
from provisioning.virtual.nor_flash import SECTOR, NorFlash, PowerCutError
from provisioning.virtual.nvs import NOT_ENOUGH_SPACE, NOT_FOUND, NOT_INITIALIZED, Nvs, NvsError
from tests.virtual.board_io import repl

SIZE = 1 << 22
WRITE = "import esp32\nn = esp32.NVS('app')\nn.set_i32('count', 7)\nn.set_blob('b', b'xyz')\nn.commit()"
READ = "import esp32\nn = esp32.NVS('app')\nb = bytearray(3)\nn.get_blob('b', b)\nprint(n.get_i32('count'), b)"
KEPT = "7 bytearray(b'xyz')\r\n"


@pytest.fixture
def flash(tmp_path):
    flash = NorFlash(tmp_path / "flash.bin", SIZE)
    flash.load(partition.encode(partition.standard(SIZE)), partition.TABLE_OFFSET)
    yield flash
    flash.close()


def status(call, *arguments):
    with pytest.raises(NvsError) as caught:
        call(*arguments)
    return caught.value.status


def test_values_are_set_changed_and_erased_over_many_rewrites(flash):
    nvs = Nvs(flash)
    assert status(nvs.get, b"a") == NOT_FOUND
    for i in range(2000):  # more than a half holds: it is copied several times
        nvs.put(b"a", b"value %d" % i)
        nvs.put(b"k%d" % (i % 50), bytes([i % 256]) * (i % 60))
    nvs.put(b"k7", None)
    assert Nvs(flash).get(b"a") == b"value 1999"
    assert status(nvs.get, b"k7") == NOT_FOUND
    assert nvs.get(b"k8") == bytes([1958 % 256]) * (1958 % 60)
    assert max(flash.counters.erases_per_block) < 0xF000 // SECTOR


def test_too_much_is_refused_and_nothing_is_lost(flash):
    nvs = Nvs(flash)
    nvs.put(b"a", b"1")
    assert status(nvs.put, b"big", bytes(4 * SECTOR)) == NOT_ENOUGH_SPACE
    assert nvs.get(b"a") == b"1"


def test_without_a_partition_there_is_none(flash):
    flash.load(b"\xff" * partition.TABLE_SIZE, partition.TABLE_OFFSET)
    assert status(Nvs(flash).get, b"a") == NOT_INITIALIZED


def test_a_power_cut_at_each_operation_leaves_old_or_new(flash):
    nvs = Nvs(flash)
    nvs.put(b"other", b"stays")
    nvs.put(b"a", b"0")
    for i in range(1500):
        old = nvs.get(b"a")
        new = b"%d" % i * (1 + i % 9)
        # Every few writes copy the half: cuts fall into erases and heads as well.
        flash.cut_after = i % 7
        flash.tear.seed(i)
        try:
            nvs.put(b"a", new)
        except PowerCutError:
            assert nvs.get(b"a") in (old, new)
        else:
            assert nvs.get(b"a") == new
        flash.cut_after = None
        assert nvs.get(b"other") == b"stays"


def test_nvs_survives_the_plug_and_sigkill_and_goes_with_an_erase(make_virtual_board, tmp_path):
    board = make_virtual_board(paced=False, state=tmp_path / "s")
    link = repl(board.pty)
    link.run(WRITE)
    link.close()
    board.power_off()
    board.power_on()
    link = repl(board.pty)
    assert link.run(READ) == KEPT
    link.close()
    board.kill()
    board.restart()
    link = repl(board.pty)
    assert link.run(READ) == KEPT
    link.close()
    board.power_off()
    board.load_flash(0x9000, b"\xff" * 0x6000)
    board.power_on()
    link = repl(board.pty)
    assert "OSError: (-4354, 'ESP_ERR_NVS_NOT_FOUND')" in link.error(READ)
    link.close()
