"""What all boards of one product share in a flash run, made and checked before a port is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from provisioning.bundle.bundle import build
from provisioning.bundle.space import check_space
from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.errors import FileMissing
from provisioning.flash import firmware, partition
from provisioning.flash.firmware import Firmware
from provisioning.identity import factory
from provisioning.job import after_pass
from provisioning.job.board_identity import has_files

if TYPE_CHECKING:
    from provisioning.identity.signer import Authority


@dataclass(frozen=True)
class FlashPlan:
    """What all boards of a product share: the checked firmware, and the partition that its table says."""

    product: Product
    firmware: Firmware
    partition: partition.Partition
    authority: Authority | None = None  # the factory CA, when the product has one

    @classmethod
    def of(cls, product: Product) -> FlashPlan:
        """Load and check the firmware. Raises InputError, StationError for a download."""
        after_pass.check(product)
        loaded = firmware.load(product.board)
        place = firmware.file_system(product.board, loaded)
        factory.check_pin(product)
        return cls(_with_partition(product, place), loaded, place, _authority(product))

    def on(self, flash: int | None) -> FlashPlan:
        """For a chip with so many bytes of flash: firmware that makes its own file system gives it all that is left, to the last block."""
        if flash is None or not firmware.makes_its_own(self.product.board, self.firmware):
            return self
        place = firmware.file_system(self.product.board, self.firmware, flash)
        return replace(self, product=_with_partition(self.product, place), partition=place)

    @property
    def end(self) -> int:
        """Bytes of flash that are needed."""
        return max(self.firmware.offset + self.firmware.size, self.partition.offset + self.partition.size)


def _authority(product: Product) -> Authority | None:
    """None, too, where its files are not here: only a board without an identity needs them, and is refused then."""
    try:
        return factory.authority(product)
    except FileMissing:
        return None


def _with_partition(product: Product, place: partition.Partition) -> Product:
    """The table in the image decides where the file system lies, not the board file."""
    own = product.board.partition.model_copy(update={"offset": place.offset, "size": place.size})
    return replace(product, board=product.board.model_copy(update={"partition": own}))


@dataclass(frozen=True)
class FlashOptions:
    """How a run differs from the default. `allowed`: MACs; None for every board. `baud`: a fixed rate. `only`: whether a board that is
    none of the devices is refused. `new_identity`: whether a board that has an identity gets a certificate and a key all the same."""

    allowed: frozenset[str] | None = None
    baud: int | None = None
    operator: str | None = None
    only: bool = True
    new_identity: bool = False


def one_of(plan: FlashPlan, device: Device) -> None:
    """What is wrong with this device's files, before a port is opened. Raises InputError."""
    if plan.product.identity.issue is not None or not has_files(plan.product, device):
        return  # they are made once the board is known, or are on it
    check_space(plan.product, build(plan.product, device))
