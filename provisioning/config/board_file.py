"""The keys of a board file, as people write them; board.py is what becomes of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from provisioning.chips import CHIPS, ENCRYPTED, REFUSED, USABLE
from provisioning.config.nearest import did_you_mean
from provisioning.config.sizes import APP_ALIGNMENT, FIRST_APP, SECTOR, megabytes
from provisioning.config.validate import BlockModel, number_from_env, problem


def _known_chip(value: str) -> str:
    word = value.lower().replace("-", "")
    if word in REFUSED:
        raise problem(f"found {value!r}, and a board with this chip is refused: {REFUSED[word]}", "Use an ESP32 with Wi-Fi.")
    if value not in USABLE:
        expected = ", ".join(USABLE)
        raise problem(f"found {value[:40]!r}, expected one of {expected}", did_you_mean(value, USABLE))
    return value


def _sector_aligned(value: int) -> int:
    if value % SECTOR:
        raise problem(f"found 0x{value:x}, expected a multiple of 0x1000 (one flash sector)")
    return value


def _app_aligned(value: int) -> int:
    if value % APP_ALIGNMENT:
        raise problem(f"found 0x{value:x}, expected a multiple of 0x10000 (applications lie at whole 64 KB)")
    return value


# Bounds come before the validator, so that they reach the JSON Schema.
_ENV = BeforeValidator(number_from_env)
Rate = Annotated[int, Field(ge=9600, le=6_000_000), _ENV]
Bytes = Annotated[int, Field(ge=8192, le=0x8000000), _ENV]
Address = Annotated[int, Field(ge=0, le=0x8000000), AfterValidator(_sector_aligned), _ENV]
Size = Annotated[int, Field(ge=16 * SECTOR, le=0x8000000), AfterValidator(_sector_aligned), _ENV]
SlotSize = Annotated[int, Field(ge=APP_ALIGNMENT, le=0x1000000), AfterValidator(_app_aligned), _ENV]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]
UsbId = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$")]


class Baud(BlockModel):
    """Rates in bits per second."""

    repl: Rate = Field(default=115200, description="the rate of the MicroPython prompt, a number of bits per second")
    max: Rate = Field(description="the highest rate of the board's USB bridge, a number of bits per second")
    rom: Rate | None = Field(
        default=None, description="the first rate to try with the ROM loader, a number of bits per second; without, `max`"
    )


class FirmwareKeys(BlockModel):
    """The MicroPython image of this board; without `file` or `url` the board must have MicroPython already."""

    file: str | None = Field(default=None, description="path of the firmware image, relative to this file")
    url: str | None = Field(default=None, pattern=r"^https?://\S+$", description="an http(s) address to download the image from once")
    sha256: Sha256 | None = Field(default=None, description="SHA-256 of the image, 64 hex digits")
    version: str | None = Field(
        default=None, pattern=r"^\d+\.\d+(\.\d+)?\S*$", description="MicroPython's version, such as '1.27.0', in quotes"
    )
    offset: Address = Field(description="flash address of the image: 0x1000 on esp32 and esp32s2, 0x0 on newer chips, 0x2000 on esp32c5")
    page: str | None = Field(default=None, pattern=r"^https?://\S+$", description="the web page where people find the image")

    @model_validator(mode="after")
    def _complete(self) -> FirmwareKeys:
        if self.file and self.url:
            raise problem("found both 'file' and 'url', expected one of them")
        for name in ("sha256", "version"):
            if (self.file or self.url) and getattr(self, name) is None:
                raise problem(f"names an image without its {name}", f"Add `{name}: …`; `sha256sum FILE` prints the hash.")
        return self


class PartitionKeys(BlockModel):
    """The flash partition of the file system, as in the partition table."""

    name: str = Field(default="vfs", pattern=r"^[\w-]{1,16}$", description="the label in the partition table, 'vfs' in stock firmware")
    offset: Address = Field(description="flash address, a multiple of 0x1000")
    size: Size = Field(description="size in bytes, a multiple of 0x1000, at least 0x10000")


class Slots(BlockModel):
    """Two places for firmware, ota_0 and ota_1 in the partition table with otadata before them, as in MicroPython's OTA builds."""

    size: SlotSize = Field(description="bytes of each, one behind the other from 0x10000 on; a multiple of 0x10000")


class Littlefs(BlockModel):
    """How the file system is made."""

    version: Literal["2.0", "2.1"] = Field(default="2.0", description="on-disk version in quotes; MicroPython before 1.23 reads only '2.0'")
    block_size: Literal[4096] = Field(default=4096, description="4096 bytes, as MicroPython's ESP32 port has it")


class Heap(BlockModel):
    """Memory in bytes."""

    python: Bytes = Field(description="MicroPython's first heap at boot, in bytes")
    tls_session: Bytes = Field(default=43008, description="what one TLS session takes outside Python's heap, in bytes")


class Reset(BlockModel):
    """How the ROM loader is entered and left, in esptool's words."""

    lines: Literal["asserted", "released"] = Field(
        default="asserted", description="how DTR and RTS stand while a port is open: released where they lead straight to IO0 and EN"
    )
    before: Literal["default-reset", "usb-reset", "no-reset"] = Field(default="default-reset", description="esptool's --before")
    after: Literal["hard-reset", "watchdog-reset", "no-reset"] = Field(default="hard-reset", description="esptool's --after")


