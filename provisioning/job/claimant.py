"""Which device a board in its loader may become: what it says, what the ledger says, what the CSV says, and what is on this computer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.identity import factory
from provisioning.job.allow import mac_of
from provisioning.job.assign import NotThatDevice, none_left, scan_needed
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

        # A row with a MAC of its own is for that board only, and that board gets no other.
        own = [device.id for device in self.devices.values() if mac_of(device) == self.mac]
        candidates = own or [device.id for device in self.devices.values() if mac_of(device) is None]
        if held is None:
            candidates = [name for name in candidates if len(candidates) == 1 or self._is_free(name)]
        elif self._is_meant(held, own):
            candidates = [self.devices.setdefault(held.device, held.unit).id]
        if not candidates:
            raise none_left(len(self.devices))
        if self.was is None and len(candidates) > 1:
            self.refuse_unscanned()
        leave = may_claim() if self.was is None and len(candidates) > 1 else 0
        return self.devices[claims.claim(self.ledger, attempt, self.mac, candidates, fields, leave)]

    def refuse_unscanned(self) -> None:
        """Raises InputError where the first free device would be given to a board of a product whose labels are scanned."""
        if self.product.scan is not None and len(self.devices) > 1:
            raise scan_needed()

    def _is_meant(self, held: OnBoard, own: Sequence[str]) -> bool:
        """Whether the board may stay the device that it says it is; False where the ledger knows it, too, and is to refuse it. Raises
        InputError."""
        if (held.device in own) if own else (held.device in self.devices or not self.options.only):
            return True
        if self.was is not None:
            return False
        raise NotThatDevice(
            "other-device",
            f"The board {self.mac} on {self.port} is {held.device}, and {(own or [*self.devices])[0]} is meant here.",
            "Nothing was written. Take another board: one that was delivered stays who it is.",
        )

    def _is_free(self, name: str) -> bool:
        """Whether nothing here says that the device is a board already: a certificate without its key is on a board, whatever the ledger
        knows. One that is this board's by the ledger, or was released, is not judged here."""
        from provisioning.ledger import claims

        if self.was == name or not factory.is_spent(self.product, self.devices[name]):
            return True
        return factory.fingerprint_here(self.product, self.devices[name]) in claims.retired(self.ledger, name)
