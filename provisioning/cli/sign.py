"""`twinroot sign`: the vendor's key, and signed sets that devices take over the air."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning import output_file
from provisioning.bundle.pack import in_folder
from provisioning.cli import _options as option
from provisioning.cli._options import FILE
from provisioning.cli._output import emit, say
from provisioning.cli._signing import firmware_of, passphrase_of, signer_of
from provisioning.errors import InputError, StationError

if TYPE_CHECKING:
    from provisioning.flash.slot_image import SlotImage
    from provisioning.ota.signed_set import Signer

_DAY = 86400  # s


@click.group()
def command() -> None:
    """Keys and signatures for sets that go over the air (docs/device.md)."""


@command.command("new-key")
@click.argument("file", type=FILE)
@option.passphrase
def new_key(file: Path, passphrase_env: str) -> int:
    """Make the vendor's key in FILE (encrypted PEM) and its public half beside it (vendor.key.pem, vendor.pub.pem)."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from provisioning.ota import signed_set
    from provisioning.pem.public_key import public_numbers

    half = file.with_name(file.name.removesuffix(".pem").removesuffix(".key") + ".pub.pem")
    if half.exists() and not file.exists():
        raise InputError("key-exists", f"{half} exists and is not overwritten.", "Choose another name; devices trust the old key.")
    public = signed_set.create_key(file, passphrase_of(passphrase_env, confirm=True))
    _write(half, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    say("Keep the key offline, and a copy of it: whoever has it commands every device, and devices trust no other.")
    emit({"key": str(file), "public": str(half), "vendor": public_numbers(public)}, f"{file} and {half} written.")
    return 0


_FOLDER = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
_signs = option.signer("The vendor's key.")
_OUT = click.option("--out", type=FILE, required=True, metavar="FILE", help="Where the signed set goes.")
_DAYS = click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="Devices refuse it after this many days.")
_DEVICE = option.one_device("For this device only.")
_WITHOUT_APP = click.option(
    "--without-app", is_flag=True, help="Devices keep their application: for those whose package is too old to take one."
)
_FIRST = click.option("--first-loader", is_flag=True, help="For boards as the first form left them: code as a folder of modules.")

_FIRMWARE = click.option(
    "--firmware",
    type=FILE,
    metavar="IMAGE",
    help="Firmware that goes along, for boards with two slots: a MicroPython, .app-bin or whole image.",
)
_BOARD = click.option("--board", metavar="BOARD", help="With --firmware: the board file that the set was rendered for, if not in boards/.")


@command.command("set")
@_FOLDER
@_signs
@_OUT
@_DAYS
@_DEVICE
@_WITHOUT_APP
@_FIRST
@_FIRMWARE
@_BOARD
def sign_set(
    folder: Path,
    key: Path | None,
    program: str | None,
    out: Path,
    days: int,
    device: str | None,
    without_app: bool,
    first_loader: bool,
    firmware: Path | None,
    board: str | None,
    passphrase_env: str,
) -> int:
    """Sign what `twinroot render --out FOLDER` wrote; the identity in it is left out.

    The signature is checked with the product's vendor key, as devices will, before anything is written.
    """
    from provisioning.ota import signed_set

    output_file.check(out, output_file.SIGNED_SET)
    info, files = _rendered(folder, key, program, without_app, first_loader)
    image = firmware_of(firmware, board, info, files)
    signer = signer_of(key, program, passphrase_env)
    return _sign(info, files, signed_set.vendor_of(info), signer, out, days, device, image)


@command.command("rotate")
@_FOLDER
@click.option("--from", "old", type=FILE, required=True, help="Public key that devices have now.")
@_signs
@_OUT
@_DAYS
@_DEVICE
@_WITHOUT_APP
@_FIRST
@_FIRMWARE
@_BOARD
def rotate(
    folder: Path,
    old: Path,
    key: Path | None,
    program: str | None,
    out: Path,
    days: int,
    device: str | None,
    without_app: bool,
    first_loader: bool,
    firmware: Path | None,
    board: str | None,
    passphrase_env: str,
) -> int:
    """Sign a set that brings another vendor key, with the key that devices have now.

    Devices that have taken it take sets of the new key only; a device that misses it needs it before any later one.
    """
    from provisioning.ota import signed_set
    from provisioning.pem.public_key import load_public

    output_file.check(out, output_file.SIGNED_SET)
    info, files = _rendered(folder, key, program, without_app, first_loader)
    before, after = load_public(old), signed_set.vendor_of(info)
    if before == after:
        raise InputError("same-key", f"The set in {folder} brings the key of {old}.", "`twinroot sign set` signs a set that keeps the key.")
    image = firmware_of(firmware, board, info, files)
    signer = signer_of(key, program, passphrase_env)
    say("Keep the old key until every device has taken this set.")
    return _sign(info, files, before, signer, out, days, device, image)