def _own_key(value: str | None) -> str | None:
    if value is not None and "{mac}" not in value:
        raise problem(f"found {value[:60]!r}, expected a path with {{mac}} in it: chips must not share a key", "For example keys/{mac}.bin")
    return value


KeyFile = Annotated[str, AfterValidator(_own_key)]


class Security(BlockModel):
    """What `flash --burn-efuses` burns into the chip, for ever. Without that option nothing of it happens."""

    flash_encryption: Literal["development", "release"] | None = Field(
        default=None, description="development (the loader still takes plain data a few times) or release (never again)"
    )
    flash_key: KeyFile | None = Field(
        default=None, description="file of the flash key, 32 bytes, with {mac} in its path; made when it is not there"
    )
    nvs_key: KeyFile | None = Field(
        default=None, description="file of the HMAC key for NVS encryption, 32 bytes, with {mac} in its path; not on esp32"
    )
    secure_boot: bool = Field(default=False, description="only false: secure boot needs firmware that is signed, see docs/factory.md")

    @field_validator("secure_boot")
    @classmethod
    def _never(cls, value: bool) -> bool:
        if value:
            raise problem(
                "found true, and stock MicroPython is not signed: the chip would start nothing any more",
                "Sign a firmware of your own and burn secure boot with espefuse; docs/factory.md says what that takes.",
            )
        return value

    @model_validator(mode="after")
    def _complete(self) -> Security:
        if self.flash_encryption and not self.flash_key:
            raise problem("asks for flash encryption without a flash_key", "Add `flash_key: keys/{mac}-flash.bin`.")
        if self.flash_key and not self.flash_encryption:
            raise problem("names a flash_key without flash_encryption", "Add `flash_encryption: development`, or leave the key out.")
        return self


class BoardFile(BlockModel):
    """The keys of a board file, after `extends` has been followed."""

    extends: str | None = Field(default=None, description="another board: a name in boards/ or a path; this file's keys go over its keys")
    description: str = Field(default="", description="one line for people")
    chip: Annotated[str, AfterValidator(_known_chip)] = Field(
        description="the chip as esptool names it, such as esp32s3", json_schema_extra={"enum": list(USABLE)}
    )
    min_revision: str = Field(default="v0.0", pattern=r"^v\d+\.\d+$", description="oldest chip revision that will do, such as v3.0")
    flash_size: str = Field(pattern=r"^(2|4|8|16|32|64|128)MB$", description="the size of the flash chip, such as 4MB")
    usb: list[UsbId] = Field(min_length=1, description="a list of VID:PID of the USB bridges on such boards, such as '10c4:ea60'")
    native_usb: bool = Field(default=False, description="true when the chip itself is the USB device: rates mean nothing then")
    baud: Baud = Field(description="a block of rates: repl, max, rom")
    firmware: FirmwareKeys = Field(description="a block: file or url, sha256, version, offset")
    partition: PartitionKeys = Field(description="a block: name, offset, size")
    slots: Slots | None = Field(default=None, description="a block: size; without it the firmware is never updated over the air")
    filesystem: Literal["littlefs", "fat"] = Field(default="littlefs", description="littlefs or fat")
    littlefs: Littlefs = Field(default_factory=Littlefs, description="a block: version, block_size")
    heap: Heap = Field(description="a block: python, tls_session")
    reset: Reset = Field(default_factory=Reset, description="a block: before, after")
    security: Security = Field(default_factory=Security, description="a block: flash_encryption, flash_key, nvs_key")

    @field_validator("filesystem")
    @classmethod
    def _atomic(cls, value: Any) -> Any:
        if value == "fat":
            raise problem(
                "found fat, where a rename is not atomic under power loss, expected littlefs", "Use stock firmware's 'vfs' partition."
            )
        return value

    @field_validator("partition")
    @classmethod
    def _fits(cls, value: PartitionKeys, info: ValidationInfo) -> PartitionKeys:
        flash = info.data.get("flash_size")  # absent when it was wrong itself
        end = value.offset + value.size
        if flash and end > megabytes(flash):
            raise problem(f"ends at 0x{end:x}, behind the end of {flash} of flash", "Correct offset and size, or flash_size.")
        return value

    @field_validator("slots")
    @classmethod
    def _before_files(cls, value: Slots | None, info: ValidationInfo) -> Slots | None:
        files = info.data.get("partition")
        if value and files and FIRST_APP + 2 * value.size > files.offset:
            raise problem(
                f"asks for two slots up to 0x{FIRST_APP + 2 * value.size:x}, and the file system begins at 0x{files.offset:x}",
                "Correct `slots.size`, or `partition`: both are in the partition table of the firmware image.",
            )
        return value

    @field_validator("security")
    @classmethod
    def _known_fuses(cls, value: Security, info: ValidationInfo) -> Security:
        chip = info.data.get("chip")
        if chip and value.flash_encryption and chip not in ENCRYPTED:
            raise problem(f"asks for flash encryption of an {chip}, expected one of {', '.join(ENCRYPTED)}")
        encryption = CHIPS[chip].encryption if chip else None
        if encryption and encryption.nvs_key is None and value.nvs_key:
            raise problem(f"names an nvs_key, and an {chip} has no HMAC unit", "Flash encryption covers the NVS of such a chip.")
        return value
