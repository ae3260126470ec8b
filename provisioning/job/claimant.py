"""Which device a board in its loader may become: what it says, what the ledger says, what the CSV says, and what is on this computer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.identity import factory
from provisioning.job.assign import FoundBoard, candidates, none_left, scan_needed
from provisioning.job.plan import FlashOptions

if TYPE_CHECKING:
    from provisioning.identity.on_board import OnBoard
    from provisioning.ledger.store import Ledger


MayClaim = Callable[[], int]  # waits for this board's turn; for how many other boards a free device has to be left


def first() -> int:
    """The turn of a board that is alone."""
    return 0


class Claimant:
    """A board with the MAC `mac` on `port`. `was`: the device that the ledger binds it to, before this attempt."""

    def __init__(self, product: Product, devices: dict[str, Device], options: FlashOptions, ledger: Ledger, mac: str, port: str) -> None:
        from provisioning.ledger import claims

        self.product = product
        self.devices = devices
        self.options = options
        self.ledger = ledger
        self.mac = mac
        self.port = port
        bound = ledger.read(lambda connection: claims.device_of(connection, mac))
        self.was = bound.device if bound else None

    def can_be_made_again(self) -> bool:
        """Whether the ledger knows the board as a device whose key is here, so that nothing on it is needed."""
        device = self.devices.get(self.was or "")
        return self.options.new_identity or (device is not None and factory.can_make(self.product, device))

    def is_released(self) -> bool:
        """Whether a person freed the board: what it holds is nobody's any more."""
        from provisioning.ledger import claims

        return self.was is None and claims.is_released(self.ledger, self.mac)

    def claim(self, attempt: str, held: OnBoard | None, fields: Mapping[str, Any], may_claim: MayClaim = first) -> Device:
        """The device, promised to the board in the ledger: the one that it is (`held`), else the one that it was, else the first free one
        when it is its turn.

        Raises InputError when there is none, or the board is one that is not meant.
        """
        from provisioning.ledger import claims

        board = FoundBoard(self.port, self.mac, held.device if held else None)
        names = candidates(board, self.devices.values(), self.was, self.options.only)
        if held is None:
            names = names if len(names) == 1 else self._not_on_a_board(names)
        elif held.device in names:
            self.devices.setdefault(held.device, held.unit)
        if not names:
            raise none_left(len(self.devices))
        if self.was is None and len(names) > 1:
            self.refuse_unscanned()
        leave = may_claim() if self.was is None and len(names) > 1 else 0
        return self.devices[claims.claim(self.ledger, attempt, self.mac, names, fields, leave)]

    def refuse_unscanned(self) -> None:
        """Raises InputError where the first free device would be given to a board of a product whose labels are scanned."""
        if self.product.scan is not None and len(self.devices) > 1:
            raise scan_needed()

    def _not_on_a_board(self, names: Sequence[str]) -> list[str]:
        """Those of which nothing here says that they are a board already: a certificate without its key is on a board, whatever the ledger
        knows. One that is this board's by the ledger, or was released, is not refused here."""
        from provisioning.ledger import claims

        spent = [name for name in names if name != self.was and factory.is_spent(self.product, self.devices[name])]
        freed = claims.released(self.ledger, spent)
        gone = {name for name in spent if name not in freed or not self._is_retired(name)}
        return [name for name in names if name not in gone]

    def _is_retired(self, name: str) -> bool:
        """Whether the certificate that is here was the one of a board that was released."""
        from provisioning.ledger import claims

        return factory.fingerprint_here(self.product, self.devices[name]) in claims.retired(self.ledger, name)
