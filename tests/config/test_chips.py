"""A chip is one file: whatever names chips asks the table, and a chip that is known is usable or says why it is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provisioning import chips
from provisioning.chips import CHIPS
from provisioning.job.selftest import chip_of

ROOT = Path(chips.__file__).parents[1]


@pytest.mark.parametrize("chip", CHIPS.values(), ids=list(CHIPS))
def test_a_chip_is_usable_or_says_why_not(chip: chips.Chip) -> None:
    assert bool(chip.refused) == (chip.name not in chips.USABLE)
    assert chip.refused or chip.virtual, f"{chip.name} can be provisioned and not be tried"
    assert chip_of(chip.machine) == chip.name


def test_the_rom_tells_each_chip_from_the_others() -> None:
    ids = [chip.image_id for chip in CHIPS.values()]
    assert len(set(ids)) == len(ids)
    magics = [chip.magic for chip in chips.NAMED_BY_MAGIC]
    assert len(set(magics)) == len(magics) and sum(chip.security_info for chip in chips.NAMED_BY_MAGIC) == 1


def test_no_other_table_of_chips() -> None:
    """A row `"esp32…": value` outside the chips' folder is a second table; QEMU's machines are facts of QEMU."""
    row = re.compile(r"""["']esp32\w*["']\s*:\s*\S""")
    found = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in ROOT.rglob("*.py")
        if file.parent.name not in ("chips", "qemu")
        for line in file.read_text("utf-8").splitlines()
        if row.search(line)
    ]
    assert not found


def test_an_esp32_h2_is_named_with_the_reason(tmp_path: Path) -> None:
    from provisioning.config.load import load_board
    from provisioning.errors import InputError

    file = tmp_path / "h2.yaml"
    file.write_text("extends: esp32-c6\nchip: esp32h2\n", "utf-8")
    with pytest.raises(InputError, match="it has no Wi-Fi"):
        load_board(file)