def _rendered(
    folder: Path, key: Path | None, program: str | None, without_app: bool, first_loader: bool
) -> tuple[dict[str, Any], dict[str, bytes]]:
    from provisioning.ota import signed_set

    _one_signer(key, program)
    info, files = signed_set.read_rendered(folder)
    if without_app:
        info, files = signed_set.without_application(info, files)
    if signed_set.APPLICATION in files:
        say("The application goes along. A device whose package is too old for that refuses the set: sign one --without-app for it first.")
    if (folder / "boot.py").exists():
        say("boot.py does not go over the air: devices keep the one that they have.")
    return in_folder(info, files) if first_loader else (info, files)


def _sign(
    info: dict[str, Any],
    files: dict[str, bytes],
    vendor: dict[str, Any],
    signer: Signer,
    out: Path,
    days: int,
    device: str | None,
    firmware: SlotImage | None,
) -> int:
    from provisioning.ota import signed_set

    expires = int(time.time()) + days * _DAY
    text, contents = signed_set.manifest(info, files, expires=expires, device=device, firmware=firmware)
    container = signed_set.sign(text, contents, signer, vendor)
    output_file.write(out, container, output_file.SIGNED_SET)
    brings = f" with MicroPython {firmware.version}" if firmware else ""
    emit(
        {
            "file": str(out),
            "bytes": len(container),
            "product": info["product"],
            "version": info["version"],
            "firmware": firmware.version if firmware else None,
            "expires": expires,
        },
        f"{out}: version {info['version']} of {info['product']}{brings}, {len(container):,} bytes, refused after {days} days.",
    )
    return 0


@command.command("renewal")
@option.product
@option.one_device("Only this device.")
@option.devices("A CSV of devices; default: the product's own.")
@_signs
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="FOLDER", help="A new folder.")
@_DAYS
def renewal(
    product: Path,
    device: str | None,
    devices: Path | None,
    key: Path | None,
    program: str | None,
    out: Path,
    days: int,
    passphrase_env: str,
) -> int:
    """Sign a set for each device whose certificate `twinroot identity renew` has renewed: ID.bin, and its AWS IoT job document ID.job.json.

    It brings the certificate alone, to boards that have every other file of this set. Raise the product's `version` first.
    """
    from provisioning.config.load import load_product
    from provisioning.config.unit import choose
    from provisioning.job import signed_renewals

    _one_signer(key, program)
    loaded = load_product(product)
    wanted = signed_renewals.chosen(loaded, choose(loaded, device, devices))
    if out.exists():
        raise InputError("folder-exists", f"{out} exists", "Name a new folder: sets of two renewals must not mix.")
    signer = signer_of(key, program, passphrase_env)
    expires = int(time.time()) + days * _DAY
    rows, size = [], 0
    for one in wanted:
        made = signed_renewals.made(loaded, one, signer, expires)
        _make(out)
        _write(out / f"{made.device}.bin", made.container)
        _write(out / f"{made.device}.job.json", made.document)
        size = max(size, len(made.container))
        rows.append({"device": made.device, "certificate": made.certificate, "bytes": len(made.container)})
    emit(
        {"folder": str(out), "product": loaded.name, "version": loaded.version, "expires": expires, "renewals": rows},
        f"{out}: {len(rows)} devices, version {loaded.version} of {loaded.name}, at most {size:,} bytes each, refused after {days} days.",
    )
    return 0


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StationError("cannot-write", f"{folder} cannot be made: {error.strerror}.", "Check the folder and the disk.") from error


def _one_signer(key: Path | None, program: str | None) -> None:
    if (key is None) == (program is None):
        raise InputError("which-signer", "Give either --key or --command.", "twinroot sign set DIR --key vendor.key.pem --out update.bin")


@command.command("job")
@click.argument("file", type=FILE)
@click.option("--topic", help="Devices get the set in chunks from this MQTT topic; without it the document holds the set, if it fits.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="FOLDER", help="A new folder.")
def job(file: Path, topic: str | None, out: Path) -> int:
    """The AWS IoT job document for the signed set in FILE (job.json), and with --topic its chunks (chunks/*.bin, to be published)."""
    from provisioning.ota import job_document

    try:
        container = file.read_bytes()
    except OSError as error:
        raise InputError("no-file", f"{file} cannot be read ({error.strerror})", "twinroot sign set DIR --key KEY --out FILE") from None
    manifest = job_document.manifest_of(container)
    try:
        paths = job_document.write(out, container, topic)
    except OSError as error:
        raise StationError("cannot-write", f"{out} cannot be written: {error.strerror}.", "Check the folder and the disk.") from error
    say(f"aws iot create-job --job-id {manifest['product']}-{manifest['version']} --document file://{out}/job.json --targets ARN")
    emit(
        {
            "document": str(paths[0]),
            "chunks": [str(path) for path in paths[1:]],
            "topic": topic,
            "product": manifest["product"],
            "version": manifest["version"],
            "device": manifest["device"],
            "expires": manifest["expires"],
        },
        f"{paths[0]}: version {manifest['version']} of {manifest['product']}"
        + (f", {len(paths) - 1} chunks for topic {topic}." if topic else ", the set in the document."),
    )
    return 0


def _write(file: Path, content: bytes) -> None:
    from provisioning import atomic_files

    try:
        atomic_files.replace(file, content)
    except OSError as error:
        raise StationError("cannot-write", f"{file} cannot be written: {error.strerror}.", "Check the folder and the disk.") from error
