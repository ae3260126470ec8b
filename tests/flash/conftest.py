"""What tests of flashing share: a product with places of its own, and a blank board. A file that needs another kind defines its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.virtual import VirtualBoard
from tests.flash import products


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> products.Made:
    return products.at_home(products.make(tmp_path / "product"), monkeypatch)


@pytest.fixture
def board() -> Iterator[VirtualBoard]:
    with VirtualBoard(paced=False, blank=True) as running:
        yield running
